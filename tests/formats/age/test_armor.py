import pytest
from hypothesis import given, strategies as st

from agent.formats.age.armor import (
    BEGIN,
    END,
    MAX_ARMORED,
    armor,
    dearmor,
    is_armored,
)
from agent.formats.age.errors import ArmorError


@given(st.binary(max_size=200))
def test_round_trip(data: bytes) -> None:
    armored = armor(data)
    assert is_armored(armored)
    assert dearmor(armored) == data
    assert dearmor(b" \r\n" + armored.replace(b"\n", b"\r\n") + b"\n\t") == data


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [BEGIN],
        [END],
        [BEGIN, b"QUJD"],
        [BEGIN, b"", END],
        [BEGIN, b"QUJD", b"", END],
        [BEGIN, b"QUJD", b"QUJD", END],
        [BEGIN, b"A" * 68, END],
        [BEGIN, b"QUJ", END],
        [BEGIN, b"QUI", END],
        [BEGIN, b"QUJ=", END],
        [BEGIN, b"QU D", END],
        [BEGIN, b"QUJD\r\r", END],
        [BEGIN.lower(), b"QUJD", END],
        [BEGIN, b"QUJD", END, b"QUJD"],
        [b"A" * (MAX_ARMORED + 1)],
    ],
    ids=lambda lines: repr(b"|".join(lines)[:60]),
)
def test_malformed(lines: list[bytes]) -> None:
    with pytest.raises(ArmorError):
        dearmor(b"\n".join(lines))


def test_what_is_not_armored() -> None:
    assert not is_armored(b"age-encryption.org/v1\n")


@given(st.binary(max_size=60), st.integers(0, 120))
def test_garbage_parses_or_raises_the_one_error(noise: bytes, position: int) -> None:
    data = bytearray(armor(bytes(60)))
    data[position : position + len(noise)] = noise
    try:
        dearmor(bytes(data))
    except ArmorError:
        return
