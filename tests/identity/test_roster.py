from pathlib import Path

import pytest

from agent.formats.roster import RosterError
from agent.identity.roster import (
    MAX_FILE,
    Seen,
    SerialError,
    load_roster,
    remember_roster,
    remember_serial,
    seen_document,
)
from tests.formats.rosters import ROOT, roster, signed, signing_key

PINNED = str(ROOT.public)


def test_a_signed_roster_is_read(tmp_path: Path) -> None:
    path = tmp_path / "roster.signed"
    path.write_bytes(signed())
    assert load_roster(path, PINNED) == roster()
    assert load_roster(path, f"{PINNED} offline root\n", seen=Seen(7)) == roster()
    with pytest.raises(RosterError, match="serial is 7"):
        load_roster(path, PINNED, seen=Seen(8))
    with pytest.raises(RosterError, match="its signature"):
        load_roster(path, str(signing_key("else").public))


def test_a_file_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(RosterError, match=r"roster\.signed cannot be read: No such"):
        load_roster(tmp_path / "roster.signed", PINNED)
    with pytest.raises(RosterError, match="the root's key: "):
        load_roster(tmp_path / "roster.signed", "ssh-rsa AAAA")
    huge = tmp_path / "huge"
    with huge.open("wb") as file:
        file.truncate(MAX_FILE + 1)
    with pytest.raises(RosterError, match="too large"):
        load_roster(huge, PINNED)


def test_the_highest_serial_is_remembered(tmp_path: Path) -> None:
    path = tmp_path / "roster-serial"
    assert seen_document(path) == Seen()
    for serial in (3, 7, 5):
        remember_serial(path, serial)
    assert seen_document(path) == Seen(7)
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("data", [b"", b"seven", b"-7\n", b"7" * 40, b"7 abc\n"])
def test_a_memory_that_was_altered_is_not_taken_for_none(
    tmp_path: Path, data: bytes
) -> None:
    path = tmp_path / "roster-serial"
    path.write_bytes(data)
    with pytest.raises(SerialError, match="does not hold a serial"):
        remember_serial(path, 8)


def test_a_memory_that_cannot_be_kept_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SerialError, match="cannot be read"):
        seen_document(tmp_path)
    with pytest.raises(SerialError, match="cannot be written"):
        remember_serial(tmp_path / "nowhere" / "serial", 1)


def test_two_rosters_of_one_serial_are_not_both_believed(tmp_path: Path) -> None:
    path, memory = tmp_path / "roster.signed", tmp_path / "roster-serial"
    path.write_bytes(signed())
    remember_serial(memory, 7)  # as versions before this one did
    remember_roster(memory, load_roster(path, PINNED, seen=seen_document(memory)))
    load_roster(path, PINNED, seen=seen_document(memory))
    fewer = roster(people=roster().people[:4])
    path.write_bytes(signed(fewer))
    with pytest.raises(RosterError, match="serial 7 is that of another roster"):
        load_roster(path, PINNED, seen=seen_document(memory))
    newer = roster(people=fewer.people, serial=8)
    path.write_bytes(signed(newer))
    remember_roster(memory, load_roster(path, PINNED, seen=seen_document(memory)))
    assert seen_document(memory).serial == 8
