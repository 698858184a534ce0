import hashlib
import shutil
import subprocess
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from agent.common.errors import AgentError
from agent.formats.canonical import canonical
from agent.formats.seal import (
    FIRST,
    MAX_OBJECTS,
    MAX_SEAL,
    UNKNOWN,
    Addressees,
    SealedFile,
    SealError,
    SealPlace,
    Statement,
    parse_addressees,
    parse_seal,
    recipient_fingerprint,
    seal_digest,
    seal_place,
    segment_digest,
    sign_seal,
    verify_seal,
)
from agent.formats.signed import sign_document
from agent.formats.sshsig import Namespace, SigningKey

ID = "3f2f5f63-5d6c-4f0e-9a8b-0123456789ab"
OTHER = "7e0c5a11-93c0-4f5f-8d6e-0123456789ab"
KEY = SigningKey.from_seed(bytes(range(32)))
STRANGER = SigningKey.from_seed(bytes(range(1, 33)))
HOSTS = {"host-a": (STRANGER.public, KEY.public), "host-b": (STRANGER.public,)}
SEGMENT = "age1segment"
TO = Addressees.of(SEGMENT, ["age1quality", "age1recovery", "age1officer"])


def sealed_file(key: str, **changes: Any) -> SealedFile:
    values = {"key": key, "sha256": "ab" * 32, "size": 7}
    return SealedFile(**{**values, **changes})


def statement(**changes: Any) -> Statement:
    values: dict[str, Any] = {
        "id": ID,
        "day": "2026-11-23",
        "host": "host-a",
        "chain": OTHER,
        "sequence": 2,
        "previous": "cd" * 32,
        "objects": (
            sealed_file(f"audio/2026/11/23/{ID}.wav.age"),
            sealed_file(f"manifest/2026/11/23/{ID}.json.age"),
        ),
        "segment_key": TO.segment_key,
        "recipients": TO.recipients,
        "sealed_at": "2026-11-23T12:34:56.789Z",
    }
    return Statement(**{**values, **changes})


def test_what_the_host_signed_is_what_the_reader_gets() -> None:
    for made in (
        statement(),
        statement(sequence=1, previous=FIRST),
        statement(segment_key="", recipients=()),
    ):
        data = sign_seal(made, KEY)
        assert verify_seal(data, HOSTS) == made
        assert parse_seal(data) == made
        assert data.startswith(canonical(made))


def test_every_flipped_bit_is_refused() -> None:
    data = sign_seal(statement(), KEY)
    for at in range(len(data)):
        for bit in range(8):
            flipped = bytearray(data)
            flipped[at] ^= 1 << bit
            with pytest.raises(SealError):
                verify_seal(bytes(flipped), HOSTS)


def test_every_cut_and_addition_is_refused() -> None:
    data = sign_seal(statement(), KEY)
    for cut in range(len(data)):
        with pytest.raises(SealError):
            verify_seal(data[:cut], HOSTS)
    with pytest.raises(SealError):
        verify_seal(data + b"\n", HOSTS)


def test_a_seal_of_another_host() -> None:
    with pytest.raises(SealError, match="no host of the roster"):
        verify_seal(sign_seal(statement(host="host-c"), KEY), HOSTS)
    with pytest.raises(SealError, match="not signed by its host"):
        verify_seal(sign_seal(statement(host="host-b"), KEY), HOSTS)
    assert verify_seal(sign_seal(statement(), STRANGER), HOSTS) == statement()


def test_a_signature_for_something_else() -> None:
    data = sign_document(canonical(statement()), [KEY], Namespace.AUDIT)
    with pytest.raises(SealError, match="not signed by its host"):
        verify_seal(data, HOSTS)


AUDIO = f"audio/2026/11/23/{ID}.wav.age"


