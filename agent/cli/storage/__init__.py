"""`recording-agent storage`: central storage as it must be, before it is relied on."""
