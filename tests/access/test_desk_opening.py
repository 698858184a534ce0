from pathlib import Path

import msgspec
import pytest

from agent.access.config import (
    ArchiveConfig,
    IndexKeyConfig,
    PersonConfig,
)
from agent.access.desk import DeskError
from agent.access.desk_opening import open_desk, read_roster
from agent.formats.age import identity_file
from agent.formats.blind_index import IndexKeys
from agent.formats.roster import RosterError
from agent.identity.config import RosterConfig
from agent.signalling.secrets import SecretError
from agent.upload.config import StorageConfig
from tests.access.site import NOW
from tests.formats.rosters import ROOT, roster, signed
from tests.recording.segments import quality


def config(tmp_path: Path, **changes: object) -> ArchiveConfig:
    storage = StorageConfig(
        locked_url=f"file://{tmp_path}/locked", url=f"file://{tmp_path}/state"
    )
    return msgspec.structs.replace(ArchiveConfig(storage=(storage,)), **changes)


def secret(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o600)
    return path.name


def never(prompt: str) -> str:
    pytest.fail(prompt)


async def test_all_that_the_configuration_names_is_read(tmp_path: Path) -> None:
    (tmp_path / "roster").write_bytes(signed())
    mine = secret(tmp_path / "me.txt", identity_file(quality().identity))
    root = secret(tmp_path / "root", "ab" * 32 + "\n")
    made = config(
        tmp_path,
        person=PersonConfig(id="p-quinn", identities=(mine,)),
        roster=RosterConfig(path="roster", root=str(ROOT.public)),
        index=IndexKeyConfig(keys=root),
    )
    async with open_desk(
        made, tmp_path, today=NOW.date(), memory=tmp_path / "memory", ask=never
    ) as desk:
        assert desk.person == "p-quinn"
        assert [one.encode() for one in desk.identities] == [
            quality().identity.encode()
        ]
        assert desk.roster is not None
        assert desk.roster.serial == 7
        assert desk.index == bytes.fromhex("ab" * 32)
        assert len(desk.targets) == 1
        assert desk.gate is None


async def test_index_keys_as_a_host_holds_them(tmp_path: Path) -> None:
    held = IndexKeys({"2026-11": bytes(32)})
    name = secret(tmp_path / "keys.json", held.to_bytes().decode())
    made = config(tmp_path, index=IndexKeyConfig(keys=name))
    async with open_desk(
        made, tmp_path, today=NOW.date(), memory=tmp_path, ask=never
    ) as desk:
        assert desk.index == held


@pytest.mark.parametrize("text", ["ab" * 31, "zz" * 32, ""])
async def test_index_keys_that_are_none(tmp_path: Path, text: str) -> None:
    name = secret(tmp_path / "root", text)
    made = config(tmp_path, index=IndexKeyConfig(keys=name))
    with pytest.raises(DeskError, match="neither"):
        async with open_desk(
            made, tmp_path, today=NOW.date(), memory=tmp_path, ask=never
        ):
            pytest.fail("it opened")


async def test_index_keys_that_others_can_read_are_refused(tmp_path: Path) -> None:
    name = secret(tmp_path / "root", "ab" * 32)
    (tmp_path / name).chmod(0o644)
    made = config(tmp_path, index=IndexKeyConfig(keys=name))
    with pytest.raises(SecretError, match="0644"):
        async with open_desk(
            made, tmp_path, today=NOW.date(), memory=tmp_path, ask=never
        ):
            pytest.fail("it opened")


def test_an_older_roster_than_one_that_was_seen_is_refused(tmp_path: Path) -> None:
    settings = RosterConfig(path="roster", root=str(ROOT.public))
    made = config(tmp_path, roster=settings)
    memory = tmp_path / "memory"
    (tmp_path / "roster").write_bytes(signed(roster(serial=8)))
    assert read_roster(made, tmp_path, memory) is not None
    (tmp_path / "roster").write_bytes(signed(roster(serial=7)))
    with pytest.raises(RosterError, match="8 has been seen"):
        read_roster(made, tmp_path, memory)
    assert read_roster(config(tmp_path), tmp_path, memory) is None
    (tmp_path / "file").touch()
    with pytest.raises(DeskError, match="cannot be made"):
        read_roster(made, tmp_path, tmp_path / "file" / "below")
