"""Audio payload formats."""
