"""What an operator, a backup or another program may leave in the spool."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.common.ids import new_id
from agent.recording.ledger import Ledger
from agent.recording.recovery import Recovered
from agent.recording.spool import SealedError, Spool
from tests.recording.segments import write_segment
from tests.recording.starts import recovered

ID = "123e4567-e89b-42d3-a456-426614174000"
NAMES = {
    "journal": f"{ID}.0.journal",
    "keys": f"{ID}.key.age",
    "sealed": ID,
    "work": ID,
    "quarantine": f"{ID}.0.journal",
}
"Names of ours that what is there does not deserve."


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger.sqlite", hash_key=b"h", reserve_bytes=0)
    await ledger.start()
    yield ledger
    await ledger.close()


def strange(place: Path, name: str, kind: str) -> Path:
    """Put something strange there."""
    path = place / name
    match kind:
        case "directory":
            path.mkdir()
            (path / "within").write_bytes(b"x")
        case "link":
            path.symlink_to(place.parent / "outside")
        case "link to a directory":
            path.symlink_to(place.parent / "outside.d")
        case "dangling link":
            path.symlink_to("nowhere")
        case "pipe":
            os.mkfifo(path)
        case "file":
            path.write_bytes(b"x")
    return path


@pytest.mark.parametrize(
    ("kind", "but"),
    [
        ("directory", {"sealed", "work"}),
        ("file", {"journal", "keys", "quarantine"}),
        ("link", set()),
        ("link to a directory", set()),
        ("dangling link", set()),
        ("pipe", set()),
    ],
)
async def test_what_has_our_names_but_is_no_file_of_ours_stops_nothing(
    spool: Spool, ledger: Ledger, kind: str, but: set[str]
) -> None:
    """A directory would be a recording in `sealed` alone, and so on: `but` there."""
    outside = spool.root / "outside"
    outside.write_bytes(b"not ours")
    (spool.root / "outside.d").mkdir()
    (spool.root / "outside.d" / "file").write_bytes(b"not ours")
    made = {
        place: strange(spool.root / place, name, kind)
        for place, name in NAMES.items()
        if place not in but
    }
    segment = write_segment(spool)
    spool.close()
    spool.prepare()
    assert await recovered(spool, ledger) == [Recovered(segment.id, "salvaged")]
    assert spool.list_sealed() == [segment.id]
    spool.purge(segment.id)
    # Nothing of it was taken, followed or removed but in the place for scraps.
    assert outside.read_bytes() == b"not ours"
    assert (spool.root / "outside.d" / "file").exists()
    for place, path in made.items():
        assert os.path.lexists(path) is (place != "work"), place


@pytest.mark.parametrize("kind", ["file", "directory", "link", "dangling link", "pipe"])
async def test_other_names_are_let_be(spool: Spool, ledger: Ledger, kind: str) -> None:
    (spool.root / "outside").write_bytes(b"not ours")
    names = ("lost+found", ".x.tmp", "copy.key.age", f"{ID}.journal", f"{ID}.old")
    for place in NAMES:
        for name in names:
            strange(spool.root / place, name, kind)
    segment = write_segment(spool)
    spool.close()
    spool.prepare()
    assert await recovered(spool, ledger) == [Recovered(segment.id, "salvaged")]
    assert spool.list_sealed() == [segment.id]
    for place in NAMES:
        left = {path.name for path in (spool.root / place).iterdir()}
        there = {*names} if place != "work" else set()
        if place == "keys" and kind == "file":
            there.discard(".x.tmp")  # as our own half-made envelopes are called
        assert left - {segment.id} == there, place


def test_a_sealed_recording_without_its_list_is_put_off_by_itself(
    spool: Spool,
) -> None:
    """For good: it must not pass for a storage that fails, which all would wait for."""
    name = new_id()
    (spool.sealed_directory / name).mkdir()
    with pytest.raises(SealedError, match="is missing") as caught:
        spool.sealed_objects(name)
    assert caught.value.permanent
