from pathlib import Path
from typing import Any

import msgspec
import pytest

from agent.call.control import CallControl
from agent.common.ids import SecureRandom
from agent.common.service_manager import ServiceManager
from agent.service.config import load
from agent.service.material import read_material
from agent.service.sip_parts import (
    build_guard,
    build_sip,
    certificate_names,
)
from agent.service.succession import Succession
from agent.signalling.sip.core import ALLOW
from tests.cli.conftest import DiskSite


@pytest.fixture
def site(tmp_path: Path) -> DiskSite:
    return DiskSite(tmp_path)


async def test_signalling_is_built_of_what_is_configured(site: DiskSite) -> None:
    config = load(site.write())
    trunk = msgspec.structs.replace(
        config.peers[0], uri="sip:PBX.example", certificate="SBC.example"
    )
    config = msgspec.structs.replace(config, peers=(trunk, *config.peers[1:]))
    ledger: Any = None  # no call is made
    control = CallControl(ledger=ledger, guard=build_guard(config), max_calls=4)
    parts = build_sip(
        config,
        read_material(config, site.root),
        control,
        succession=Succession(ServiceManager({})),
        kept=None,
        rng=SecureRandom(),
    )
    assert certificate_names(config) == {"pbx.example": "sbc.example"}
    assert parts.routes.peer_named("trunk") == trunk
    assert parts.user_agent.core is parts.core


async def test_an_inquiry_hears_that_recording_sessions_are_taken(
    site: DiskSite,
) -> None:
    config = load(site.write())
    ledger: Any = None  # no call is made
    control = CallControl(ledger=ledger, guard=build_guard(config), max_calls=4)
    core = build_sip(
        config,
        read_material(config, site.root),
        control,
        succession=Succession(ServiceManager({})),
        kept=None,
        rng=SecureRandom(),
    ).core
    user = core._user
    assert "siprec" in user.extensions
    assert user.capabilities == (
        ("Allow", ", ".join(ALLOW)),
        (
            "Accept",
            "application/sdp, multipart/mixed,"
            " application/rs-metadata+xml, application/rs-metadata",
        ),
        ("Supported", "100rel, timer, replaces, norefersub"),
    )
