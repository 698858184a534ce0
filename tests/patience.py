"""How long a test waits for what has to come."""

from typing import Final

PATIENCE: Final = 60.0
"""Seconds, after which it never came. No test judges by it how fast something is: on a
machine that does ten things beside, a commit alone may take one of them."""
