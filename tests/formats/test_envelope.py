import os
import random
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from agent.formats.age import (
    AgeError,
    Identity,
    KeyFormatError,
    KeyKind,
    NoMatchError,
    RecipientError,
    decrypt,
    encrypt,
    generate_identity,
    identity_file,
    parse_recipient,
)
from agent.formats.envelope import (
    MAX_ENVELOPE,
    MisfiledError,
    SegmentKey,
    open_envelope,
    unwrap,
    wrap,
)

ENTROPY = random.Random(1).randbytes
RECORDING = "123e4567-e89b-42d3-a456-426614174000"
OTHER_RECORDING = RECORDING[:-1] + "1"
LINE = f"recording-agent envelope v1 {RECORDING}\n".encode()
KINDS = pytest.mark.parametrize("kind", list(KeyKind))


def people(kind: KeyKind, count: int = 3) -> list[Identity]:
    return [generate_identity(kind, ENTROPY) for _ in range(count)]


@KINDS
def test_everyone_entitled_opens_it(kind: KeyKind) -> None:
    key = SegmentKey.generate(kind, ENTROPY)
    entitled = people(kind)
    envelope = key.seal([person.recipient() for person in entitled], ENTROPY)
    sealed = encrypt(b"audio", [parse_recipient(key.recipient)], ENTROPY)
    for person in entitled:
        opened = open_envelope(envelope, [person])
        assert opened.recipient == key.recipient
        assert opened.journal_key(RECORDING) == key.journal_key(RECORDING)
        assert decrypt(sealed, [opened.identity]) == b"audio"
    with pytest.raises(NoMatchError):
        open_envelope(envelope, people(kind, 1))


@KINDS
def test_the_pair_is_of_its_recipients_kind(kind: KeyKind) -> None:
    key = SegmentKey.generate(kind, ENTROPY)
    (other,) = {*KeyKind} - {kind}
    with pytest.raises(RecipientError, match="kind"):
        key.seal([people(other, 1)[0].recipient()], ENTROPY)
    with pytest.raises(RecipientError):
        key.seal([], ENTROPY)


def test_journal_key_is_what_the_format_document_says() -> None:
    key = SegmentKey.generate(KeyKind.POST_QUANTUM, ENTROPY)
    info = b"recording-agent journal v1\0" + RECORDING.encode()
    hkdf = HKDF(algorithm=SHA256(), length=32, salt=None, info=info)
    expected = hkdf.derive(key.identity.encode().encode())
    assert key.journal_key(RECORDING) == expected
    assert key.journal_key(RECORDING[:-1] + "1") != expected


def test_nothing_shows_the_key() -> None:
    key = SegmentKey.generate(KeyKind.CLASSIC, ENTROPY)
    assert repr(key) == "SegmentKey(…)"


@pytest.mark.parametrize(
    "plain",
    [
        b"",
        b"# nothing\n",
        b"\xff",
        (people(KeyKind.CLASSIC, 1)[0].encode() + "\n").encode() * 2,
    ],
    ids=["empty", "comment", "not text", "two keys"],
)
def test_an_envelope_that_holds_something_else(plain: bytes) -> None:
    (person,) = people(KeyKind.CLASSIC, 1)
    envelope = encrypt(plain, [person.recipient()], ENTROPY)
    with pytest.raises(KeyFormatError):
        open_envelope(envelope, [person])


def test_every_cut_of_an_envelope_is_noticed() -> None:
    (person,) = people(KeyKind.CLASSIC, 1)
    key = SegmentKey.generate(KeyKind.CLASSIC, ENTROPY)
    envelope = key.seal([person.recipient()], ENTROPY)
    for cut in range(len(envelope)):
        with pytest.raises(AgeError):
            open_envelope(envelope[:cut], [person])


@dataclass(frozen=True)
class Day:
    """As a list of day keys has it."""

    recipient: str


@KINDS
def test_the_gates_layer_comes_off_with_the_days_key_alone(kind: KeyKind) -> None:
    gate, other, person = people(kind)
    key = SegmentKey.generate(kind, ENTROPY)
    inner = key.seal([person.recipient()], ENTROPY)
    outer = wrap(inner, RECORDING, Day(str(gate.recipient())), ENTROPY)
    assert unwrap(outer, [other, gate], RECORDING) == inner
    for nobody in (other, person):
        with pytest.raises(NoMatchError):
            unwrap(outer, [nobody], RECORDING)
    with pytest.raises(NoMatchError):
        open_envelope(outer, [person])
    with pytest.raises(KeyFormatError):
        open_envelope(outer, [gate])  # what is inside is no key of the gate's


