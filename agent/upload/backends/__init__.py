"""Where sealed recordings can go."""
