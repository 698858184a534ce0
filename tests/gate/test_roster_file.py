from pathlib import Path

import msgspec
import pytest
import structlog

from agent.formats.roster import RosterError
from agent.gate.roster_file import RosterFile
from tests.formats.rosters import ROOT, roster, signed


def test_a_newer_roster_counts_a_broken_or_older_one_does_not(tmp_path: Path) -> None:
    path = tmp_path / "roster.signed"
    path.write_bytes(signed())
    file = RosterFile(path, str(ROOT.public), tmp_path)
    assert file().serial == 7
    path.write_bytes(signed(msgspec.structs.replace(roster(), serial=9)))
    file.reload()
    assert file().serial == 9
    for bad in (signed(), b"{}\n", signed()[:-40]):
        path.write_bytes(bad)
        with structlog.testing.capture_logs() as lines:
            file.reload()
        assert [line["event"] for line in lines] == ["roster_refused"]
        assert file().serial == 9
    path.write_bytes(signed())
    with pytest.raises(RosterError, match="serial"):
        RosterFile(path, str(ROOT.public), tmp_path)
