"""What a person is told of an early erasure."""

from datetime import date

import pytest

from agent.access.gate_client import Executed
from agent.cli.archive.erase import told

DAY = date(2026, 12, 7)


@pytest.mark.parametrize(
    ("executed", "words"),
    [
        (Executed(result="done", records=2), "2 recordings are erased"),
        (Executed(result="done"), "nothing of the request"),
        (Executed(result="pending", pending_until=DAY), "pending until 2026-12-07"),
        (Executed(result="pending", records=1), "not all"),
    ],
)
def test_no_more_is_told_than_is_done(executed: Executed, words: str) -> None:
    assert words in told(executed)
