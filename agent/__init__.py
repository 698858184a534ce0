"""The recording agent: announces, captures, seals and stores a call centre's calls."""

__version__ = "0.1.0"
