import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from agent.formats.container import read_wav
from agent.formats.envelope import open_envelope
from agent.model.call import CallDirection, EndCause, Outcome
from agent.model.recording import RecordingState
from agent.recording import finisher, spool as spool_module
from agent.recording.finisher import finish, finish_journals
from agent.recording.ledger import CallIntent, Ledger, read_rows
from agent.recording.recovery import Recovered, TakenOver, recover, salvage_waiting
from agent.recording.spool import DISCARDED, Spool
from tests.power.faults import cuts
from tests.power.tape import Tape
from tests.recording.segments import Segment, quality, stereo, write_segment
from tests.recording.starts import recovered


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger.sqlite", hash_key=b"h", reserve_bytes=0)
    await ledger.start()
    yield ledger
    await ledger.close()


async def call(ledger: Ledger, name: str, *recordings: str) -> None:
    intent = CallIntent(
        call_id=name,
        sip_call_id=name,
        route="",
        direction=CallDirection.INBOUND,
        begun_utc_ns=1 << 62,
    )
    await ledger.begin(intent)
    for recording in recordings:
        await ledger.segment(name, recording, recording, 1 << 62)


def outcomes(tmp_path: Path) -> dict[str, str | None]:
    return {row.call_id: row.outcome for row in read_rows(tmp_path / "ledger.sqlite")}


def states(tmp_path: Path) -> dict[str, str]:
    return {
        recording.recording_id: recording.state
        for row in read_rows(tmp_path / "ledger.sqlite")
        for recording in row.recordings
    }


def left(spool: Spool) -> set[str]:
    """Files of recordings, by name."""
    return {
        str(path.relative_to(spool.root))
        for path in spool.root.rglob("*")
        if path.is_file() and path.name != "lock"
    }


async def test_nothing_to_do(spool: Spool, ledger: Ledger) -> None:
    assert await recovered(spool, ledger) == []


async def test_a_journal_is_sealed_as_it_is(
    spool: Spool, ledger: Ledger, tmp_path: Path
) -> None:
    segment = write_segment(
        spool, (range(10),), (range(20, 30),), frames=30, whole=False
    )
    await call(ledger, "call", segment.id)
    journals = [path.read_bytes() for path in spool.journals_of(segment.id)]
    envelope = spool.envelope_path(segment.id).read_bytes()
    found = await recovered(spool, ledger)
    assert found == [Recovered(segment.id, "salvaged")]
    assert left(spool) == {
        f"sealed/{segment.id}/{name}"
        for name in (
            f"{segment.id}.0.journal",
            f"{segment.id}.1.journal",
            f"{segment.id}.key.age",
            "upload.json",
        )
    }
    objects = spool.sealed_objects(segment.id)
    [day] = {"/".join(sealed.key.split("/")[1:4]) for sealed in objects}
    assert [(sealed.target, sealed.key) for sealed in objects] == [
        ("state", f"keys/{day}/{segment.id}.key.age"),
        ("locked", f"audio/{day}/{segment.id}.0.journal"),
        ("locked", f"audio/{day}/{segment.id}.1.journal"),
    ]
    for sealed, data in zip(objects, [envelope, *journals], strict=True):
        path = spool.sealed_path(segment.id, sealed.file)
        assert path.read_bytes() == data
        assert sealed.size == len(data)
    assert outcomes(tmp_path) == {"call": "partial"}
    assert states(tmp_path) == {segment.id: "sealed"}
    assert read_rows(tmp_path / "ledger.sqlite")[0].cause == EndCause.AGENT_DIED
    # And where the key is, it opens.
    key = open_envelope(envelope, [quality().identity])
    _, wav, manifest = finish_journals(journals[::-1], key)
    assert read_wav(wav).samples == stereo([*range(10), *range(20, 30)], 30)
    assert manifest.outcome == "partial"


async def test_the_day_is_the_local_one_of_the_last_write(
    spool: Spool, ledger: Ledger
) -> None:
    segment = write_segment(spool)
    [path] = spool.journals_of(segment.id)
    # 22:30 UTC on New Year's Eve is the next year in Helsinki.
    os.utime(path, ns=(0, 1_798_756_200_000_000_000))
    await recovered(spool, ledger)
    keys = {sealed.key.rsplit("/", 1)[0] for sealed in spool.sealed_objects(segment.id)}
    assert keys == {"keys/2027/01/01", "audio/2027/01/01"}


