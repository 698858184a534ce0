"""Recording sessions in which others ask us to record: RFC 7865, RFC 7866."""
