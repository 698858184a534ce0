"""What was found, shown; and what a command's exit code says of it."""

import sys
from collections.abc import Iterable
from typing import Final

from agent.cli.terminal import console
from agent.cli.working import Working
from agent.upload.bucket_properties import Finding, Verdict

_STYLES: Final = {
    Verdict.RIGHT: "green",
    Verdict.WRONG: "red",
    Verdict.UNTOLD: "yellow",
}


def show(findings: Iterable[Finding]) -> None:
    """Show each as it is found; exits with 1 if one is wrong.

    What a server does not tell is shown, and no mistake: some have no word for it.
    """
    out = console()
    wrong = 0
    with Working("asking the storage …") as working:
        for one in working.through(findings):
            wrong += one.verdict is Verdict.WRONG
            line = f"{one.verdict:<6}  {one.bucket}  {one.about}: {one.text}"
            out.print(line, style=_STYLES[one.verdict])
            if one.remedy:
                out.print(f"        {one.remedy}")
    if wrong:
        out.print(f"{wrong} {'is' if wrong == 1 else 'are'} wrong")
        sys.exit(1)
