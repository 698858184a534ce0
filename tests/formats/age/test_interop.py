"""Both ways against the stock age tools and pyrage."""

import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pyrage
import pytest

from agent.formats.age import (
    Identity,
    KeyKind,
    PassphraseIdentity,
    PassphraseRecipient,
    armor,
    dearmor,
    decrypt,
    encrypt,
    generate_identity,
    identity_file,
    parse_identities,
    parse_recipient,
)

PLAIN = random.Random(1).randbytes(150_000)
ENTROPY = random.Random(2).randbytes
SIZES = pytest.mark.parametrize("size", [0, 1, 1 << 16, 150_000])

# The environment's own age is the newest; Debian 12's does not know post-quantum.
FOLDERS = {
    "environment": str(Path(sys.executable).parent),
    "system": os.environ.get("PATH", os.defpath),
}
TOOLS = pytest.mark.parametrize(
    ("where", "kind"),
    [
        ("environment", KeyKind.CLASSIC),
        ("environment", KeyKind.POST_QUANTUM),
        ("system", KeyKind.CLASSIC),
    ],
)


@pytest.fixture
def tool(where: str, kind: KeyKind, tmp_path: Path) -> Callable[..., bytes]:
    """Runs `age` or `age-keygen`, and skips where it cannot do what is asked."""
    age = shutil.which("age", path=FOLDERS[where])
    if age is None or shutil.which("age-keygen", path=FOLDERS[where]) is None:
        pytest.skip(f"no age in the {where}")
    version = subprocess.run(
        [age, "--version"], capture_output=True, text=True, check=True
    ).stdout
    found = re.match(r"v?(\d+)\.(\d+)", version)
    known = found is not None and (int(found[1]), int(found[2])) >= (1, 3)
    if kind is KeyKind.POST_QUANTUM and not known:
        pytest.skip(f"age {version.strip()} of the {where} is older than 1.3")

    def run(name: str, *arguments: str, data: bytes = b"") -> bytes:
        executable = shutil.which(name, path=FOLDERS[where])
        assert executable is not None
        return subprocess.run(
            [executable, *arguments],
            input=data,
            capture_output=True,
            check=True,
            cwd=tmp_path,
            timeout=30,
        ).stdout

    return run


@pytest.mark.integration
@TOOLS
class TestStockAge:
    @SIZES
    def test_reads_ours(
        self, tool: Callable[..., bytes], kind: KeyKind, tmp_path: Path, size: int
    ) -> None:
        identity = generate_identity(kind, ENTROPY)
        (tmp_path / "id.txt").write_text(identity_file(identity))
        data = encrypt(PLAIN[:size], [identity.recipient()], ENTROPY)
        assert tool("age", "-d", "-i", "id.txt", data=data) == PLAIN[:size]
        assert tool("age", "-d", "-i", "id.txt", data=armor(data)) == PLAIN[:size]

    @SIZES
    def test_writes_what_we_read(
        self, tool: Callable[..., bytes], kind: KeyKind, size: int
    ) -> None:
        identities = [generate_identity(kind, ENTROPY) for _ in range(3)]
        arguments = [
            word for one in identities for word in ("-r", str(one.recipient()))
        ]
        data = tool("age", *arguments, data=PLAIN[:size])
        assert all(decrypt(data, [one]) == PLAIN[:size] for one in identities)
        armored = tool("age", "-a", *arguments, data=PLAIN[:size])
        assert decrypt(dearmor(armored), identities) == PLAIN[:size]

    def test_keygen_reads_our_identity_file(
        self, tool: Callable[..., bytes], kind: KeyKind, tmp_path: Path
    ) -> None:
        identity = generate_identity(kind, ENTROPY)
        (tmp_path / "id.txt").write_text(identity_file(identity))
        public = tool("age-keygen", "-y", "id.txt").decode().strip()
        assert public == str(identity.recipient())

    def test_keygen_makes_keys_that_we_read(
        self, tool: Callable[..., bytes], kind: KeyKind
    ) -> None:
        text = tool("age-keygen", *(["-pq"] if kind is KeyKind.POST_QUANTUM else []))
        (identity,) = parse_identities(text.decode())
        assert identity.kind is kind
        public = re.search(r"public key: (\S+)", text.decode())
        assert public is not None
        assert parse_recipient(public[1]) == identity.recipient()


class TestPyrage:
    identity: Identity = generate_identity(KeyKind.CLASSIC, ENTROPY)
    theirs = pyrage.x25519.Identity.from_str(identity.encode())

    def test_same_public_key(self) -> None:
        assert str(self.theirs.to_public()) == str(self.identity.recipient())

    @SIZES
    def test_both_ways(self, size: int) -> None:
        ours = encrypt(PLAIN[:size], [self.identity.recipient()], ENTROPY)
        assert pyrage.decrypt(ours, [self.theirs]) == PLAIN[:size]
        data = pyrage.encrypt(PLAIN[:size], [self.theirs.to_public()])
        assert decrypt(data, [self.identity]) == PLAIN[:size]

    def test_reads_our_passphrase(self) -> None:
        ours = encrypt(b"key", [PassphraseRecipient("open sesame", 8)], ENTROPY)
        assert pyrage.passphrase.decrypt(ours, "open sesame") == b"key"

    @pytest.mark.integration
    def test_we_read_its_passphrase(self) -> None:
        data = pyrage.passphrase.encrypt(b"key", "open sesame")
        # It asks for as much work as this machine does in a second.
        identity = PassphraseIdentity("open sesame", max_work_factor=22)
        assert decrypt(data, [identity]) == b"key"
