import getpass
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from agent.access import opening
from agent.access.opening import OpenError
from agent.archive.verification import VerificationError
from agent.cli import open as open_module
from agent.common.strict_toml import ConfigError
from agent.formats.age import (
    KeyKind,
    NoMatchError,
    encrypt,
    generate_identity,
    identity_file,
    protect_identity_file,
)
from agent.formats.container import read_wav
from agent.recording.finisher import finish
from agent.recording.spool import Spool
from tests.archive.sealed_world import World, people
from tests.cli.conftest import DiskSite
from tests.formats.rosters import ROOT, signed
from tests.recording.segments import Segment, quality, stereo, write_segment


@pytest.fixture
def key(tmp_path: Path) -> Path:
    path = tmp_path / "quality.txt"
    path.write_text(identity_file(quality().identity))
    return path


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    made = Spool(tmp_path / "spool")
    made.prepare()
    made.close()
    return made


def sealed(spool: Spool) -> Segment:
    segment = write_segment(spool)
    finish(segment.job(spool), spool.root)
    return segment


def store(spool: Spool, segment: Segment, root: Path) -> None:
    """Put the objects where the uploader would."""
    for found in spool.sealed_objects(segment.id):
        path = root / found.target / found.key
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(spool.sealed_path(segment.id, found.file), path)


def check(out: Path, segment: Segment) -> None:
    wav = out / f"{segment.id}.wav"
    assert read_wav(wav.read_bytes()).samples == stereo(range(50), 50)
    assert wav.stat().st_mode & 0o777 == 0o600
    manifest = msgspec.json.decode((out / f"{segment.id}.json").read_bytes())
    assert manifest["id"] == segment.id