@pytest.mark.parametrize(
    "changes",
    [
        {"day": "yesterday"},
        {"day": "20261123"},
        {"day": "2026-11-24"},
        {"id": OTHER},
        {"id": "x"},
        {"chain": "x"},
        {"host": ""},
        {"host": "a\nb"},
        {"sequence": 0},
        {"sequence": 1},
        {"sequence": 2, "previous": FIRST},
        {"previous": "CD" * 32},
        {"sealed_at": "2026-11-23T12:34:56Z"},
        {"objects": ()},
        {"objects": (sealed_file(AUDIO),) * 2},
        {"objects": (sealed_file(AUDIO),) * (MAX_OBJECTS + 1)},
        {"objects": (sealed_file("audio/x"),)},
        {"objects": (sealed_file(f"keys/2026/11/23/{ID}.key.age"),)},
        {"objects": (sealed_file(AUDIO, sha256="x"),)},
        {"objects": (sealed_file(AUDIO, size=-1),)},
        {"segment_key": ""},
        {"segment_key": "sha256:x"},
        {"recipients": ()},
        {"recipients": ("ab",)},
        {"recipients": TO.recipients[::-1]},
        {"recipients": TO.recipients[:1] * 2},
        {"recipients": tuple(f"{number:064x}" for number in range(501))},
    ],
)
def test_what_no_host_says(changes: dict[str, Any]) -> None:
    made = statement(**changes)
    with pytest.raises(SealError):
        sign_seal(made, KEY)
    # Nor is it believed of who signed it all the same.
    data = sign_document(canonical(made), [KEY], Namespace.SEAL)
    with pytest.raises(SealError):
        verify_seal(data, HOSTS)


def test_a_newer_version_is_called_newer() -> None:
    data = sign_document(canonical(statement(version=2)), [KEY], Namespace.SEAL)
    with pytest.raises(SealError, match="version 2"):
        verify_seal(data, HOSTS)


def test_what_is_longer_than_any_seal() -> None:
    with pytest.raises(SealError, match="longer"):
        parse_seal(bytes(MAX_SEAL + 1))


@given(st.binary(max_size=300))
def test_garbage_is_refused_in_one_way(data: bytes) -> None:
    with pytest.raises(SealError):
        verify_seal(data, HOSTS)
    with pytest.raises(SealError):
        parse_addressees(data)


def test_the_chain_goes_on_from_the_whole_document() -> None:
    data = sign_seal(statement(), KEY)
    assert seal_digest(data) == hashlib.sha256(data).hexdigest()
    assert seal_place(data, statement()) == SealPlace(
        host="host-a", chain=OTHER, sequence=2, sha256=seal_digest(data)
    )


def test_addressees_tell_nobody_who_they_are() -> None:
    assert TO.segment_key == segment_digest(SEGMENT)
    assert recipient_fingerprint(SEGMENT, "age1officer") in TO.recipients
    elsewhere = Addressees.of("age1other", ["age1officer"])
    assert not set(elsewhere.recipients) & set(TO.recipients)
    assert list(TO.recipients) == sorted(TO.recipients)
    assert len(Addressees.of(SEGMENT, ["age1quality"] * 2).recipients) == 1
    assert parse_addressees(TO.to_bytes()) == TO
    assert parse_addressees(UNKNOWN.to_bytes()) == UNKNOWN


def test_addressees_that_are_none() -> None:
    wrong = msgspec.structs.replace(TO, recipients=())
    with pytest.raises(SealError, match="so many"):
        parse_addressees(wrong.to_bytes())


def test_errors_say_what_to_do() -> None:
    with pytest.raises(AgentError) as caught:
        verify_seal(b"", HOSTS)
    assert "find out who" in caught.value.hint


def test_stock_ssh_keygen_verifies_it(tmp_path: Path) -> None:
    tool = shutil.which("ssh-keygen")
    if tool is None:
        pytest.skip("no ssh-keygen to be found")
    data = sign_seal(statement(), KEY)
    line, _, signature = data.partition(b"\n")
    (tmp_path / "signature").write_bytes(signature)
    (tmp_path / "signers").write_text(f"host-a {KEY.public}\n")
    command = [tool, "-Y", "verify", "-f", "signers", "-I", "host-a"]
    command += ["-n", "recording-agent-seal", "-s", "signature"]
    for said, code in ((line + b"\n", 0), (line + b" \n", 255)):
        done = subprocess.run(
            command, input=said, cwd=tmp_path, capture_output=True, check=False
        )
        assert done.returncode == code, done.stderr
