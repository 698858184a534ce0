"""The terminal as the commands use it."""

from rich.console import Console


def console(*, stderr: bool = False) -> Console:
    """Text as it is: names and numbers in it are no markup, and lines stay whole."""
    return Console(
        stderr=stderr, emoji=False, highlight=False, markup=False, soft_wrap=True
    )


def printable(text: str) -> str:
    """Text from outside, without what a terminal would obey."""
    return "".join(
        one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text
    )
