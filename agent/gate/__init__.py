"""The gate: the small trusted service at central storage."""
