"""Recording beside the call: what a session recording client sends us of it."""
