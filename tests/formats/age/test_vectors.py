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


def opened(vector: Vector, step: int) -> bytes:
    """Decrypt in pieces of `step` bytes; an error carries what was released."""
    released = b""
    try:
        data = dearmor(vector.file) if vector.armored else vector.file
        decryptor = Decryptor(vector.identities)
        for start in range(0, len(data), step):
            released += decryptor.update(data[start : start + step])
        released += decryptor.finish()
    except AgeError as error:
        error.add_note(hashlib.sha256(released).hexdigest())
        raise
    return released


def test_all_vectors_are_there() -> None:
    assert len(list(corpus("age").iterdir())) == 143


@pytest.mark.parametrize("step", [1 << 30, 61], ids=["whole", "pieces"])
@pytest.mark.parametrize("path", corpus_files("age"), ids=lambda path: path.name)
def test_vector(path: Path, step: int) -> None:
    vector = load(path)
    if vector.expect == "success":
        plain = opened(vector, step)
        assert hashlib.sha256(plain).hexdigest() == vector.payload
        return
    with pytest.raises(AgeError) as caught:
        opened(vector, step)
    assert type(caught.value) is VERDICTS[vector.expect]
