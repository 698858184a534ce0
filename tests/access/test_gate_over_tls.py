"""A person's own configuration against a gate that listens: certificates decide."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from agent.access.config import ArchiveConfig, GateClientConfig, PersonConfig
from agent.access.desk import Desk
from agent.access.desk_opening import open_desk
from agent.access.finding import find_id
from agent.access.gate_client import GateDeniedError, GateUnreachableError
from agent.formats.roster import Role
from agent.gate.server import GateServer, spki_of, tls_context
from agent.upload.config import StorageConfig
from tests.formats.rosters import person
from tests.gate.rig import DAY, PEOPLE, TODAY, Rig, opened


def never(prompt: str) -> str:
    pytest.fail(prompt)


@dataclass
class Listening:
    """A gate on a free port of 127.0.0.1, and whom it knows."""

    rig: Rig
    folder: Path
    port: int

    @asynccontextmanager
    async def desk(self, name: str) -> AsyncIterator[Desk]:
        config = ArchiveConfig(
            storage=(
                StorageConfig(
                    locked_url=f"file://{self.folder}/locked",
                    url=f"file://{self.folder}/state",
                ),
            ),
            person=PersonConfig(id=f"p-{name}"),
            gate=GateClientConfig(
                url=f"https://127.0.0.1:{self.port}",
                certificate=f"{name}.pem",
                key=f"{name}.key",
                ca="ca.pem",
                region="FI",
            ),
        )
        async with open_desk(
            config,
            self.folder,
            today=TODAY,
            memory=self.folder / "memory",
            ask=never,
        ) as desk:
            yield desk


def issue(authority: trustme.CA, folder: Path, name: str, identity: str) -> str:
    """Write a certificate and its key; the digest by which the roster knows it."""
    made = authority.issue_cert(identity)
    pem = made.cert_chain_pems[0].bytes()
    (folder / f"{name}.pem").write_bytes(pem)
    made.private_key_pem.write_to_path(folder / f"{name}.key")
    der = x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)
    return spki_of(der)


@pytest.fixture
async def listening(tmp_path: Path) -> AsyncIterator[Listening]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    issue(authority, tmp_path, "gate", "127.0.0.1")
    issue(authority, tmp_path, "nobody", "p-nobody@example.test")
    issue(trustme.CA(), tmp_path, "stranger", "p-stranger@example.test")
    known = issue(authority, tmp_path, "vera", "p-vera@example.test")
    vera = person("vera", Role.QUALITY, certificates=(known,))
    async with opened(tmp_path, people=(*PEOPLE, vera)) as rig:
        names = ("gate.pem", "gate.key", "ca.pem")
        server = GateServer(rig.app, tls_context(*(tmp_path / one for one in names)))
        listener = socket.create_server(("127.0.0.1", 0))
        async with asyncio.TaskGroup() as group:
            group.create_task(server.serve([listener]))
            yield Listening(rig, tmp_path, listener.getsockname()[1])
            server.stop()


async def test_a_rostered_certificate_is_served(listening: Listening) -> None:
    held = await listening.rig.store()
    async with listening.desk("vera") as desk:
        found = await find_id(desk, held)
    assert [(hit.id, hit.day) for hit in found.hits] == [(held, DAY)]
    [row] = await listening.rig.rows()
    assert row.who == "p-vera"


async def test_one_that_the_roster_does_not_name_is_refused(
    listening: Listening,
) -> None:
    held = await listening.rig.store()
    async with listening.desk("nobody") as desk:
        with pytest.raises(GateDeniedError):
            await find_id(desk, held)


async def test_a_strangers_certificate_gets_no_connection(
    listening: Listening,
) -> None:
    async with listening.desk("stranger") as desk:
        with pytest.raises(GateUnreachableError) as caught:
            await find_id(desk, await listening.rig.store())
    assert not caught.value.permanent


async def test_another_server_than_the_gate_is_not_believed(
    listening: Listening,
) -> None:
    trustme.CA().cert_pem.write_to_path(listening.folder / "ca.pem")
    async with listening.desk("vera") as desk:
        with pytest.raises(GateUnreachableError):
            await find_id(desk, await listening.rig.store())
