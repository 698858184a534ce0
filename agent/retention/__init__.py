"""How long a recording is kept, and how it ends."""
