import os
from hashlib import sha256
from pathlib import Path

import pytest

from agent.formats.age import KeyKind
from agent.formats.blind_index import IndexKeys
from agent.formats.container import read_wav
from agent.formats.journal import NotAJournalError
from agent.recording.finisher import (
    Finished,
    FinisherError,
    finish,
    finish_journals,
    salvage,
)
from agent.recording.spool import Spool
from tests.recording.segments import (
    CALLER,
    DAY,
    OFFICER,
    Segment,
    end,
    mark,
    payload,
    stereo,
    write_segment,
)


def sealed_directory(spool: Spool, segment: Segment) -> Path:
    return spool.sealed_directory / segment.id


def all_files(spool: Spool) -> dict[str, bytes]:
    return {
        str(path.relative_to(spool.root)): path.read_bytes()
        for path in spool.root.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("kind", KeyKind)
def test_a_finished_call_opens_with_exact_samples(spool: Spool, kind: KeyKind) -> None:
    heard = [*range(10), *range(30, 50)]
    segment = write_segment(spool, (range(10), range(30, 50), end(50)), kind=kind)
    finished = finish(segment.job(spool), spool.root)
    wav, manifest = segment.opened(sealed_directory(spool, segment))
    assert read_wav(wav).samples == stereo(heard, 50)
    assert manifest.audio.sha256 == sha256(wav).hexdigest()
    assert manifest.audio.size == len(wav)
    assert manifest.caller == CALLER
    assert manifest.officers[0].name == OFFICER
    path = spool.sealed_path(segment.id, f"{segment.id}.wav.age")
    assert finished == Finished(
        recording_id=segment.id,
        outcome="recorded",
        duration_ms=1000,
        size=path.stat().st_size,
        lost=40,
        verdict="degraded",
    )


def test_the_sealed_directory(spool: Spool) -> None:
    segment = write_segment(spool)
    envelope = spool.envelope_path(segment.id).read_bytes()
    finish(segment.job(spool), spool.root)
    objects = spool.sealed_objects(segment.id)
    # The envelope first: audio that nobody can open would be no recording.
    assert [(sealed.target, sealed.key) for sealed in objects] == [
        ("state", f"keys/{DAY}/{segment.id}.key.age"),
        ("locked", f"audio/{DAY}/{segment.id}.wav.age"),
        ("locked", f"manifest/{DAY}/{segment.id}.json.age"),
    ]
    for sealed in objects:
        path = spool.sealed_path(segment.id, sealed.file)
        data = path.read_bytes()
        assert (sealed.size, sealed.sha256) == (len(data), sha256(data).hexdigest())
        assert path.stat().st_mode & 0o777 == 0o600
    assert spool.sealed_path(segment.id, objects[0].file).read_bytes() == envelope
    assert set(all_files(spool)) == {
        "lock",
        *(f"sealed/{segment.id}/{sealed.file}" for sealed in objects),
        f"sealed/{segment.id}/upload.json",
    }


def test_no_plaintext_in_any_file_at_any_time(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = [payload(0, 7), payload(1, 7), CALLER[1:].encode(), OFFICER.encode()]
    # Interleaved as in the track, too.
    secrets += [stereo([7], 8)[-200:], b"RIFF", b"fi\x00", OFFICER[:5].encode()]
    seen = 0
    fsync = os.fsync

    def look(fd: int) -> None:
        nonlocal seen
        seen += 1
        fsync(fd)
        for name, data in all_files(spool).items():
            for secret in secrets:
                assert secret not in data, name

    segment = write_segment(spool)
    monkeypatch.setattr(os, "fsync", look)
    finish(segment.job(spool), spool.root)
    look(os.open(spool.root, os.O_RDONLY | os.O_CLOEXEC))
    assert seen > 3
    names = "".join(all_files(spool))
    assert CALLER[1:] not in names
    assert OFFICER[:5] not in names


def test_two_epochs_are_partial(spool: Spool) -> None:
    segment = write_segment(
        spool,
        (range(10),),
        (mark(10, "gap-begin"), mark(20, "gap-end"), range(20, 30), end(30)),
        frames=30,
    )
    finished = finish(segment.job(spool), spool.root)
    wav, manifest = segment.opened(sealed_directory(spool, segment))
    assert read_wav(wav).samples == stereo([*range(10), *range(20, 30)], 30)
    assert finished.outcome == manifest.outcome == "partial"
    assert {gap.reason for gap in manifest.gaps} == {"gap"}
    assert finished.missing_ms == 200


def test_a_torn_journal_is_partial(spool: Spool) -> None:
    segment = write_segment(spool, (range(25), range(25, 50)), whole=False)
    [path] = spool.journals_of(segment.id)
    os.truncate(path, path.stat().st_size - 100)
    assert finish(segment.job(spool), spool.root).outcome == "partial"
    wav, _ = segment.opened(sealed_directory(spool, segment))
    assert read_wav(wav).samples == stereo(range(25), 50)


def test_a_journal_opened_where_the_key_is_gives_the_same(spool: Spool) -> None:
    segment = write_segment(spool, (range(10), range(20, 50), end(50)))
    journals = [path.read_bytes() for path in spool.journals_of(segment.id)]
    _, wav, manifest = finish_journals(journals, segment.key)
    finish(segment.job(spool), spool.root)
    assert (wav, manifest) == segment.opened(sealed_directory(spool, segment))


def test_a_dead_hosts_journals_in_any_order(spool: Spool) -> None:
    parts = [(range(n, n + 1),) for n in range(11)]
    segment = write_segment(spool, *parts, frames=11, whole=False)
    journals = [path.read_bytes() for path in spool.journals_of(segment.id)]
    by_name = [journals[n] for n in (0, 1, 10, *range(2, 10))]
    _, wav, manifest = finish_journals([b"torn", *by_name], segment.key)
    assert read_wav(wav).samples == stereo(range(11), 11)
    assert (manifest.outcome, manifest.end_cause) == ("partial", "agent-died")
    with pytest.raises(NotAJournalError):
        finish_journals([b"torn"], segment.key)


# -- what goes wrong ----------------------------------------------------------------


@pytest.mark.parametrize("torn", [0, 40])
def test_what_makes_no_recording_is_sealed_as_it_is(spool: Spool, torn: int) -> None:
    segment = write_segment(spool)
    [path] = spool.journals_of(segment.id)
    os.truncate(path, torn)
    finished = finish(segment.job(spool), spool.root)
    assert "not a journal" in finished.salvaged
    assert (finished.outcome, finished.size) == ("partial", torn)
    assert [sealed.file for sealed in spool.sealed_objects(segment.id)] == [
        f"{segment.id}.key.age",
        f"{segment.id}.0.journal",
    ]
    assert spool.list_journals() == {}


def test_a_codec_without_decoder_loses_nothing(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    segment = write_segment(spool)
    [journal] = [path.read_bytes() for path in spool.journals_of(segment.id)]
    monkeypatch.setattr("agent.formats.rendering._LAWS", {})
    finished = finish(segment.job(spool), spool.root)
    assert "no decoder for PCMA" in finished.salvaged
    monkeypatch.undo()
    path = spool.sealed_path(segment.id, f"{segment.id}.0.journal")
    assert path.read_bytes() == journal
    _, wav, _ = finish_journals([journal], segment.key)
    assert read_wav(wav).samples == stereo(range(50), 50)


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), FinisherError("later.")]
)
def test_a_full_disk_changes_nothing(
    spool: Spool, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    segment = write_segment(spool)
    before = all_files(spool)

    def fail(_fd: int) -> None:
        raise error

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        with pytest.raises(type(error)):
            finish(segment.job(spool), spool.root)
    assert all_files(spool) == before
    assert finish(segment.job(spool), spool.root).outcome == "recorded"


class Killed(BaseException):
    """Stands for a kill: nothing may catch it and go on."""


class Steps:
    """Counts what touches files, and is killed before one of them."""

    def __init__(self, patch: pytest.MonkeyPatch, kill_at: int) -> None:
        self.done = 0
        self._patch = patch
        self._kill_at = kill_at
        for name in ("open", "mkdir", "rename", "unlink", "replace"):
            self._wrap(name, Path)
        for name in ("fsync", "open"):
            self._wrap(name, os)

    def _wrap(self, name: str, owner: object) -> None:
        real = getattr(owner, name)

        def step(*args: object, **kwargs: object) -> object:
            if self.done == self._kill_at:
                raise Killed
            self.done += 1
            return real(*args, **kwargs)

        self._patch.setattr(owner, name, step)


def test_killed_between_any_two_steps_and_done_again(tmp_path: Path) -> None:
    """The pool runs a job again whose process died."""
    kill_at = 0
    killed = True
    while killed:
        spool = Spool(tmp_path / str(kill_at))
        spool.prepare()
        segment = write_segment(spool, frames=5)
        job = segment.job(spool)
        with pytest.MonkeyPatch.context() as patch:
            Steps(patch, kill_at)
            try:
                finish(job, spool.root)
                killed = False
            except Killed:
                killed = True
        finished = finish(job, spool.root)
        assert finished.outcome in {"recorded", "partial"}
        assert finished.size > 0
        wav, manifest = segment.opened(sealed_directory(spool, segment))
        assert read_wav(wav).samples == stereo(range(5), 5)
        assert manifest.outcome == "recorded"
        assert spool.list_journals() == {}
        assert spool.list_envelopes() == []
        assert list(spool.work_directory.iterdir()) == []
        spool.close()
        kill_at += 1
    assert kill_at > 15


KEYS = IndexKeys({"2026-11": bytes(32)})


def test_a_recording_is_indexed_under_its_numbers(spool: Spool) -> None:
    segment = write_segment(spool)
    finished = finish(segment.job(spool), spool.root, index=KEYS)
    assert finished.unindexed == ""
    caller, officer = spool.sealed_objects(segment.id)[3:]
    assert caller.key.startswith("index/2026-11/caller/")
    assert officer.key.startswith("index/2026-11/officer/")
    for one in (caller, officer):
        assert (one.target, one.size, one.sha256) == ("state", 0, sha256().hexdigest())
        assert spool.sealed_path(segment.id, one.file).read_bytes() == b""
    assert KEYS.months["2026-11"].hex() not in str(spool.sealed_objects(segment.id))


def test_a_month_without_an_index_key_is_told(spool: Spool) -> None:
    segment = write_segment(spool)
    finished = finish(segment.job(spool), spool.root, index=IndexKeys())
    assert finished.unindexed == "2026-11"
    [name] = spool.sealed_objects(segment.id)[3:]
    assert name.key == f"index/2026-11/unindexed/{segment.id}"


def test_what_is_salvaged_stands_among_the_unindexed(spool: Spool) -> None:
    segment = write_segment(spool, whole=False)
    salvage(segment.id, spool, indexed=True)
    *_, last = spool.sealed_objects(segment.id)
    assert f"/unindexed/{segment.id}" in last.key


def test_what_is_said_of_the_envelope_goes_along(spool: Spool) -> None:
    segment = write_segment(spool)
    spool.addressees_path(segment.id).write_bytes(b"said")
    finish(segment.job(spool), spool.root)
    name = f"{segment.id}.addressees"
    assert spool.sealed_path(segment.id, name).read_bytes() == b"said"
    assert not spool.addressees_path(segment.id).exists()
    # It stays on the host.
    assert name not in [one.file for one in spool.sealed_objects(segment.id)]
