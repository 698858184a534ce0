import errno
import os
import random

import pytest

from agent.formats.age import KeyKind, NoMatchError, generate_identity
from agent.formats.envelope import open_envelope
from agent.formats.seal import Addressees, parse_addressees
from agent.media.events import RecordingClosed, RecordingOpened
from agent.model.call import Outcome
from agent.model.recording import RecordingState
from agent.recording.ledger import LedgerError
from tests.call.site import Site, until


async def test_the_envelope_is_durable_before_the_journal(site: Site) -> None:
    await site.start()
    await site.talk()
    recording = site.media.begins[0].recording_id
    assert site.media.told("grant_journal") == [(recording,)]
    assert site.spool.envelope_path(recording).exists()
    assert site.recorder.unfinished == 1
    order = [command[0] for command in site.media.commands]
    assert order.index("start_recording") < order.index("grant_journal")
    [row] = await site.rows()
    assert [r.state for r in row.recordings] == [RecordingState.OPEN]


async def test_nothing_secret_is_shown(site: Site) -> None:
    await site.start()
    await site.talk()
    [segment] = site.recorder._segments.values()
    assert "journal_key" not in repr(segment)
    site.trunk.hang_up()
    await until(lambda: site.finishers.jobs)
    assert "journal_key" not in repr(site.finishers.jobs[0])


async def test_quality_staff_and_the_officer_are_in_the_envelope(site: Site) -> None:
    await site.start()
    await site.talk()
    path = site.spool.envelope_path(site.media.begins[0].recording_id)
    for seed in (1, 2, 3):
        identity = generate_identity(KeyKind.CLASSIC, random.Random(seed).randbytes)
        key = open_envelope(path.read_bytes(), [identity])
        [segment] = site.recorder._segments.values()
        assert key.recipient == segment.recipient
    said = site.spool.addressees_path(site.media.begins[0].recording_id)
    names = [
        str(
            generate_identity(
                KeyKind.CLASSIC, random.Random(seed).randbytes
            ).recipient()
        )
        for seed in (1, 2, 3)
    ]
    expected = Addressees.of(segment.recipient, names)
    assert parse_addressees(said.read_bytes()) == expected
    stranger = generate_identity(KeyKind.CLASSIC, random.Random(4).randbytes)
    with pytest.raises(NoMatchError):
        open_envelope(path.read_bytes(), [stranger])


async def test_an_envelope_that_cannot_be_kept_means_no_journal(site: Site) -> None:
    await site.start()
    site.ledger.broken_segments = LedgerError("it is full.")
    site.trunk.call()
    await site.until_logged("recording_failed")
    await site.until_logged("going_on_unrecorded")
    assert not site.media.told("grant_journal")
    recording = site.media.begins[0].recording_id
    site.trunk.hang_up()
    row = await site.ended()
    assert row.outcome == Outcome.UNRECORDED
    await until(lambda: not site.recorder.unfinished)
    # Nothing was ever written, so the envelope opens nothing and is gone.
    assert not site.spool.envelope_path(recording).exists()
    assert not site.finishers.jobs


