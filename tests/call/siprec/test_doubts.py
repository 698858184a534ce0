from typing import Any

import structlog
from structlog.testing import capture_logs

from agent.call.siprec.doubts import Doubts
from agent.model.recording import NoticeStatement
from tests.call.siprec.recorded import decided, two

TOLD = NoticeStatement(basis="header", given=True, detail="x-told")
UNTOLD = NoticeStatement(basis="header", given=False, detail="x-told")


def doubts(*seen: tuple[Any, NoticeStatement]) -> list[tuple[str, str, str]]:
    with capture_logs() as lines:
        made = Doubts(structlog.get_logger().bind(), peer="sbc")
        for parties, notice in seen:
            made.recorded(parties, notice)
    return [(one["log_level"], one["event"], one["peer"]) for one in lines]


def test_of_what_is_known_and_shown_nothing_is_told() -> None:
    assert doubts((decided(two()), TOLD)) == []


def test_each_doubt_is_told_once() -> None:
    undecided = decided(two(), officers=lambda _: False)
    assert doubts((undecided, TOLD), (decided(two()), UNTOLD), (undecided, UNTOLD)) == [
        ("warning", "parties_undecided", "sbc"),
        ("error", "notice_missing", "sbc"),
    ]


def test_a_flaw_is_told_once_however_many_documents_have_it() -> None:
    with capture_logs() as lines:
        made = Doubts(structlog.get_logger(), peer="sbc")
        for flaws in (("no-id",), ("no-id", "no-aor"), (), ("no-aor",)):
            made.flawed(flaws)
        made.waits()
        made.waits()
    assert [one.get("flaws") for one in lines] == [["no-id"], ["no-aor"], None]
    assert lines[-1]["event"] == "going_on_unrecorded"
