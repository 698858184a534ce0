import asyncio
import io
import threading
from collections.abc import Iterator

import pytest
import structlog

from agent.common import logs
from agent.common.catalogue import CATALOGUE, Entry
from agent.common.logs import Told
from agent.service.alarm_board import LASTS_NS, MAX_ALARMS, Alarm, AlarmBoard

SECOND = 1_000_000_000


def entry(
    event: str, *, by: tuple[str, ...] = (), cleared_by: str | None = None
) -> Entry:
    return Entry(
        event=event,
        message_id="8ac1e1c9bbff4f6ea4f6c1f3c2d0a8b7",
        summary=f"{event} happened.",
        explanation="So.",
        remedy="Do.",
        by=by,
        cleared_by=cleared_by,
    )


AWAY = entry("away", by=("storage",), cleared_by="back")
FULL = entry("full", cleared_by="back")
BROKEN = entry("broken", by=("part",))


def said(event: str, at: int = 0, /, **fields: object) -> Told:
    return Told(event=event, level="error", fields=fields, utc_ns=at * SECOND)


def board_of(*entries: Entry) -> tuple[AlarmBoard, list[tuple[str, int, bool]]]:
    board = AlarmBoard({one.event: one for one in entries})
    heard: list[tuple[str, int, bool]] = []
    board.listen(lambda alarm, active: heard.append((alarm.event, alarm.count, active)))
    return board, heard


def test_what_is_told_again_is_one_alarm_that_counts() -> None:
    board, heard = board_of(AWAY)
    board.note(said("away", 1, storage="s", recording_id="r1", reason="full"))
    board.note(said("away", 5, storage="s", recording_id="r2", reason="full"))
    assert board.active() == (
        Alarm(
            event="away",
            message_id=AWAY.message_id,
            summary="away happened.",
            since_utc_ns=SECOND,
            count=2,
            fields={"storage": "s", "recording_id": "r2"},
        ),
    )
    assert heard == [("away", 1, True), ("away", 2, True)]


def test_storages_have_alarms_of_their_own_the_oldest_first() -> None:
    board, _ = board_of(AWAY)
    for name in ("b", "a", "b"):
        board.note(said("away", storage=name))
    assert [one.fields["storage"] for one in board.active()] == ["b", "a"]


def test_what_clears_an_alarm_clears_that_of_its_storage_alone() -> None:
    board, heard = board_of(AWAY)
    board.note(said("away", storage="a"))
    board.note(said("away", storage="b"))
    board.note(said("back", storage="a", pending=0))
    assert [one.fields["storage"] for one in board.active()] == ["b"]
    assert heard[-1] == ("away", 1, False)
    board.note(said("back", storage="c"))
    assert len(board.active()) == 1


def test_one_event_may_clear_several_alarms() -> None:
    board, _ = board_of(AWAY, FULL)
    board.note(said("away", storage="a"))
    board.note(said("full"))
    board.note(said("back"))
    assert board.active() == ()


def test_what_has_happened_stays_for_a_day_after_the_last_time() -> None:
    board, heard = board_of(BROKEN, AWAY)
    board.note(said("broken", 0, part="p"))
    board.note(said("broken", 60, part="p"))
    board.note(said("away", 0, storage="a"))
    board.expire(60 * SECOND + LASTS_NS - 1)
    assert len(board.active()) == 2
    board.expire(60 * SECOND + LASTS_NS)
    # What can be cleared stays until it is.
    assert [one.event for one in board.active()] == ["away"]
    assert heard[-1] == ("broken", 2, False)


def test_what_raises_nothing_is_no_alarm() -> None:
    quiet = next(one for one in CATALOGUE.values() if not one.raises)
    board = AlarmBoard()
    board.note(said(quiet.event))
    board.note(said("call_begun", call_id="c"))
    assert board.active() == ()


def test_the_board_is_bounded_and_the_oldest_gives_way() -> None:
    board, heard = board_of(BROKEN)
    for number in range(MAX_ALARMS + 1):
        board.note(said("broken", number, part=str(number)))
    active = board.active()
    assert len(active) == MAX_ALARMS
    assert active[0].fields["part"] == "1"
    assert heard.count(("broken", 1, False)) == 1


def test_an_alarm_carries_no_value_that_is_not_an_id() -> None:
    board, _ = board_of(BROKEN)
    board.note(said("broken", part="p", number="+358401234567", reason="Virtanen"))
    assert board.active()[0].fields == {"part": "p"}


def test_who_listens_no_more_hears_no_more() -> None:
    board = AlarmBoard({"broken": BROKEN})
    heard: list[Alarm] = []
    end = board.listen(lambda alarm, _: heard.append(alarm))
    board.note(said("broken"))
    end()
    board.note(said("broken"))
    assert len(heard) == 1


@pytest.fixture
def quiet_log() -> Iterator[None]:
    logs.configure("error", io.StringIO())
    yield
    structlog.reset_defaults()


@pytest.mark.usefixtures("quiet_log")
async def test_it_follows_the_log_whatever_its_level_and_whichever_the_thread() -> None:
    board = AlarmBoard()
    end = board.follow(asyncio.get_running_loop())
    log = structlog.get_logger()
    log.error("peer_down", peer="trunk")
    assert [one.event for one in board.active()] == ["peer_down"]
    log.info("peer_up", peer="trunk")  # not shown, and heeded all the same
    log.info("call_begun")
    assert board.active() == ()
    thread = threading.Thread(target=lambda: log.critical("part_failed", part="p"))
    thread.start()
    await asyncio.to_thread(thread.join)
    await asyncio.sleep(0)
    assert [one.event for one in board.active()] == ["part_failed"]
    end()
    log.error("peer_down", peer="trunk")
    assert len(board.active()) == 1
