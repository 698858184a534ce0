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
    SipParts,
    build_guard,
    build_prober,
    build_registrars,
    build_sip,
)
from agent.service.succession import Succession
from tests.cli.conftest import DiskSite


@pytest.fixture
def site(tmp_path: Path) -> DiskSite:
    return DiskSite(tmp_path)


async def build(site: DiskSite, **peer: Any) -> tuple[SipParts, int, float | None]:
    """The parts; how many registrars; the prober's seconds for the trunk, if any."""
    config = load(site.write())
    trunk = msgspec.structs.replace(config.peers[0], **peer)
    config = msgspec.structs.replace(config, peers=(trunk,))
    material, ledger = read_material(config, site.root), None
    control = CallControl(
        ledger=ledger,  # type: ignore[arg-type] - no call is made
        guard=build_guard(config),
        max_calls=4,
    )
    rng = SecureRandom()
    parts = build_sip(
        config,
        material,
        control,
        succession=Succession(ServiceManager({})),
        kept=None,
        rng=rng,
    )
    prober = build_prober(config, parts.user_agent, rng)
    registrars = build_registrars(material, parts.user_agent, rng)
    probed = prober._targets.get("trunk")
    return parts, len(registrars), None if probed is None else probed[1]


async def test_only_who_is_to_be_asked_is_asked(site: DiskSite) -> None:
    _, registrars, probe = await build(site)
    assert (registrars, probe) == (0, None)
    _, registrars, probe = await build(site, probe=30.0)
    assert (registrars, probe) == (0, 30.0)


async def test_who_registers_and_who_must_prove_to_be_a_phone(site: DiskSite) -> None:
    secret = site.root / "trunk.txt"
    secret.write_text("secret\n")
    secret.chmod(0o600)
    parts, registrars, _ = await build(
        site, username="us", password_file=secret.name, register=True
    )
    assert registrars == 1
    assert parts.phones is None