async def test_a_journal_that_somebody_still_writes_is_copied(
    spool: Spool, ledger: Ledger
) -> None:
    segment = write_segment(spool, (range(10),), whole=False)
    [path] = spool.journals_of(segment.id)
    with path.open("ab", buffering=0) as writer:
        await recovered(spool, ledger)
        writer.write(b"what an orphan adds")
    [_, sealed] = spool.sealed_objects(segment.id)
    copy = spool.sealed_path(segment.id, sealed.file)
    assert copy.stat().st_size == sealed.size


async def test_sealed_with_its_journal_left_over(
    spool: Spool, ledger: Ledger, tmp_path: Path
) -> None:
    segment = write_segment(spool)
    await call(ledger, "call", segment.id)
    [path] = spool.journals_of(segment.id)
    data, envelope = path.read_bytes(), spool.envelope_path(segment.id).read_bytes()
    finish(segment.job(spool), spool.root)
    path.write_bytes(data)
    spool.write_envelope(segment.id, envelope)
    assert await recovered(spool, ledger) == [Recovered(segment.id, "kept")]
    assert not path.exists()
    assert not spool.envelope_path(segment.id).exists()
    assert spool.sealed_path(segment.id, f"{segment.id}.wav.age").exists()
    assert states(tmp_path) == {segment.id: "sealed"}


async def test_an_envelope_without_a_journal_is_dropped(
    spool: Spool, ledger: Ledger, tmp_path: Path
) -> None:
    segment = write_segment(spool)
    [path] = spool.journals_of(segment.id)
    path.unlink()
    await call(ledger, "call", segment.id)
    assert await recovered(spool, ledger) == [Recovered(segment.id, "dropped")]
    assert left(spool) == set()
    assert outcomes(tmp_path) == {"call": "failed"}
    assert states(tmp_path) == {}


async def test_what_was_to_be_discarded_is_gone_after_any_power_cut(
    spool: Spool, ledger: Ledger, tmp_path: Path
) -> None:
    segment = write_segment(spool)
    await call(ledger, "call", segment.id)
    with Tape(spool.root) as tape:
        spool.condemn(segment.id)
        spool.forget_sources(segment.id)
    envelope, note = (f"keys/{segment.id}{end}" for end in (".key.age", DISCARDED))
    begun = False
    for _, _, _, state in cuts(tape.before, tape.steps):
        there = state.contents()
        begun = begun or note in there
        whole = any(path.startswith("journal/") for path in there)
        assert envelope in there or note in there or not whole
    assert begun

    again = write_segment(spool)
    await call(ledger, "another", again.id)
    spool.condemn(again.id)
    assert spool.list_envelopes() == []
    assert await recovered(spool, ledger) == [Recovered(again.id, "dropped")]
    assert left(spool) == set()
    assert again.id not in states(tmp_path)


async def test_what_goes_on_discards_for_itself(spool: Spool, ledger: Ledger) -> None:
    segment = write_segment(spool)
    spool.condemn(segment.id)
    taken = TakenOver(recordings=frozenset({segment.id}))
    assert await recover(spool, ledger, taken) == []
    assert spool.list_discarded() == [segment.id]


@pytest.mark.parametrize("sealing", [True, False])
async def test_a_journal_of_which_nothing_is_durable_is_dropped(
    spool: Spool, ledger: Ledger, tmp_path: Path, *, sealing: bool
) -> None:
    """As a power cut leaves it; where the recording is sealed, that counts."""
    segment = write_segment(spool, (range(5),), (range(5, 10),))
    await call(ledger, "call", segment.id)
    one, two = spool.journals_of(segment.id)
    data, envelope = one.read_bytes(), spool.envelope_path(segment.id).read_bytes()
    if sealing:
        finish(segment.job(spool), spool.root)
        spool.write_envelope(segment.id, envelope)
    one.write_bytes(data[:200])
    two.write_bytes(bytes(1 << 12))
    action = "kept" if sealing else "dropped"
    assert await recovered(spool, ledger) == [Recovered(segment.id, action)]
    assert spool.is_sealed(segment.id) is sealing
    assert not spool.list_journals()
    assert not spool.list_envelopes()
    assert bool(states(tmp_path)) is sealing


