"""What central storage holds: recordings, their index, their state, the audit log."""
