import pytest
from hypothesis import given, settings, strategies as st

from agent.formats.age.errors import HeaderError, HmacError
from agent.formats.age.header import (
    MAX_HEADER,
    VERSION_LINE,
    Stanza,
    header_size,
    parse_header,
    serialise_header,
)

FILE_KEY = b"YELLOW SUBMARINE"
MAC = b"A" * 43
STANZA = b"-> X25519 abc\nQUJD\n"

ARGUMENTS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1)
STANZAS = st.lists(
    st.builds(
        Stanza,
        ARGUMENTS,
        st.lists(ARGUMENTS, max_size=3).map(tuple),
        st.binary(max_size=150),
    ),
    min_size=1,
    max_size=4,
)


def parsed(data: bytes) -> list[Stanza]:
    size = header_size(data)
    assert size is not None
    return list(parse_header(data[:size]).stanzas)


@given(STANZAS, st.binary(max_size=40))
def test_round_trip_whatever_follows(stanzas: list[Stanza], payload: bytes) -> None:
    data = serialise_header(stanzas, FILE_KEY)
    size = header_size(data + payload)
    assert size == len(data)
    header = parse_header(data)
    assert list(header.stanzas) == stanzas
    header.verify(FILE_KEY)
    with pytest.raises(HmacError):
        header.verify(b"another file key")


@given(STANZAS)
def test_the_end_is_seen_at_the_last_byte(stanzas: list[Stanza]) -> None:
    data = serialise_header(stanzas, FILE_KEY)
    for end in range(0, len(data), 7):
        assert header_size(data[:end]) is None


@pytest.mark.parametrize("size", [0, 1, 47, 48, 49, 96])
def test_bodies_end_in_a_short_line(size: int) -> None:
    stanza = Stanza("t", (), b"x" * size)
    lines = stanza.to_bytes().decode().split("\n")
    assert len(lines[-2]) < 64
    assert all(len(line) == 64 for line in lines[1:-2])
    assert parsed(serialise_header([stanza], FILE_KEY)) == [stanza]


@pytest.mark.parametrize(
    "data",
    [
        VERSION_LINE + b"--- " + MAC + b"\n",
        VERSION_LINE + STANZA + b"---" + MAC + b"\n",
        VERSION_LINE + STANZA + b"---\n",
        VERSION_LINE + STANZA + b"--- " + MAC[1:] + b"\n",
        VERSION_LINE + STANZA + b"--- " + MAC + b" \n",
        VERSION_LINE + STANZA + b"--- AAAA\n",
        VERSION_LINE + b"->\n\n--- " + MAC + b"\n",
        VERSION_LINE + b"-> \n\n--- " + MAC + b"\n",
        VERSION_LINE + b"->  t\n\n--- " + MAC + b"\n",
        VERSION_LINE + b"-> t \n\n--- " + MAC + b"\n",
        VERSION_LINE + b"-> t \x7f\n\n--- " + MAC + b"\n",
        VERSION_LINE + b"-> t \xe4\n\n--- " + MAC + b"\n",
        VERSION_LINE + b"t\n\n--- " + MAC + b"\n",
        VERSION_LINE + b"-> t\n--- " + MAC + b"\n",
        VERSION_LINE + b"-> t\n" + b"A" * 64 + b"\n--- " + MAC + b"\n",
        VERSION_LINE + b"-> t\n" + b"A" * 68 + b"\n--- " + MAC + b"\n",
        VERSION_LINE + b"-> t\nA\n--- " + MAC + b"\n",
        VERSION_LINE + b"-> t\n\n\n--- " + MAC + b"\n",
    ],
)
def test_malformed(data: bytes) -> None:
    with pytest.raises(HeaderError):
        parsed(data)


@pytest.mark.parametrize("data", [b"x", b"age-encryption.org/v2\n", b"age-e\0"])
def test_another_format_is_known_from_its_first_bytes(data: bytes) -> None:
    with pytest.raises(HeaderError, match="not an age file"):
        header_size(data)


def test_an_endless_header_is_given_up() -> None:
    assert header_size(VERSION_LINE + b"A" * (MAX_HEADER - len(VERSION_LINE))) is None
    with pytest.raises(HeaderError, match="longer"):
        header_size(VERSION_LINE + b"A" * MAX_HEADER)


@settings(max_examples=300)
@given(STANZAS, st.binary(max_size=20), st.integers(0, 400))
def test_garbage_parses_or_raises_the_one_error(
    stanzas: list[Stanza], noise: bytes, position: int
) -> None:
    data = bytearray(serialise_header(stanzas, FILE_KEY))
    data[position : position + len(noise)] = noise
    try:
        size = header_size(data)
        if size is not None:
            header = parse_header(bytes(data[:size]))
            header.verify(FILE_KEY)
    except (HeaderError, HmacError):
        return
