"""A daemon that signs what it stores, and the chain that it leaves in storage."""

from agent.formats.seal import FIRST, Statement, seal_digest, verify_seal
from tests.formats.rosters import signing_key
from tests.lab.daemon import Daemon

HOST = "test"
"As the daemon is called in its configuration."


def signing(daemon: Daemon) -> Daemon:
    """Have it sign, before it starts."""
    key = daemon.root / "host.key"
    key.write_bytes(signing_key(HOST).to_private_file())
    key.chmod(0o600)
    return daemon.amend("[[storage]]", '[signing]\nkey = "host.key"\n[[storage]]')


def chain(daemon: Daemon) -> list[Statement]:
    """Every seal in storage, each of which must follow the one before it."""
    hosts = {HOST: [signing_key(HOST).public]}
    found = sorted(
        (
            (verify_seal(data, hosts), seal_digest(data))
            for data in (path.read_bytes() for path in daemon.stored(".seal").values())
        ),
        key=lambda one: one[0].sequence,
    )
    previous = FIRST
    for number, (statement, digest) in enumerate(found, 1):
        assert (statement.sequence, statement.previous) == (number, previous)
        previous = digest
    assert len({statement.chain for statement, _ in found}) <= 1
    return [statement for statement, _ in found]
