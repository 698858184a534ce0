"""`recording-agent simulate`: a test call, and what became of it."""