async def test_one_blank_journal_does_not_take_the_others_with_it(
    spool: Spool, ledger: Ledger
) -> None:
    segment = write_segment(spool, (range(5),), (range(5, 10),))
    spool.journals_of(segment.id)[1].write_bytes(b"")
    assert await recovered(spool, ledger) == [Recovered(segment.id, "salvaged")]
    [_, *journals] = spool.sealed_objects(segment.id)
    assert [found.size > 0 for found in journals] == [True, False]


async def test_a_large_file_is_not_blank_whatever_it_begins_with(
    spool: Spool, ledger: Ledger
) -> None:
    segment = write_segment(spool)
    [path] = spool.journals_of(segment.id)
    path.write_bytes(bytes(1 << 18) + b"x")
    assert await recovered(spool, ledger) == [Recovered(segment.id, "salvaged")]


async def test_a_journal_without_an_envelope_is_kept_aside(
    spool: Spool, ledger: Ledger, tmp_path: Path
) -> None:
    segment = write_segment(spool)
    spool.envelope_path(segment.id).unlink()
    await call(ledger, "call", segment.id)
    assert await recovered(spool, ledger) == [Recovered(segment.id, "quarantined")]
    assert left(spool) == {f"quarantine/{segment.id}.0.journal"}
    assert await recovered(spool, ledger) == []
    assert states(tmp_path) == {segment.id: "open"}
    assert outcomes(tmp_path) == {"call": "partial"}


async def test_rows_without_files(spool: Spool, ledger: Ledger, tmp_path: Path) -> None:
    await call(ledger, "before the answer")
    await call(ledger, "nothing written", "a")
    await call(ledger, "stored", "b")
    await call(ledger, "closed", "c")
    await ledger.advance("b", RecordingState.STORED)
    await ledger.advance("c", RecordingState.CLOSED)
    await call(ledger, "done")
    await ledger.close_call("done", Outcome.EXEMPT, ended_utc_ns=1)
    assert await recovered(spool, ledger) == []
    assert outcomes(tmp_path) == {
        "before the answer": "failed",
        "nothing written": "failed",
        "stored": "partial",
        "closed": "partial",
        "done": "exempt",
    }
    # A closed recording without files was taken away by hand: its row says so.
    assert states(tmp_path) == {"b": "purged", "c": "closed"}


async def test_however_many_there_are_the_ledger_commits_a_few_times(
    spool: Spool, ledger: Ledger, tmp_path: Path
) -> None:
    for number in range(40):
        segment = write_segment(spool, frames=5)
        await call(ledger, f"call {number}", segment.id)
        if number % 2:
            finish(segment.job(spool), spool.root)
    before = ledger._database.commits
    found = await recover(spool, ledger)
    assert [one.action for one in found] == ["waiting"] * 20
    assert ledger._database.commits - before < 10
    # A start that is over has salvaged nothing yet, and said the truth of all calls.
    assert set(outcomes(tmp_path).values()) == {"partial"}
    assert len(spool.list_journals()) == 20
    salvaged = [one async for one in salvage_waiting(found, spool, ledger)]
    assert {one.action for one in salvaged} == {"salvaged"}
    assert set(states(tmp_path).values()) == {"sealed"}


