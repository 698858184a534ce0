"""SIP as bytes and times in; bytes, events and one deadline out: RFC 3261."""
