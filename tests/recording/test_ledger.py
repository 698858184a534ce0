import asyncio
import hashlib
import hmac
import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.common.clock import utc_ns
from agent.model.call import CallDirection, EndCause, Outcome
from agent.model.recording import RecordingState
from agent.recording.database import Database, Haste
from agent.recording.ledger import (
    CallIntent,
    Ledger,
    LedgerError,
    load_hash_key,
    read_rows,
)

KEY = b"h" * 32
NOW = utc_ns()


def intent(call_id: str, *, begun: int = NOW) -> CallIntent:
    return CallIntent(
        call_id=call_id,
        sip_call_id=f"{call_id}@+358401234567.example",
        route="service",
        direction=CallDirection.INBOUND,
        begun_utc_ns=begun,
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "ledger.sqlite"


@pytest.fixture
async def ledger(path: Path) -> AsyncIterator[Ledger]:
    ledger = Ledger(path, hash_key=KEY, reserve_bytes=1 << 16)
    await ledger.start()
    yield ledger
    await ledger.close()


async def test_a_calls_life(ledger: Ledger, path: Path) -> None:
    await ledger.begin(intent("call"))
    await ledger.segment("call", "one", "one", NOW + 1)
    await ledger.segment("call", "two", "one", NOW + 2)
    [row] = await ledger.open_calls()
    assert (row.outcome, row.ended_utc_ns) == (None, None)
    await ledger.close_call(
        "call",
        Outcome.RECORDED,
        ended_utc_ns=NOW + 9,
        cause=EndCause.CALLER_HANGUP,
        sip_status=200,
        missing_ms=7,
    )
    assert await ledger.open_calls() == []
    await ledger.advance("one", RecordingState.SEALED)
    await ledger.note_partial("nobody's")
    await ledger.note_missing("call", 5)  # known when its last segment is sealed
    # Beside the running daemon.
    [row] = read_rows(path)
    assert (row.call_id, row.route, row.direction) == ("call", "service", "inbound")
    assert (row.begun_utc_ns, row.ended_utc_ns) == (NOW, NOW + 9)
    assert (row.outcome, row.cause, row.sip_status, row.missing_ms) == (
        "recorded", "caller-hangup", 200, 12,
    )  # fmt: skip
    assert [(r.recording_id, r.group, r.state) for r in row.recordings] == [
        ("one", "one", "sealed"),
        ("two", "one", "open"),
    ]
    assert await ledger.call_of("two") == "call"
    assert await ledger.call_of("three") == ""


async def test_what_counted_as_recorded_may_prove_to_be_less(
    ledger: Ledger, path: Path
) -> None:
    for call, outcome in (("one", Outcome.RECORDED), ("two", Outcome.ABANDONED)):
        await ledger.begin(intent(call))
        await ledger.close_call(call, outcome, ended_utc_ns=NOW)
        await ledger.note_partial(call)
    outcomes = {row.call_id: row.outcome for row in read_rows(path)}
    assert outcomes == {"one": "partial", "two": "abandoned"}
    # Counters do not fall: what was recorded has been degraded.
    assert ledger.stats.closed == {Outcome.RECORDED: 1, Outcome.ABANDONED: 1}
    assert ledger.stats.degraded == 1


async def test_an_outcome_is_given_once(ledger: Ledger, path: Path) -> None:
    await ledger.begin(intent("call"))
    await ledger.close_call("call", Outcome.ABANDONED, ended_utc_ns=NOW)
    for outcome in (Outcome.RECORDED, Outcome.ABANDONED):
        with pytest.raises(LedgerError, match="not open"):
            await ledger.close_call("call", outcome, ended_utc_ns=NOW)
    with pytest.raises(LedgerError, match="not open"):
        await ledger.close_call("never begun", Outcome.FAILED, ended_utc_ns=NOW)
    with pytest.raises(LedgerError, match="refuses"):
        await ledger.begin(intent("call"))
    assert [row.outcome for row in read_rows(path)] == ["abandoned"]


async def test_states_go_forward_only(ledger: Ledger) -> None:
    async def state() -> str:
        [row] = await ledger.open_recordings()
        return row.state

    await ledger.begin(intent("call"))
    await ledger.segment("call", "one", "one", NOW)
    assert await state() == "open"
    await ledger.advance("one", RecordingState.SEALED)
    await ledger.advance("one", RecordingState.CLOSED)
    assert await state() == "sealed"
    await ledger.advance("one", RecordingState.STORED)
    await ledger.advance("one", RecordingState.STORED)
    assert await state() == "stored"
    await ledger.advance("unknown", RecordingState.STORED)
    await ledger.advance("one", RecordingState.PURGED)
    assert await ledger.open_recordings() == []


async def test_a_verdict_stays_what_it_is(ledger: Ledger) -> None:
    async def verdict() -> str:
        [row] = await ledger.open_recordings()
        return row.verdict

    await ledger.begin(intent("call"))
    await ledger.segment("call", "one", "one", NOW)
    assert await verdict() == ""
    await ledger.advance("one", RecordingState.SEALED, verdict="one-way")
    assert await verdict() == "one-way"
    await ledger.advance("one", RecordingState.STORED)
    assert await verdict() == "one-way"


async def test_forgotten_recordings(ledger: Ledger) -> None:
    await ledger.begin(intent("call"))
    await ledger.segment("call", "one", "one", NOW)
    await ledger.forget_recording("one")
    await ledger.forget_recording("one")
    [row] = await ledger.open_calls()
    assert row.recordings == []
    # An envelope that came back must not take what is known of a recording along.
    await ledger.segment("call", "two", "two", NOW)
    await ledger.advance("two", RecordingState.STORED)
    await ledger.forget_recording("two")
    [row] = await ledger.open_calls()
    assert [recording.state for recording in row.recordings] == ["stored"]


async def test_many_calls_at_once_take_few_commits(ledger: Ledger) -> None:
    calls = [f"call {n:03}" for n in range(300)]
    await asyncio.gather(*(ledger.begin(intent(call)) for call in calls))
    await asyncio.gather(
        *(
            ledger.close_call(call, Outcome.UNANSWERED, ended_utc_ns=NOW)
            for call in calls
        )
    )
    assert ledger._database.commits < 60


async def test_no_number_and_no_name_in_any_byte(ledger: Ledger, path: Path) -> None:
    await ledger.begin(intent("call"))
    await ledger.segment("call", "one", "one", NOW)
    await ledger.close_call("call", Outcome.RECORDED, ended_utc_ns=NOW)
    await ledger.close()
    data = await asyncio.to_thread(path.read_bytes)
    assert not re.search(rb"\d{9}", data.replace(str(NOW).encode(), b""))
    assert b"example" not in data
    digest = hmac.new(KEY, intent("call").sip_call_id.encode(), hashlib.sha256)
    assert digest.digest() in data


def test_hash_key_is_made_once(tmp_path: Path) -> None:
    key = load_hash_key(tmp_path)
    assert len(key) == 32
    assert load_hash_key(tmp_path) == key
    assert (tmp_path / "ledger.key").stat().st_mode & 0o777 == 0o600


async def test_a_full_disk_leaves_room_to_close(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which changes may take the last room; the disk itself is test_database's."""
    grew = []
    do = Database.do

    async def spy(
        self: Database, act: object, *, grows: bool = False, haste: Haste = Haste.NOW
    ) -> object:
        grew.append(grows)
        return await do(self, act, grows=grows, haste=haste)  # type: ignore[arg-type]

    monkeypatch.setattr(Database, "do", spy)
    await ledger.begin(intent("call"))
    await ledger.segment("call", "one", "one", NOW)
    await ledger.advance("one", RecordingState.CLOSED)
    await ledger.close_call("call", Outcome.RECORDED, ended_utc_ns=NOW)
    assert grew == [True, True, False, False]


async def test_when_an_officer_first_talked_is_noted_once(
    ledger: Ledger, path: Path
) -> None:
    await ledger.begin(intent("call"))
    await ledger.begin(intent("other"))
    await ledger.answered("call", NOW + 5)
    await ledger.answered("call", NOW + 7)
    await ledger.answered("other", NOW - 9)
    times = {row.call_id: row.answered_utc_ns for row in read_rows(path)}
    # Not before it began, however the clock was set.
    assert times == {"call": NOW + 5, "other": NOW}
