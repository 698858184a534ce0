from typing import Any

import structlog
from structlog.testing import capture_logs

from agent.call.siprec.commands import Withheld
from agent.call.siprec.doubts import Doubts
from agent.call.siprec.parties import Basis
from agent.call.siprec.stats import SessionStats
from agent.model.recording import NoticeStatement
from tests.call.siprec.recorded import decided, two

TOLD = NoticeStatement(basis="header", given=True, detail="x-told")
UNTOLD = NoticeStatement(basis="header", given=False, detail="x-told")


def doubts(
    *seen: tuple[Any, NoticeStatement], stats: SessionStats | None = None
) -> list[tuple[str, str, str]]:
    stats = stats or SessionStats()
    with capture_logs() as lines:
        made = Doubts(structlog.get_logger().bind(), stats, peer="sbc")
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


def test_segments_are_counted_each_time() -> None:
    stats = SessionStats()
    undecided = decided(two(), officers=lambda _: False)
    doubts(
        (undecided, TOLD), (decided(two()), UNTOLD), (undecided, UNTOLD), stats=stats
    )
    assert stats.segments == {Basis.UNDECIDED: 2, Basis.DIRECTORY: 1}
    assert stats.notices_missing == 2


def test_what_is_withheld_is_counted_and_told_by_its_reason() -> None:
    stats = SessionStats()
    with capture_logs() as lines:
        made = Doubts(structlog.get_logger(), stats, peer="sbc")
        for reason in (Withheld.NOTICE, Withheld.EXEMPT, Withheld.NOTICE):
            made.withheld(reason)
    assert [(one["log_level"], one["event"]) for one in lines] == [
        ("error", "notice_missing"),
        ("info", "not_recorded"),
        ("error", "notice_missing"),
    ]
    assert stats.withheld == {Withheld.NOTICE: 2, Withheld.EXEMPT: 1}
    assert stats.notices_missing == 2


def test_what_there_was_no_time_to_read_is_told_as_such() -> None:
    with capture_logs() as lines:
        made = Doubts(structlog.get_logger(), SessionStats(), peer="sbc")
        for _ in range(2):
            made.flawed(("unread",))
    assert [(one["log_level"], one["event"], one["peer"]) for one in lines] == [
        ("error", "metadata_unread", "sbc")
    ]


def test_a_flaw_is_told_once_however_many_documents_have_it() -> None:
    with capture_logs() as lines:
        made = Doubts(structlog.get_logger(), SessionStats(), peer="sbc")
        for flaws in (("no-id",), ("no-id", "no-aor"), (), ("no-aor",)):
            made.flawed(flaws)
        made.waits()
        made.waits()
    assert [one.get("flaws") for one in lines] == [["no-id"], ["no-aor"], None]
    assert lines[-1]["event"] == "going_on_unrecorded"