async def test_a_disk_that_takes_nothing_stops_no_start(
    spool: Spool, ledger: Ledger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    segment = write_segment(spool)
    await call(ledger, "call", segment.id)
    with monkeypatch.context() as patch:
        patch.setattr(Path, "hardlink_to", full)
        assert await recovered(spool, ledger) == [Recovered(segment.id, "left")]
    assert outcomes(tmp_path) == {"call": "partial"}
    assert spool.journals_of(segment.id)
    assert spool.envelope_path(segment.id).exists()
    assert await recovered(spool, ledger) == [Recovered(segment.id, "salvaged")]


class Killed(BaseException):
    """Stands for a kill: nothing may catch it and go on."""


class Steps:
    """Counts the steps of a recovery and is killed before one of them."""

    def __init__(self, patch: pytest.MonkeyPatch, kill_at: int) -> None:
        self.done = 0
        self._patch = patch
        self._kill_at = kill_at
        for name in ("rename", "unlink", "mkdir", "hardlink_to"):
            self._wrap(Path, name)
        for module, name in (
            (spool_module, "write_durably"),
            (spool_module, "sync_directory"),
            (shutil, "rmtree"),
            (finisher, "digest"),
        ):
            self._wrap(module, name)
        for name in ("forget_recording", "advance", "close_call", "open_recordings"):
            self._wrap_async(Ledger, name)

    def _step(self) -> None:
        if self.done == self._kill_at:
            raise Killed
        self.done += 1

    def _wrap(self, owner: object, name: str) -> None:
        real: Callable[..., object] = getattr(owner, name)

        def step(*args: object, **kwargs: object) -> object:
            self._step()
            return real(*args, **kwargs)

        self._patch.setattr(owner, name, step)

    def _wrap_async(self, owner: object, name: str) -> None:
        real: Callable[..., Awaitable[object]] = getattr(owner, name)

        async def step(*args: object, **kwargs: object) -> object:
            self._step()
            return await real(*args, **kwargs)

        self._patch.setattr(owner, name, step)


def everything(spool: Spool) -> dict[str, Segment]:
    """One recording in each state a kill can leave it in."""
    segments = {
        name: write_segment(spool, frames=5)
        for name in ("journal", "sealed", "envelope", "keyless", "done")
    }
    for name in ("sealed", "done"):
        segment = segments[name]
        [path] = spool.journals_of(segment.id)
        sources = path.read_bytes(), spool.envelope_path(segment.id).read_bytes()
        finish(segment.job(spool), spool.root)
        if name == "sealed":
            path.write_bytes(sources[0])
            spool.write_envelope(segment.id, sources[1])
    spool.journals_of(segments["envelope"].id)[0].unlink()
    spool.envelope_path(segments["keyless"].id).unlink()
    return segments


async def test_killed_between_any_two_steps(tmp_path: Path) -> None:
    """… and started again: the same as without."""
    kill_at = 0
    while True:
        directory = tmp_path / str(kill_at)
        directory.mkdir()
        spool = Spool(directory / "spool")
        spool.prepare()
        segments = everything(spool)
        ledger = Ledger(directory / "ledger.sqlite", hash_key=b"h", reserve_bytes=0)
        await ledger.start()
        for name, segment in segments.items():
            await call(ledger, name, segment.id)
        with pytest.MonkeyPatch.context() as patch:
            steps = Steps(patch, kill_at)
            try:
                await recovered(spool, ledger)
                killed = False
            except Killed:
                killed = True
        spool.close()
        spool.prepare()
        await recovered(spool, ledger)
        assert await recovered(spool, ledger) == []
        ids = {name: segment.id for name, segment in segments.items()}
        assert left(spool) == {
            f"quarantine/{ids['keyless']}.0.journal",
            *(
                f"sealed/{ids['journal']}/{name}"
                for name in (
                    "upload.json",
                    f"{ids['journal']}.key.age",
                    f"{ids['journal']}.0.journal",
                )
            ),
            *(
                f"sealed/{ids[state]}/{name}"
                for state in ("sealed", "done")
                for name in (
                    "upload.json",
                    f"{ids[state]}.key.age",
                    f"{ids[state]}.wav.age",
                    f"{ids[state]}.json.age",
                )
            ),
        }, kill_at
        assert outcomes(directory) == {
            "journal": "partial",
            "sealed": "partial",
            "envelope": "failed",
            "keyless": "partial",
            "done": "partial",
        }, kill_at
        assert states(directory) == {
            ids["journal"]: "sealed",
            ids["sealed"]: "sealed",
            ids["keyless"]: "open",
            ids["done"]: "sealed",
        }, kill_at
        await ledger.close()
        spool.close()
        if not killed:
            break
        kill_at += 1
    assert steps.done == kill_at > 20
