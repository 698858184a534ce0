"""The public age vectors, each with the verdict its author states."""

import hashlib
import zlib
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.formats.age import (
    AgeError,
    ArmorError,
    Decryptor,
    HeaderError,
    HmacError,
    Identity,
    NoMatchError,
    PassphraseIdentity,
    PayloadError,
    dearmor,
    parse_identity,
)
from tests.corpora import corpus, corpus_files

VERDICTS: dict[str, type[AgeError]] = {
    "no match": NoMatchError,
    "HMAC failure": HmacError,
    "header failure": HeaderError,
    "armor failure": ArmorError,
    "payload failure": PayloadError,
}
FIRST_CHUNK = "a68cb6fa0b2e2a8d1abd54fcb26ff31fe16166ed38688bffa681e617813b781a"
"The first whole chunk, which most of the stream vectors have in common."


@dataclass
class Vector:
    expect: str
    payload: str | None
    identities: list[Identity]
    armored: bool
    file: bytes


def load(path: Path) -> Vector:
    head, _, body = path.read_bytes().partition(b"\n\n")
    fields = [line.split(": ", 1) for line in head.decode().splitlines()]
    values = dict(fields)
    if values.get("compressed") == "zlib":
        body = zlib.decompress(body)
    identities: list[Identity] = [
        parse_identity(value) for name, value in fields if name == "identity"
    ]
    identities += [
        PassphraseIdentity(value) for name, value in fields if name == "passphrase"
    ]
    return Vector(
        expect=values["expect"],
        payload=values.get("payload"),
        identities=identities,
        armored=values.get("armored") == "yes",
        file=body,
    )


def opened(vector: Vector, step: int, released: list[bytes]) -> None:
    """Decrypt in pieces of `step` bytes."""
    data = dearmor(vector.file) if vector.armored else vector.file
    decryptor = Decryptor(vector.identities)
    for start in range(0, len(data), step):
        piece = decryptor.update(data[start : start + step])
        released.append(piece)
    released.append(decryptor.finish())


def digest(released: list[bytes]) -> str:
    return hashlib.sha256(b"".join(released)).hexdigest()


def test_all_vectors_are_there() -> None:
    assert len(list(corpus("age").iterdir())) == 143


@pytest.mark.parametrize("step", [1 << 30, 61], ids=["whole", "pieces"])
@pytest.mark.parametrize("path", corpus_files("age"), ids=lambda path: path.name)
def test_vector(path: Path, step: int) -> None:
    vector = load(path)
    released: list[bytes] = []
    if vector.expect == "success":
        opened(vector, step, released)
        assert digest(released) == vector.payload
        return
    with pytest.raises(AgeError) as caught:
        opened(vector, step, released)
    assert type(caught.value) is VERDICTS[vector.expect]
    # The author states what may come out before the fault is seen; a chunk that
    # claims to be the last is kept back until nothing follows it, so less may.
    assert digest(released) in {vector.payload, digest([]), FIRST_CHUNK}
