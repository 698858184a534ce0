import asyncio
from datetime import date
from pathlib import Path

import pytest

from agent.archive import tombstones
from agent.archive.record_state import (
    Hold,
    HoldKind,
    Restriction,
    annotate,
    hold,
    restrict,
)
from agent.archive.states import States
from agent.archive.tombstones import Tombstone
from agent.formats.sshsig import PublicKey
from agent.gate import opening
from agent.gate.comparing import compare_states
from agent.gate.targets import open_targets
from agent.upload.backends.directory import DirectoryBackend
from tests.archive.logs import ID
from tests.archive.shelves import id_of
from tests.gate.site import GateSite
from tests.gate.test_main import run, site  # noqa: F401 - a fixture

STONE = Tombstone(
    id=id_of(3), created=date(2025, 11, 1), erased_at="2026-11-02T00:00:00.000Z",
    method="envelope-deleted", policy="P1Y",
)  # fmt: skip


def test_what_was_there_before_the_gate_is_signed_when_told(
    site: GateSite,  # noqa: F811
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    run(site, "keyring", "init")
    site.name_gate(PublicKey.parse(capsys.readouterr().out))
    states = States(DirectoryBackend(tmp_path / "state"))
    given = Hold(
        kind=HoldKind.LEGAL_CLAIM, owner="p-quinn", since=date(2026, 11, 29),
        review=date(2099, 1, 1), reference="A-1",
    )  # fmt: skip
    by = Restriction(by="p-quinn", since=given.since, reason="disputed")

    async def before() -> None:
        await states.change(ID, lambda state: hold(state, "h-1", given))
        await states.change(ID, lambda state: restrict(state, by))
        await states.change(ID, annotate)
        await tombstones.write(states._backend, STONE)

    asyncio.run(before())
    for told in ("1 records' states, 1 tombstones", "0 records' states, 0 tombstones"):
        run(site, "adopt")
        assert told in capsys.readouterr().out

    async def after() -> None:
        config, secrets = site.config(), site.secrets()
        targets = open_targets(config, site.folder, secrets)
        spool = tmp_path / "no-spool"
        async with opening.opened(
            config, site.folder, secrets, targets, spool=spool
        ) as gate:
            parts = gate.parts
            assert (await parts.states.stored(ID)).holds == {"h-1": given}
            assert await compare_states(parts) == []
            keys = [key async for key, _ in tombstones.ids(parts.archive.state)]
            stone = await tombstones.read(
                parts.archive.state, keys[0], gate.site.documents
            )
            assert stone == STONE

    asyncio.run(after())
