"""Findings on a terminal, or as JSON lines for programs."""

import sys
from collections import Counter
from collections.abc import Iterable
from typing import Final

import msgspec

from agent.cli.doctor.finding import Finding, Verdict
from agent.cli.terminal import console, printable

_STYLES: Final = {
    Verdict.RIGHT: "green",
    Verdict.WARNING: "yellow",
    Verdict.WRONG: "red",
}
_INDENT: Final = 24
"Columns before a text and its remedy."


def show(found: Iterable[Finding], *, json: bool, brief: bool = False) -> int:
    """Show each as it is found; how many are wrong. `brief`: not what is right."""
    counts = Counter[Verdict]()
    out = console()
    for one in found:
        counts[one.verdict] += 1
        if json:
            sys.stdout.buffer.write(msgspec.json.encode(one) + b"\n")
            sys.stdout.buffer.flush()
        elif one.verdict is not Verdict.RIGHT or not brief:
            line = f"{one.verdict:<7}  {one.check:<13}  {printable(one.text)}"
            out.print(line, style=_STYLES[one.verdict])
            if one.remedy:
                out.print(f"{'':{_INDENT}}{one.remedy}")
    wrong = counts[Verdict.WRONG]
    if not json:
        warnings = counts[Verdict.WARNING]
        out.print(f"{wrong} wrong, {warnings} to know, of {counts.total()} findings")
    return wrong
