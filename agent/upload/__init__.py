"""From the spool to central storage: put, read back, compare, then forget."""
