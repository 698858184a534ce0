import errno
import os
import shutil
from pathlib import Path

import pytest

from agent.recording import spool as spool_module
from agent.recording.spool import UPLOADS, SealedObject, Spool, SpoolError
from tests.power.faults import cuts
from tests.power.tape import Tape

ONE = "123e4567-e89b-42d3-a456-426614174000"
TWO = "223e4567-e89b-42d3-a456-426614174000"
OBJECT = SealedObject(file="f", target="locked", key="audio/f", sha256="00", size=1)


def modes(root: Path) -> set[str]:
    return {
        f"{path.stat().st_mode & 0o777:o} {'dir' if path.is_dir() else 'file'}"
        for path in [root, *root.rglob("*")]
    }


def journal(spool: Spool, recording_id: str, epoch: int = 0) -> Path:
    path = spool.journal_directory / f"{recording_id}.{epoch}.journal"
    path.write_bytes(b"journal")
    return path


def seal(spool: Spool, recording_id: str, data: bytes = b"1") -> None:
    work = spool.begin_work(recording_id)
    (work / "f").write_bytes(data)
    spool.commit_sealed(recording_id, work, [OBJECT])


def test_nobody_else_reads_it(tmp_path: Path) -> None:
    root = tmp_path / "spool"
    root.mkdir(mode=0o755)
    (root / "journal").mkdir(mode=0o777)
    spool = Spool(root)
    spool.prepare()
    spool.write_envelope(ONE, b"envelope")
    work = spool.begin_work(ONE)
    spool.commit_sealed(ONE, work, [OBJECT])
    assert modes(root) == {"700 dir", "600 file"}
    spool.close()


def test_one_daemon_at_a_time(tmp_path: Path) -> None:
    first, second = Spool(tmp_path), Spool(tmp_path)
    first.prepare()
    with pytest.raises(SpoolError, match="another daemon"):
        second.prepare()
    first.close()
    first.close()
    second.prepare()
    second.close()


def test_a_second_daemon_takes_nothing_away(spool: Spool) -> None:
    work = spool.begin_work(ONE)
    with pytest.raises(SpoolError):
        Spool(spool.root).prepare()
    assert work.exists()


