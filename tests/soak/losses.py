"""What the deaths of one kind of process have cost, and the table of all kinds."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.soak.clicks import Clicks


@dataclass
class Losses:
    """Of any number of kills of one kind."""

    kills: int = 0
    calls: int = 0
    dropped: list[str] = field(default_factory=list)
    "Why each call that nobody hung up has ended."
    cleared: int = 0
    "Calls that were being set up, and ended."
    repeated: int = 0
    "Requests that went with their connection, which their sender repeated."
    refused: int = 0
    "Transfers that whoever asked for them was told have failed."
    recordings: int = 0
    partial: int = 0
    unopened: list[str] = field(default_factory=list)
    "Calls without a recording."
    expected: int = 0
    lost: int = 0
    misplaced: int = 0
    "Clicks more than 20 ms from their place."
    unheard: int = 0
    "Clicks that the other phone did not get."
    worst_ms: list[int] = field(default_factory=list)
    "Of each kill, what the leg that lost most has lost."
    takeovers_ms: list[float] = field(default_factory=list)
    "From a death to the first packet that a phone got after it."

    def add(self, clicks: Clicks) -> None:
        """Count in what was found of one call."""
        self.expected += clicks.expected
        self.lost += clicks.lost
        self.misplaced += clicks.misplaced


def table(losses: Mapping[str, Losses]) -> str:
    """One line for each kind; medians and maxima as `median/max`."""
    cells = [{"killed": kind, **_row(one)} for kind, one in losses.items()]
    rows = [tuple(cells[0]), *(tuple(row.values()) for row in cells)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    why = [
        f"{kind}: {reason}"
        for kind, one in losses.items()
        for reason in (*one.dropped, *one.unopened)
    ]
    return "\n".join([*lines, *why])


def _row(one: Losses) -> dict[str, str]:
    return {
        "kills": str(one.kills),
        "calls": str(one.calls),
        "dropped": str(len(one.dropped)),
        "cleared": str(one.cleared),
        "repeated": str(one.repeated),
        "refused": str(one.refused),
        "recordings": str(one.recordings),
        "partial": str(one.partial),
        "missing": str(len(one.unopened)),
        "clicks": str(one.expected),
        "lost": str(one.lost),
        "misplaced": str(one.misplaced),
        "unheard": str(one.unheard),
        "lost per kill, ms": _spread(one.worst_ms),
        "until heard, ms": _spread(one.takeovers_ms),
    }


def _spread(values: list[int] | list[float]) -> str:
    if not values:
        return "-"
    return f"{statistics.median(values):.0f}/{max(values):.0f}"
