"""The host's wall clock is set by hours, or years, while something is recorded."""

import io
import os
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from agent.common.clock import utc_ns
from agent.formats.container import read_wav
from agent.formats.manifest import Manifest, parse_manifest
from agent.model.call import CallDirection, Outcome
from agent.model.recording import SegmentEnd
from agent.recording import ledger as ledger_module, recovery
from agent.recording.assembly import Assembled, assemble
from agent.recording.finisher import finish
from agent.recording.ledger import CallIntent, Ledger, read_rows
from agent.recording.ledger_expiry import RETENTION_NS
from agent.recording.spool import Spool
from tests.recording.segments import (
    MS,
    STARTED_AT,
    Segment,
    end,
    stereo,
    write_segment,
)
from tests.recording.starts import recovered

HOUR = 3600 * 1000 * MS
YEAR = 365 * 24 * HOUR
STEPS = [3 * HOUR, -3 * HOUR, 56 * YEAR, -56 * YEAR]


def ended(step: int, frames: int = 50) -> SegmentEnd:
    """The end as a recorder notes it whose clock was set meanwhile."""
    at = end(frames)
    return msgspec.structs.replace(at, ended_at=at.ended_at + step)


def assembled(spool: Spool, segment: Segment, told: SegmentEnd | None) -> Assembled:
    readers = [io.BytesIO(p.read_bytes()) for p in spool.journals_of(segment.id)]
    return assemble(readers, segment.key.journal_key(segment.id), told)


def manifest_of(result: Assembled) -> tuple[bytes, Manifest]:
    audio = b"".join(result.file())
    return audio, parse_manifest(result.manifest("00" * 32, len(audio)).to_bytes())


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("torn", [True, False])
def test_during_a_call_it_is_told_and_nothing_else_is_changed(
    spool: Spool, step: int, *, torn: bool
) -> None:
    segment = write_segment(spool, (range(50), ended(step)), whole=not torn)
    result = assembled(spool, segment, None if torn else ended(step))
    audio, manifest = manifest_of(result)
    assert read_wav(audio).samples == stereo(range(50), 50)
    assert manifest.gaps == ()
    assert manifest.audio.duration_ms == 1000
    # As long as it was, and in order.
    assert manifest.started["utc"] == "2026-11-23T12:34:56.000Z"
    assert manifest.ended["utc"] == "2026-11-23T12:34:57.000Z"
    assert manifest.officers[0].to == manifest.ended
    assert manifest.clock_stepped_ms == step // MS


@pytest.mark.parametrize("jitter", [0, 99 * MS, -99 * MS])
def test_a_clock_that_was_not_set_is_not_accused(spool: Spool, jitter: int) -> None:
    segment = write_segment(spool)
    _, manifest = manifest_of(assembled(spool, segment, ended(jitter)))
    assert manifest.clock_stepped_ms is msgspec.UNSET
    assert b"clock_stepped_ms" not in manifest.to_bytes()


@pytest.mark.parametrize("step", STEPS)
def test_it_is_filed_under_the_later_day(spool: Spool, step: int) -> None:
    """So that no year is over early, whichever of the two readings was right."""
    segment = write_segment(spool)
    finish(replace(segment.job(spool), end=ended(step)), spool.root)
    days = {"/".join(o.key.split("/")[1:4]) for o in spool.sealed_objects(segment.id)}
    later = {3 * HOUR: "2026/11/23", 56 * YEAR: "2082/11/09"}
    assert days == {later.get(step, "2026/11/23")}


# -- between a death and the next start ---------------------------------------------


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger.sqlite", hash_key=b"h", reserve_bytes=0)
    await ledger.start()
    yield ledger
    await ledger.close()


async def call(ledger: Ledger, name: str, begun: int, *recordings: str) -> None:
    await ledger.begin(
        CallIntent(
            call_id=name,
            sip_call_id=name,
            route="",
            direction=CallDirection.INBOUND,
            begun_utc_ns=begun,
        )
    )
    for recording in recordings:
        await ledger.segment(name, recording, recording, begun)


@pytest.mark.parametrize("step", STEPS)
async def test_a_salvage_is_filed_under_its_last_write_and_ends_after_it_began(
    spool: Spool,
    ledger: Ledger,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: int,
) -> None:
    segment = write_segment(spool, whole=False)
    [path] = spool.journals_of(segment.id)
    os.utime(path, ns=(0, STARTED_AT + 1000 * MS))
    await call(ledger, "call", STARTED_AT, segment.id)
    now = STARTED_AT + 2000 * MS + step
    monkeypatch.setattr(recovery, "utc_ns", lambda: now)
    await recovered(spool, ledger)
    days = {"/".join(o.key.split("/")[1:4]) for o in spool.sealed_objects(segment.id)}
    assert days == {"2026/11/23"}
    [row] = read_rows(tmp_path / "ledger.sqlite")
    assert row.ended_utc_ns == max(now, STARTED_AT)
    assert row.outcome == Outcome.PARTIAL


async def test_a_clock_years_ahead_at_a_start_takes_no_rows_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ledger.sqlite"
    now = utc_ns()
    old, recent = now - RETENTION_NS - 3 * HOUR, now - HOUR
    clocks = iter([now, now + 10 * YEAR, now - 10 * YEAR, now])
    for turn in ("first", "ahead", "behind", "right"):
        clock = next(clocks)
        monkeypatch.setattr(ledger_module, "utc_ns", lambda clock=clock: clock)
        ledger = Ledger(path, hash_key=b"h", reserve_bytes=0)
        await ledger.start()
        if turn == "first":
            await call(ledger, "recent", recent)
            await ledger.close_call("recent", Outcome.RECORDED, ended_utc_ns=now)
            await call(ledger, "old", old)
            await ledger.close_call("old", Outcome.RECORDED, ended_utc_ns=old)
        await ledger.close()
        assert "recent" in {row.call_id for row in read_rows(path)}, turn
    assert {row.call_id for row in read_rows(path)} == {"recent"}