def test_no_directory_to_be_had(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(SpoolError, match="cannot be used: Not a directory"):
        Spool(tmp_path / "file" / "spool").prepare()


def test_what_was_half_made_is_forgotten(tmp_path: Path) -> None:
    spool = Spool(tmp_path)
    spool.prepare()
    (spool.begin_work(ONE) / "half").write_bytes(b"1")
    (spool.work_directory / "stray").write_bytes(b"1")
    half = [directory / ".x.tmp" for directory in (tmp_path, spool.keys_directory)]
    for path in half:
        path.write_bytes(b"")
    spool.close()
    spool.prepare()
    assert list(spool.work_directory.iterdir()) == []
    assert not any(path.exists() for path in half)
    spool.close()


def test_journals_by_recording_and_epoch(spool: Spool) -> None:
    paths = [journal(spool, ONE, epoch) for epoch in (10, 2, 0)]
    other = journal(spool, TWO)
    for name in (".hidden", f"{ONE}.journal", f"{ONE}.x.journal", "notes.txt"):
        (spool.journal_directory / name).write_bytes(b"")
    assert spool.list_journals() == {ONE: paths[::-1], TWO: [other]}
    assert spool.journals_of(ONE) == paths[::-1]
    assert spool.journals_of("323e4567-e89b-42d3-a456-426614174000") == []


def test_quarantine(spool: Spool) -> None:
    journal(spool, ONE, 0)
    journal(spool, ONE, 1)
    spool.quarantine(ONE)
    spool.quarantine(ONE)
    assert spool.list_journals() == {}
    assert spool.list_quarantined() == [ONE]


def test_sealed_recordings_the_oldest_first(spool: Spool) -> None:
    for age, recording_id in enumerate((TWO, ONE)):
        seal(spool, recording_id)
        os.utime(spool.sealed_directory / recording_id, (age, age))
    assert spool.list_sealed() == [TWO, ONE]
    assert spool.is_sealed(ONE)
    assert not spool.is_sealed("none")
    assert spool.sealed_objects(ONE) == [OBJECT]
    assert spool.sealed_path(ONE, "f").read_bytes() == b"1"


def test_the_first_sealed_stands(spool: Spool) -> None:
    seal(spool, ONE, b"first")
    seal(spool, ONE, b"second")
    assert spool.sealed_path(ONE, "f").read_bytes() == b"first"
    assert list(spool.work_directory.iterdir()) == []


def test_a_seal_that_cannot_be_renamed(spool: Spool) -> None:
    work = spool.begin_work(ONE)
    shutil.rmtree(spool.sealed_directory)
    with pytest.raises(FileNotFoundError):
        spool.commit_sealed(ONE, work, [OBJECT])
    assert work.exists()


def test_a_damaged_list(spool: Spool) -> None:
    seal(spool, ONE)
    spool.sealed_path(ONE, UPLOADS).write_bytes(b"[")
    with pytest.raises(SpoolError, match="damaged"):
        spool.sealed_objects(ONE)


def test_purge(spool: Spool) -> None:
    spool.write_envelope(ONE, b"envelope")
    journal(spool, ONE)
    seal(spool, ONE)
    spool.purge(ONE)
    spool.purge(ONE)
    kept = [p.relative_to(spool.root) for p in spool.root.rglob("*") if p.is_file()]
    assert kept == [Path("lock")]


@pytest.mark.parametrize("epochs", [1, 2])
def test_nothing_of_a_purged_recording_comes_back(spool: Spool, epochs: int) -> None:
    """… by a power cut: it would be salvaged, and stored a second time."""
    for epoch in range(epochs):
        journal(spool, ONE, epoch)
    spool.write_envelope(ONE, b"envelope")
    seal(spool, ONE)
    with Tape(spool.root) as tape:
        spool.purge(ONE)
    tape.check()
    for done, _, _, state in cuts(tape.before, tape.steps):
        left = [path for path in state.contents() if ONE in path]
        sealed = any(path.startswith("sealed/") for path in left)
        sources = [path for path in left if path.startswith(("journal/", "keys/"))]
        assert sealed or not sources, done


def test_the_spools_own_directories_survive_a_power_cut(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "a" / "spool")
    with Tape(tmp_path) as tape:
        spool.prepare()
        spool.write_envelope(ONE, b"envelope")
    spool.close()
    for left in tape.survivors():
        assert left[f"a/spool/keys/{ONE}.key.age"] == b"envelope"
        assert {"a/spool/journal", "a/spool/sealed", "a/spool/work"} <= set(left)


class Killed(BaseException):
    """Stands for a kill: nothing may catch it and go on."""


def steps(monkeypatch: pytest.MonkeyPatch, kill_at: int | None) -> list[str]:
    """Count what changes files, and be killed before the given one."""
    done: list[str] = []

    def wrap(owner: object, name: str) -> None:
        real = getattr(owner, name)

        def step(*args: object, **kwargs: object) -> object:
            if len(done) == kill_at:
                raise Killed
            done.append(name)
            return real(*args, **kwargs)

        monkeypatch.setattr(owner, name, step)

    for name in ("rename", "unlink", "mkdir", "hardlink_to"):
        wrap(Path, name)
    wrap(shutil, "rmtree")
    wrap(spool_module, "write_durably")
    wrap(spool_module, "sync_directory")
    return done


@pytest.mark.parametrize("kill_at", range(16))
@pytest.mark.parametrize("act", ["commit", "purge"])
def test_killed_between_any_two_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: str, kill_at: int
) -> None:
    """The next start finds a whole sealed recording, or its sources, or nothing."""
    spool = Spool(tmp_path)
    spool.prepare()
    spool.write_envelope(ONE, b"envelope")
    journal(spool, ONE)
    if act == "purge":
        seal(spool, ONE)
    with monkeypatch.context() as patch:
        done = steps(patch, kill_at)
        try:
            if act == "commit":
                seal(spool, ONE)
                spool.forget_sources(ONE)
            else:
                spool.purge(ONE)
            killed = False
        except Killed:
            killed = True
        assert killed or len(done) <= kill_at
    spool.close()
    spool.prepare()
    sealed, sources = spool.is_sealed(ONE), bool(spool.journals_of(ONE))
    if sealed:
        assert {p.name for p in (spool.sealed_directory / ONE).iterdir()} == {
            "f",
            UPLOADS,
        }
    if act == "commit":
        assert sealed or (sources and spool.envelope_path(ONE).exists())
        if not killed:
            assert sealed
            assert not sources
    else:
        assert sealed or not sources
        spool.purge(ONE)
        assert not spool.is_sealed(ONE)
        assert not spool.envelope_path(ONE).exists()
    spool.close()


def test_when_it_was_sealed(spool: Spool) -> None:
    seal(spool, ONE)
    os.utime(spool.sealed_directory / ONE, ns=(0, 7))
    os.utime(spool.sealed_path(ONE, "upload.json"), ns=(0, 5))
    # What is put into the directory later makes it no younger.
    assert spool.sealed_at(ONE) == 5
    spool.sealed_path(ONE, "upload.json").unlink()
    assert spool.sealed_at(ONE) > 7  # one that is damaged
    with pytest.raises(FileNotFoundError):
        spool.sealed_at(TWO)


def test_an_envelope_and_what_is_said_of_it(spool: Spool) -> None:
    spool.write_envelope(ONE, b"envelope", b"addressees")
    spool.write_envelope(TWO, b"envelope")
    assert spool.addressees_path(ONE).read_bytes() == b"addressees"
    assert spool.list_envelopes() == sorted([ONE, TWO])
    spool.forget_envelope(ONE)
    assert spool.list_envelopes() == [TWO]
    assert not spool.addressees_path(ONE).exists()


def test_what_is_said_of_an_envelope_that_never_came_is_forgotten(spool: Spool) -> None:
    spool.write_envelope(ONE, b"envelope", b"addressees")
    spool.write_envelope(TWO, b"envelope", b"addressees")
    spool.envelope_path(TWO).unlink()
    spool.close()
    spool.prepare()
    assert spool.addressees_path(ONE).exists()
    assert not spool.addressees_path(TWO).exists()


def test_a_key_is_destroyed_also_where_no_note_of_it_can_be_kept(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    spool.write_envelope(ONE, b"envelope", b"addressees")
    journal(spool, ONE)
    monkeypatch.setattr(spool_module, "write_durably", full)
    with pytest.raises(OSError, match="full"):
        spool.condemn(ONE)
    assert not [*spool.keys_directory.iterdir()]
    spool.forget_sources(ONE)
    assert spool.journals_of(ONE) == []