def test_the_gates_layer_is_of_one_recording() -> None:
    gate, person = people(KeyKind.CLASSIC, 2)
    inner = SegmentKey.generate(KeyKind.CLASSIC, ENTROPY).seal(
        [person.recipient()], ENTROPY
    )
    outer = wrap(inner, RECORDING, Day(str(gate.recipient())), ENTROPY)
    assert decrypt(outer, [gate]) == LINE + inner
    for other in (OTHER_RECORDING, RECORDING[:-1], RECORDING + "1"):
        with pytest.raises(MisfiledError, match=r"another recording's\. Find out"):
            unwrap(outer, [gate], other)
    for line in (b"", b"\n", LINE[:20], LINE.replace(b"v1", b"v2"), LINE.upper()):
        unnamed = encrypt(line + inner, [gate.recipient()], ENTROPY)
        with pytest.raises(KeyFormatError, match="does not say"):
            unwrap(unnamed, [gate], RECORDING)
    for line in (LINE[:-1], LINE.replace(b"\n", b"\r\n"), LINE[:-1] + b" \n"):
        unended = encrypt(line + inner, [gate.recipient()], ENTROPY)
        with pytest.raises(MisfiledError):
            unwrap(unended, [gate], RECORDING)


def test_every_flipped_bit_of_a_wrapped_envelope_is_noticed() -> None:
    gate, person = people(KeyKind.CLASSIC, 2)
    key = SegmentKey.generate(KeyKind.CLASSIC, ENTROPY)
    inner = key.seal([person.recipient()], ENTROPY)
    outer = wrap(inner, RECORDING, Day(str(gate.recipient())), ENTROPY)
    for data, identity in ((outer, gate), (inner, person)):
        for at in range(len(data)):
            for bit in range(8):
                flipped = bytearray(data)
                flipped[at] ^= 1 << bit
                with pytest.raises(AgeError):
                    decrypt(bytes(flipped), [identity])


def test_the_gates_layer_is_around_nothing_else() -> None:
    (gate,) = people(KeyKind.CLASSIC, 1)
    day = Day(str(gate.recipient()))
    large = b"age-encryption.org/v1\n" + bytes(MAX_ENVELOPE)
    for inner in (b"", b"AGE-SECRET-KEY-1", large):
        with pytest.raises(KeyFormatError, match="no envelope"):
            wrap(inner, RECORDING, day, ENTROPY)
        outer = encrypt(LINE + inner, [gate.recipient()], ENTROPY)
        with pytest.raises(KeyFormatError, match="no envelope"):
            unwrap(outer, [gate], RECORDING)
    with pytest.raises(KeyFormatError, match="longer"):
        unwrap(bytes(2 * MAX_ENVELOPE + 1), [gate], RECORDING)
    with pytest.raises(KeyFormatError):
        wrap(b"age-encryption.org/v1\n", RECORDING, Day("ssh-ed25519 x"), ENTROPY)


@pytest.mark.integration
@KINDS
def test_two_runs_of_the_stock_tool_open_a_recording(
    kind: KeyKind, tmp_path: Path
) -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    age = shutil.which("age", path=path)
    if age is None:
        pytest.skip("no age to be found")
    version = subprocess.run(
        [age, "--version"], capture_output=True, text=True, check=True
    ).stdout
    found = re.match(r"v?(\d+)\.(\d+)", version)
    if kind is KeyKind.POST_QUANTUM and (
        found is None or (int(found[1]), int(found[2])) < (1, 3)
    ):
        pytest.skip(f"age {version.strip()} is older than 1.3")
    key = SegmentKey.generate(kind, ENTROPY)
    officer, stranger = people(kind, 2)
    audio = ENTROPY(100_000)
    (tmp_path / "officer.txt").write_text(identity_file(officer))
    (tmp_path / "stranger.txt").write_text(identity_file(stranger))
    (tmp_path / "id.key.age").write_bytes(key.seal([officer.recipient()], ENTROPY))
    (tmp_path / "id.wav.age").write_bytes(
        encrypt(audio, [parse_recipient(key.recipient)], ENTROPY)
    )
    command = f"{age} -d -i $0.txt id.key.age | {age} -d -i - id.wav.age"
    for who, expected in (("officer", audio), ("stranger", b"")):
        done = subprocess.run(
            ["/bin/sh", "-c", command, who],
            capture_output=True,
            check=False,
            cwd=tmp_path,
            timeout=30,
        )
        assert done.stdout == expected
