from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from agent.formats.canonical import canonical
from agent.formats.signed import (
    MAX_SIGNATURES,
    join_document,
    sign_document,
    split_document,
    verify_document,
)
from agent.formats.sshsig import Namespace, SignatureError, SigningKey
from tests.formats import ssh_keygen
from tests.formats.flips import flips

ROSTER = Namespace.ROSTER
KEYS = [SigningKey.from_seed(bytes([n]) * 32) for n in range(3)]
PUBLIC = [key.public for key in KEYS]
PAYLOAD = canonical({"version": 1, "what": "Ääni"})
ONE = sign_document(PAYLOAD, KEYS[:1], ROSTER)
TWO = sign_document(PAYLOAD, KEYS[:2], ROSTER)


def test_a_document_is_what_its_signers_signed() -> None:
    assert verify_document(ONE, ROSTER, PUBLIC[:1]).payload == PAYLOAD
    both = verify_document(TWO, ROSTER, reversed(PUBLIC), needed=2)
    assert both.signers == (PUBLIC[0], PUBLIC[1])
    payload, armored = split_document(TWO)
    assert join_document(payload, armored) == TWO
    assert len(armored) == 2


def test_the_stock_tools_verify_one_with_head_and_tail(tmp_path: Path) -> None:
    head, tail = ONE.split(b"\n", 1)
    armored = tail.decode()
    assert ssh_keygen.verifies(PUBLIC[0], head + b"\n", armored, ROSTER, tmp_path)


def test_what_ssh_keygen_signed_is_joined_and_verified(tmp_path: Path) -> None:
    first, second = (ssh_keygen.make_key(tmp_path) for _ in range(2))
    armored = [ssh_keygen.sign(key, ROSTER, PAYLOAD) for key in (first, second)]
    trusted = [ssh_keygen.public_key(key) for key in (first, second)]
    joined = join_document(PAYLOAD, armored)
    assert verify_document(joined, ROSTER, trusted, needed=2).payload == PAYLOAD


def test_two_signatures_by_one_key_count_once() -> None:
    twice = sign_document(PAYLOAD, [KEYS[0], KEYS[0]], ROSTER)
    assert verify_document(twice, ROSTER, PUBLIC).signers == (PUBLIC[0],)
    with pytest.raises(SignatureError, match=r"^1 of the trusted keys signed, 2 must"):
        verify_document(twice, ROSTER, PUBLIC, needed=2)


def test_a_stranger_counts_for_nothing() -> None:
    with pytest.raises(SignatureError, match=r"^0 of the trusted keys"):
        verify_document(ONE, ROSTER, PUBLIC[1:])
    assert verify_document(TWO, ROSTER, PUBLIC[1:2]).signers == (PUBLIC[1],)


def test_a_signature_for_another_purpose_is_refused() -> None:
    with pytest.raises(SignatureError, match="not for a recording-agent-audit"):
        verify_document(ONE, Namespace.AUDIT, PUBLIC)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "no end of line"),
        (b"{}", "no end of line"),
        (PAYLOAD, "not signed"),
        (ONE[:-1], "behind"),
        (ONE + b"\n", "behind"),
        (ONE.replace(PAYLOAD, PAYLOAD + b"\n"), "among"),
        (PAYLOAD + b"x\n" + ONE[len(PAYLOAD) :], "among"),
        (ONE.replace(b"U1NI", b"U1\xff\xff"), "among"),
        (
            sign_document(PAYLOAD, KEYS[:1] * (MAX_SIGNATURES + 1), ROSTER),
            "too many",
        ),
        (ONE + b"x" * 100_000, "longer"),
    ],
)
def test_a_malformed_document_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(SignatureError, match=reason):
        verify_document(data, ROSTER, PUBLIC)


@pytest.mark.parametrize("payload", [b"", b"{}", b"{}\n\n", b"{\n}\n"])
def test_what_is_not_one_line_is_not_signed(payload: bytes) -> None:
    with pytest.raises(SignatureError, match="one line"):
        sign_document(payload, KEYS, ROSTER)


def test_every_flipped_bit_is_refused_whoever_signed_too() -> None:
    for flipped in flips(TWO):
        # One trusted signature would do: the other's must be good all the same.
        with pytest.raises(SignatureError):
            verify_document(flipped, ROSTER, PUBLIC)


@given(st.binary(max_size=300))
def test_garbage_is_refused_and_nothing_else_happens(data: bytes) -> None:
    for made in (data, PAYLOAD + data):
        with pytest.raises(SignatureError):
            verify_document(made, ROSTER, PUBLIC)
