"""Numbers and health of the running daemon, for who watches it."""
