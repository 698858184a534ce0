"""The stock tool, as a judge of our signatures and a maker of others."""

import subprocess
from pathlib import Path
from typing import Final

from agent.formats.sshsig import Namespace, PublicKey

SEED: Final = bytes(range(32))


def make_key(directory: Path, *options: str, kind: str = "ed25519") -> Path:
    """A new private key file; its public half is beside it, with `.pub`."""
    path = directory / f"key-{len(list(directory.iterdir()))}"
    _run("-q", "-t", kind, "-N", "", "-C", "a comment", "-f", str(path), *options)
    return path


def public_key(private: Path) -> PublicKey:
    return PublicKey.parse(Path(f"{private}.pub").read_text())


def sign(private: Path, namespace: str, payload: bytes, *options: str) -> str:
    return _run(
        "-Y", "sign", "-f", str(private), "-n", namespace, *options, payload=payload
    ).stdout.decode()


def verifies(
    key: PublicKey, payload: bytes, armored: str, namespace: str, directory: Path
) -> bool:
    """Whether `ssh-keygen -Y verify` believes it, given that key and no other."""
    allowed, signature = directory / "allowed", directory / "signature"
    allowed.write_text(f"root {key}\n")
    signature.write_text(armored)
    command = ("-Y", "verify", "-f", str(allowed), "-I", "root")
    return (
        _run(
            *command,
            "-n",
            namespace,
            "-s",
            str(signature),
            payload=payload,
            check=False,
        ).returncode
        == 0
    )


def is_signature(payload: bytes, armored: str, directory: Path) -> bool:
    """Whether `ssh-keygen -Y check-novalidate` takes it for one, by any key."""
    signature = directory / "signature"
    signature.write_text(armored)
    command = ("-Y", "check-novalidate", "-n", Namespace.ROSTER, "-s", str(signature))
    return _run(*command, payload=payload, check=False).returncode == 0


def fingerprint(private: Path) -> str:
    return _run("-l", "-f", f"{private}.pub").stdout.decode().split()[1]


def _run(
    *arguments: str, payload: bytes = b"", check: bool = True
) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        ["ssh-keygen", *arguments],
        input=payload,
        capture_output=True,
        check=check,
        timeout=30,
    )
