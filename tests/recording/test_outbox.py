import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from agent.common.clock import utc_ns
from agent.common.ids import id_of
from agent.model.call import CallDirection, Outcome
from agent.model.events import (
    AlarmEvent,
    DailySummary,
    Event,
    NoticePlayed,
    OutboxRow,
    RecordingDropped,
    RecordingSealed,
)
from agent.model.recording import RecordingState
from agent.recording import outbox as module
from agent.recording.ledger import CallIntent, Ledger, LedgerError
from agent.recording.outbox import Outbox

NOW = utc_ns()
SUMMARY = DailySummary(
    day="2026-11-30",
    outcomes={},
    answered=0,
    exempt=0,
    capture_rate=None,
    missing_ms=0,
    stored=0,
    waiting=0,
    without_outcome=0,
)


def intent(call_id: str) -> CallIntent:
    return CallIntent(
        call_id=call_id,
        sip_call_id=f"{call_id}@example",
        route="service",
        direction=CallDirection.INBOUND,
        begun_utc_ns=NOW,
        caller="+35840***67",
        called="0295419600",
    )


def noticed(call_id: str) -> NoticePlayed:
    return NoticePlayed(call_id=call_id, language="fi", sha256="0" * 64, sent_ms=9)


def alarm(event: str, *, active: bool) -> AlarmEvent:
    return AlarmEvent(event=event, active=active)


class Site:
    """A ledger that writes events, and what stands in its outbox."""

    def __init__(self, ledger: Ledger, path: Path) -> None:
        self.ledger = ledger
        self.path = path
        assert ledger.outbox is not None
        self.outbox: Outbox = ledger.outbox

    async def rows(self) -> list[OutboxRow]:
        return await self.outbox.exchange((), after=0, limit=1000)

    async def events(self) -> list[Event]:
        return [
            msgspec.json.decode(row.body, type=Event)  # type: ignore[arg-type]
            for row in await self.rows()
        ]

    async def kinds(self) -> list[str]:
        return [type(event).__struct_config__.tag for event in await self.events()]  # type: ignore[misc]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    path = tmp_path / "ledger.sqlite"
    ledger = Ledger(path, hash_key=b"h" * 32, host="host-a", reserve_bytes=1 << 14)
    await ledger.start()
    yield Site(ledger, path)
    await ledger.close()


async def test_a_calls_events_stand_in_line(site: Site) -> None:
    ledger = site.ledger
    await ledger.begin(intent("call"))
    await ledger.begin(intent("other"))
    await ledger.tell(noticed("call"))
    await ledger.answered("call", NOW, officer="***")
    await ledger.answered("call", NOW)  # no news
    await ledger.segment("call", "rec", "group", NOW)
    await ledger.advance("rec", RecordingState.CLOSED)
    await ledger.close_call("call", Outcome.RECORDED, ended_utc_ns=NOW + 9)
    await ledger.advance("rec", RecordingState.SEALED, verdict="good")
    await ledger.advance("rec", RecordingState.SEALED)  # no news
    await ledger.note_partial("call")
    await ledger.note_missing("call", 40)
    await ledger.advance("rec", RecordingState.STORED)
    await ledger.advance_all(["rec"], RecordingState.PURGED)
    events = [e for e in await site.events() if getattr(e, "call_id", "") == "call"]
    assert [type(event).__struct_config__.tag for event in events] == [
        "offered",
        "notice-played",
        "answered",
        "opened",
        "closed",
        "ended",
        "sealed",
        "corrected",
        "corrected",
        "stored",
        "purged",
    ]
    assert [event.sequence for event in events] == list(range(1, 12))  # type: ignore[union-attr]
    assert len({event.event_id for event in events}) == 11
    assert {event.host for event in events} == {"host-a"}
    assert [event.utc_ns for event in events] == sorted(e.utc_ns for e in events)
    ended, corrected = msgspec.to_builtins(events[5]), msgspec.to_builtins(events[8])
    assert (ended["outcome"], ended["missing_ms"]) == ("recorded", 0)
    assert (corrected["outcome"], corrected["missing_ms"]) == ("partial", 40)
    assert {row.line for row in await site.rows()} == {"call", "other"}


async def test_what_is_not_done_is_not_told(site: Site) -> None:
    await site.ledger.begin(intent("call"))
    with pytest.raises(LedgerError):
        await site.ledger.begin(intent("call"))
    await site.ledger.close_call("call", Outcome.ABANDONED, ended_utc_ns=NOW)
    with pytest.raises(LedgerError):
        await site.ledger.close_call("call", Outcome.FAILED, ended_utc_ns=NOW)
    await site.ledger.note_partial("call")
    await site.ledger.advance("none", RecordingState.SEALED)
    await site.ledger.forget_recording("none")
    assert await site.kinds() == ["offered", "ended"]


async def test_what_a_killed_run_left(site: Site) -> None:
    for name in ("a", "b"):
        await site.ledger.begin(intent(name))
        await site.ledger.segment(name, f"rec-{name}", "g", NOW)
    await site.ledger.forget_recording("rec-a")
    await site.ledger.advance("rec-b", RecordingState.SEALED, salvaged=True)
    *_, dropped, sealed = await site.events()
    assert isinstance(dropped, RecordingDropped)
    assert (dropped.call_id, dropped.sequence) == ("a", 3)
    assert isinstance(sealed, RecordingSealed)
    assert sealed.salvaged


