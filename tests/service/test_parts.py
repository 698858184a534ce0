from pathlib import Path

import msgspec
import pytest

from agent.recording.spool import Spool
from agent.service.config import Config, load
from agent.service.material import read_material
from agent.service.parts import (
    build_dispatch,
    build_room,
    build_sounds,
    build_witness,
    rtp_addresses,
)
from tests.cli.conftest import DiskSite


@pytest.fixture
def config(tmp_path: Path) -> Config:
    return load(DiskSite(tmp_path).write())


def test_notices_and_tones_are_there_in_the_codecs_of_all_routes(
    config: Config, tmp_path: Path
) -> None:
    material = read_material(config, tmp_path)
    narrow = build_sounds(config, material)
    assert len(narrow) == 1 + 3
    assert all(set(one.encodings) == {"PCMA", "PCMU"} for one in narrow)
    route = msgspec.structs.replace(config.routes[0], codecs=("G722", "PCMA"))
    wide = build_sounds(
        msgspec.structs.replace(config, routes=(*config.routes, route)), material
    )
    assert all("G722" in one.encodings for one in wide)


def test_calls_need_ports_on_each_address_that_is_configured(config: Config) -> None:
    peer = msgspec.structs.replace(config.peers[0], media_address="192.0.2.1")
    config = msgspec.structs.replace(config, peers=(*config.peers, peer))
    assert rtp_addresses(config) == {config.media.address, "192.0.2.1"}


def test_the_spool_is_full_where_it_is_configured_to_be(
    config: Config, tmp_path: Path
) -> None:
    spool = Spool(tmp_path / "spool")
    spool.prepare()
    recording = msgspec.structs.replace(config.recording, spool_high_water=0.000_001)
    full = build_room(msgspec.structs.replace(config, recording=recording), spool)
    full.look()
    assert full.high
    spool.close()


async def test_without_a_signing_key_nothing_is_sealed_or_audited(
    config: Config, tmp_path: Path
) -> None:
    spool = Spool(tmp_path / "spool")
    spool.prepare()
    material = read_material(config, tmp_path)
    build_dispatch(config, spool, material, lambda _: None)
    witness = build_witness(config, spool.root, material)
    await witness.start()
    await witness.stop()
    assert not (spool.root / "audit").exists()
    spool.close()