def test_from_the_files_beside_each_other(
    run: Callable[..., int],
    spool: Spool,
    key: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    segment = sealed(spool)
    path = spool.sealed_path(segment.id, f"{segment.id}.wav.age")
    out = tmp_path / "out"
    assert run("open", path, "-i", key, "-o", out) == 0
    check(out, segment)
    shown = capsys.readouterr().out
    assert f"{segment.id}.wav" in shown
    assert "quality: good" in shown
    customer = next(line for line in shown.splitlines() if "customer" in line)
    figures = "customer good 4.41 0.00 % 0 ms 0.0 ms 0 ppm 0 % 0.00 %"
    assert " ".join(customer.split()) == figures


def test_from_a_copy_of_the_storages_folders(
    run: Callable[..., int], spool: Spool, key: Path, tmp_path: Path
) -> None:
    segment = sealed(spool)
    store(spool, segment, tmp_path / "storage")
    [path] = (tmp_path / "storage").rglob("*.wav.age")
    assert run("open", path, "-i", key, "-o", tmp_path / "out") == 0
    check(tmp_path / "out", segment)


def test_from_storage_by_its_id(
    run: Callable[..., int], spool: Spool, key: Path, disk_site: DiskSite
) -> None:
    segment = sealed(spool)
    disk_site.write()
    store(spool, segment, disk_site.root)
    out = disk_site.root / "out"
    config = disk_site.config
    assert run("open", segment.id, "-i", key, "-c", config, "-o", out) == 0
    check(out, segment)
    shutil.rmtree(out)
    urls = [f"file://{disk_site.root}/{name}" for name in ("locked", "state")]
    named = ["--locked-url", urls[0], "--url", urls[1]]
    assert run("open", segment.id, "-i", key, "-o", out, *named) == 0
    check(out, segment)


def test_from_a_journal_that_was_never_sealed(
    run: Callable[..., int], spool: Spool, key: Path, tmp_path: Path
) -> None:
    segment = write_segment(spool)
    together = tmp_path / "salvage"
    together.mkdir()
    [journal] = spool.journals_of(segment.id)
    shutil.copy(journal, together)
    shutil.copy(spool.envelope_path(segment.id), together)
    out = tmp_path / "out"
    assert run("open", together / journal.name, "-i", key, "-o", out) == 0
    check(out, segment)


def test_a_stranger_opens_nothing(
    run: Callable[..., int], spool: Spool, tmp_path: Path
) -> None:
    segment = sealed(spool)
    stranger = tmp_path / "stranger.txt"
    identity = generate_identity(KeyKind.CLASSIC, os.urandom)
    stranger.write_text(identity_file(identity))
    path = spool.sealed_path(segment.id, f"{segment.id}.wav.age")
    with pytest.raises(NoMatchError):
        run("open", path, "-i", stranger, "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_key_with_a_passphrase(
    run: Callable[..., int],
    spool: Spool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    segment = sealed(spool)
    path = tmp_path / "locked.txt"
    text = identity_file(quality().identity)
    path.write_bytes(protect_identity_file(text, "correct horse", os.urandom))
    monkeypatch.setattr(getpass, "getpass", lambda _: "correct horse")
    audio = spool.sealed_path(segment.id, f"{segment.id}.wav.age")
    assert run("open", audio, "-i", path, "-o", tmp_path / "out") == 0
    check(tmp_path / "out", segment)


def test_the_manifest_of_another_recording_is_refused(
    run: Callable[..., int], spool: Spool, key: Path, tmp_path: Path
) -> None:
    segment, other = sealed(spool), sealed(spool)
    manifest = spool.sealed_path(segment.id, f"{segment.id}.json.age")
    _, facts = other.opened(spool.sealed_path(other.id, ""))
    recipient = segment.key.identity.recipient()
    manifest.write_bytes(encrypt(facts.to_bytes(), [recipient], os.urandom))
    with pytest.raises(VerificationError, match="another recording"):
        run("open", manifest, "-i", key, "-o", tmp_path / "out")


def test_an_erased_recording_has_no_envelope(
    run: Callable[..., int], spool: Spool, key: Path, tmp_path: Path
) -> None:
    segment = sealed(spool)
    spool.sealed_path(segment.id, f"{segment.id}.key.age").unlink()
    audio = spool.sealed_path(segment.id, f"{segment.id}.wav.age")
    with pytest.raises(OpenError, match="envelope"):
        run("open", audio, "-i", key, "-o", tmp_path / "out")


def test_an_envelope_alone_is_not_enough(
    run: Callable[..., int], spool: Spool, key: Path, tmp_path: Path
) -> None:
    segment = write_segment(spool)
    envelope = spool.envelope_path(segment.id)
    with pytest.raises(OpenError, match="neither audio nor a journal"):
        run("open", envelope, "-i", key, "-o", tmp_path / "out")


def test_an_id_without_a_storage(run: Callable[..., int], key: Path) -> None:
    with pytest.raises(OpenError, match="no storage") as caught:
        run("open", "0123", "-i", key)
    assert "--config" in caught.value.hint


def test_no_key_at_all(spool: Spool) -> None:
    with pytest.raises(OpenError, match="no key"):
        open_module.command("0123", identity=())
    with pytest.raises(OpenError, match="cannot be read"):
        open_module.command("0123", identity=(spool.root / "none",))


def test_an_object_larger_than_any_recording(
    run: Callable[..., int],
    spool: Spool,
    key: Path,
    disk_site: DiskSite,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    segment = sealed(spool)
    disk_site.write()
    store(spool, segment, disk_site.root)
    monkeypatch.setattr(opening, "MAX_OBJECT", 10)
    with pytest.raises(OpenError, match="larger"):
        run("open", segment.id, "-i", key, "-c", disk_site.config)


async def sealed_by_its_host(tmp_path: Path) -> tuple[Path, Path]:
    """A sealed recording's audio, with its seal beside it, and a roster."""
    world = World(tmp_path / "sealed")
    segment = world.record()
    await world.uploader._objects_of(segment.id)
    roster = tmp_path / "roster.signed"
    roster.write_bytes(signed(people()))
    return world.spool.sealed_path(segment.id, f"{segment.id}.wav.age"), roster


async def test_with_a_roster_it_says_who_is_believed(
    run: Callable[..., int],
    key: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    audio, roster = await sealed_by_its_host(tmp_path)
    words = ["open", audio, "-i", key, "-o", tmp_path / "out"]
    assert run(*words) == 0
    assert "warning: no roster was given" in capsys.readouterr().err
    named = ["--roster", roster, "--root", str(ROOT.public)]
    assert run(*words, *named) == 0
    assert capsys.readouterr().err == ""
    with pytest.raises(OpenError, match="for the key that has signed it"):
        run(*words, "--roster", roster)
    audio.write_bytes(audio.read_bytes()[:-1])
    shutil.rmtree(tmp_path / "out")
    with pytest.raises(VerificationError, match=r"wav\.age: it is not what the host"):
        run(*words, *named)
    assert not (tmp_path / "out").exists()


async def test_a_configuration_names_the_roster(
    run: Callable[..., int],
    key: Path,
    tmp_path: Path,
    disk_site: DiskSite,
    capsys: pytest.CaptureFixture[str],
) -> None:
    audio, roster = await sealed_by_its_host(tmp_path)
    shutil.move(roster, disk_site.root / "signed-roster")
    path = disk_site.write()
    section = f'[roster]\npath = "signed-roster"\nroot = "{ROOT.public}"\n'
    path.write_text(path.read_text() + section)
    assert run("open", audio, "-i", key, "-o", tmp_path / "out", "-c", path) == 0
    assert capsys.readouterr().err == ""


def test_a_storage_that_recordings_may_not_go_to_is_not_searched(
    run: Callable[..., int], key: Path, disk_site: DiskSite
) -> None:
    path = disk_site.write()
    text = path.read_text().replace("[[storage]]", '[[storage]]\nregion = "US"')
    path.write_text(text)
    with pytest.raises(ConfigError, match="US"):
        run("open", "0123", "-i", key, "-c", path)