async def test_a_call_the_ledger_does_not_know_has_no_sequence(site: Site) -> None:
    await site.ledger.tell(noticed("unknown"))
    [event] = await site.events()
    assert isinstance(event, NoticePlayed)
    assert event.sequence == 0


async def test_rows_go_when_they_are_sent(site: Site) -> None:
    for n in range(5):
        await site.ledger.begin(intent(f"call-{n}"))
    assert site.outbox.written.is_set()
    first = await site.outbox.exchange((), after=0, limit=2)
    assert not site.outbox.written.is_set()
    assert [row.line for row in first] == ["call-0", "call-1"]
    sent = [first[1].position]
    rest = await site.outbox.exchange(sent, after=first[1].position, limit=9)
    assert [row.line for row in rest] == ["call-2", "call-3", "call-4"]
    assert [row.line for row in await site.rows()] == [
        "call-0",
        "call-2",
        "call-3",
        "call-4",
    ]
    backlog = await site.outbox.backlog()
    assert backlog.rows == 4
    assert backlog.oldest_utc_ns is not None
    assert NOW <= backlog.oldest_utc_ns <= utc_ns()


async def test_a_position_is_never_given_again(site: Site) -> None:
    await site.ledger.begin(intent("a"))
    [row] = await site.rows()
    await site.outbox.exchange([row.position], after=0, limit=1)
    await site.ledger.begin(intent("b"))
    [another] = await site.rows()
    assert another.position > row.position


async def test_the_oldest_go_beyond_the_bounds(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FORGOTTEN_AT_ONCE", 3)
    for n in range(9):
        await site.ledger.begin(intent(f"call-{n}"))
    assert await site.outbox.trim(max_rows=9, before_utc_ns=0) == 0
    assert await site.outbox.trim(max_rows=5, before_utc_ns=0) == 3
    assert await site.outbox.trim(max_rows=5, before_utc_ns=0) == 1
    assert (await site.rows())[0].line == "call-4"
    assert await site.outbox.trim(max_rows=5, before_utc_ns=utc_ns()) == 3
    assert await site.outbox.trim(max_rows=5, before_utc_ns=utc_ns()) == 2
    assert await site.outbox.trim(max_rows=5, before_utc_ns=utc_ns()) == 0
    assert (await site.outbox.backlog()).oldest_utc_ns is None


async def test_many_rows_are_not_counted_one_by_one(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "COUNTED", 3)
    for n in range(6):
        await site.ledger.begin(intent(f"call-{n}"))
    rows = await site.rows()
    await site.outbox.exchange([rows[2].position], after=0, limit=0)
    assert (await site.outbox.backlog()).rows == 6  # five, and a gap
    # Nothing is dropped for what is known no better than that.
    assert await site.outbox.trim(max_rows=5, before_utc_ns=0) == 0
    assert await site.outbox.trim(max_rows=4, before_utc_ns=0) == 1
    assert (await site.outbox.backlog()).rows == 5
    assert [row.line for row in await site.rows()][:2] == ["call-1", "call-3"]


async def test_alarms_that_were_told_are_known_after_a_restart(site: Site) -> None:
    await site.outbox.tell_alarm(alarm("storage_away", active=True))
    await site.outbox.tell_alarm(alarm("storage_away", active=True))
    await site.outbox.tell_alarm(alarm("clock", active=True))
    await site.outbox.tell_alarm(alarm("clock", active=False))
    assert await site.outbox.alarms_told() == ["storage_away"]
    lines = [row.line for row in await site.rows()]
    assert lines == ["alarms/storage_away"] * 2 + ["alarms/clock"] * 2


async def test_a_summary_is_no_calls(site: Site) -> None:
    await site.ledger.tell(SUMMARY)
    [row] = await site.rows()
    assert row.line == "summary"


async def test_a_summary_that_is_told_twice_is_known_by_its_id(site: Site) -> None:
    again = msgspec.structs.replace(SUMMARY, stored=1)
    other = msgspec.structs.replace(SUMMARY, day="2026-12-01")
    for summary in (SUMMARY, again, other):
        await site.ledger.tell(summary)
    first, second, third = [event.event_id for event in await site.events()]
    assert first == second != third
    # Whoever hears several hosts takes none for another's.
    assert first == id_of("host-a", "summary", "2026-11-30")


async def test_a_command_is_seen_once_until_it_expires(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    later = utc_ns() + 10**12
    assert await site.outbox.first_seen("one", later)
    assert not await site.outbox.first_seen("one", later)
    assert await site.outbox.first_seen("old", NOW - 1)
    assert await site.outbox.first_seen("old", NOW - 1)  # forgotten: it has expired
    monkeypatch.setattr(module, "MAX_SEEN", 2)
    assert await site.outbox.first_seen("two", later)
    # Who floods us has none carried out, rather than one twice.
    assert not await site.outbox.first_seen("three", later)


async def test_without_a_name_none_is_written(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    ledger = Ledger(path, hash_key=b"h" * 32, reserve_bytes=1 << 14)
    await ledger.start()
    await ledger.begin(intent("call"))
    await ledger.tell(noticed("call"))
    await ledger.close()
    with sqlite3.connect(path) as db:
        assert db.execute("SELECT count(*) FROM outbox").fetchone() == (0,)
        assert b"+35840" not in path.read_bytes()
    db.close()
