"""The journal's catalogue: what `journalctl -x` shows beneath what needs a human.

`python -m agent.common.journal_catalogue` prints it; systemd/recording-agent.catalog is
what it has printed. The form is that of systemd.io/CATALOG.
"""

import sys
import textwrap
from typing import Final

from agent.common.catalogue import CATALOGUE, Entry

WIDTH: Final = 72
"journalctl puts `-- ` before each line."
_HEAD: Final = """\
# What an operator is told of lines of recording-agent, recording-agent-gate and their
# processes. Made by `python -m agent.common.journal_catalogue`.
"""


def journal_catalogue() -> str:
    """All entries, as journalctl --update-catalog reads them."""
    return _HEAD + "".join(_entry(entry) for entry in CATALOGUE.values())


def _entry(entry: Entry) -> str:
    over = (
        f"Its alarm ends with the event {entry.cleared_by}."
        if entry.cleared_by
        else "Its alarm ends by itself, a day after the last time."
        if entry.raises
        else "It raises no alarm."
    )
    told = (entry.explanation, f"What to do: {entry.remedy}", over)
    paragraphs = "\n\n".join(textwrap.fill(text, WIDTH) for text in told)
    return f"""
-- {entry.message_id}
Subject: {entry.summary}
Defined-By: recording-agent

{paragraphs}
"""


if __name__ == "__main__":
    sys.stdout.write(journal_catalogue())