async def test_an_envelope_that_cannot_be_removed_is_said_and_left(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a file system that has become read-only, say; the next start drops it."""

    def read_only(_: str) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    await site.start()
    site.ledger.broken_segments = LedgerError("it cannot be written.")
    monkeypatch.setattr(site.spool, "purge", read_only)
    site.trunk.call()
    await site.until_logged("going_on_unrecorded")
    site.trunk.hang_up()
    assert (await site.ended()).outcome == Outcome.UNRECORDED
    await site.until_logged("envelope_not_removed")
    assert not site.logged("task_failed")
    assert site.recorder.unfinished == 0


async def test_finishing_is_tried_again_until_it_is_done(site: Site) -> None:
    await site.start()
    site.finishers.failures = 2
    await site.talk()
    site.trunk.hang_up()
    await site.until_logged("finishing_failed")
    await site.advance(1.5)
    await site.until_logged("finishing_failed", 2)
    await site.advance(5.5)
    await until(lambda: site.uploads.notified)
    assert [e["retry_in"] for e in site.logged("finishing_failed")] == [1.0, 5.0]
    [row] = await site.rows()
    assert [r.state for r in row.recordings] == [RecordingState.SEALED]


async def test_a_worker_that_never_closes_leaves_a_partial_recording(
    site: Site,
) -> None:
    await site.start()
    await site.talk()
    site.media.journals = False
    site.trunk.hang_up()
    await until(lambda: site.media.ends)
    await site.advance(0)
    assert not site.logged("ended")
    await site.advance(121)
    row = await site.ended()
    assert row.outcome == Outcome.PARTIAL
    await until(lambda: site.finishers.jobs)
    assert site.finishers.jobs[0].end.outcome == "partial"


async def test_late_words_of_workers_change_nothing(site: Site) -> None:
    await site.start()
    recorder = site.recorder
    recorder.opened(RecordingOpened(recording="none", path="x"))
    recorder.failed("none", "x")
    recorder.interrupted("none")
    closed = RecordingClosed(recording="none", path="", packets=0, blocks=0, bytes=0)
    recorder.closed(closed)
    await site.talk()
    recording = site.media.begins[0].recording_id
    recorder.interrupted(recording)
    [interrupted] = site.logged("recording_interrupted")
    assert interrupted["recording_id"] == recording
    for _ in range(2):
        recorder.failed(recording, "ENOSPC")
    assert len(site.logged("recording_failed")) == 1
    recorder.closed(
        RecordingClosed(recording=recording, path="", packets=0, blocks=0, bytes=0)
    )
    [segment] = recorder._segments.values()
    assert not segment.closed.result()


async def test_without_workers_or_room_nothing_can_be_recorded(site: Site) -> None:
    await site.start()
    assert site.recorder.can_record()
    site.media.workers_up = 0
    assert not site.recorder.can_record()
    site.media.workers_up = 1
    site.room._min_free = 1 << 62
    assert not site.recorder.can_record()
    assert site.logged("spool_refused")


async def test_draining_waits_for_the_seal(site: Site) -> None:
    await site.start()
    await site.talk()
    site.trunk.hang_up()
    await site.until_logged("ended")
    await site.recorder.drain(10.0)
    assert site.recorder.unfinished == 0
    site.recorder._task_failed("x", ValueError())
    assert site.logged("task_failed")


async def test_an_unwritable_ledger_does_not_keep_audio_from_storage(
    site: Site,
) -> None:
    await site.start()
    await site.talk()
    site.ledger.broken_states = LedgerError("it is full.")
    site.trunk.hang_up()
    await until(lambda: site.uploads.notified)
    assert len(site.logged("ledger_unwritable")) == 2
    # Nor does it keep one that never was from being forgotten.
    site.media.journals = False
    site.trunk.call()
    await site.until_logged("recording_begun", 2)
    site.trunk.hang_up()
    await until(lambda: len(site.media.ends) == 2)
    await site.advance(0)
    await site.advance(121)
    await until(lambda: not site.recorder.unfinished)
    await site.until_logged("ledger_unwritable", 3)


async def test_the_verdict_on_the_quality_is_logged_and_in_the_ledger(
    site: Site,
) -> None:
    await site.start()
    await site.talk()
    site.trunk.hang_up()
    await until(lambda: site.uploads.notified)
    [line] = site.logged("sealed")
    assert line["verdict"] == "one-way"
    [recording] = await site.ledger.open_recordings()
    assert recording.verdict == "one-way"


async def test_what_cannot_be_finished_here_is_stored_as_it_is(site: Site) -> None:
    await site.start()
    site.finishers.salvaged = "its journal is damaged."
    await site.talk()
    site.trunk.hang_up()
    await until(lambda: site.uploads.notified)
    assert site.logged("sealed_unfinished")
    assert not site.logged("sealed")


async def test_a_failure_after_the_end_is_told_all_the_same(site: Site) -> None:
    await site.start()
    await site.talk()
    [segment] = site.recorder._segments.values()
    segment.closed.set_result(
        RecordingClosed(
            recording=segment.recording_id, path="", packets=0, blocks=0, bytes=0
        )
    )
    site.recorder.failed(segment.recording_id, "EIO")
    assert segment.gap
    assert len(site.logged("recording_failed")) == 1
