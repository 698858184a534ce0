import pytest
from hypothesis import given, strategies as st

from agent.formats.age import bech32
from agent.formats.age.errors import KeyFormatError

PREFIXES = st.text(st.characters(codec="ascii", categories=["Ll"]), min_size=1)


@pytest.mark.parametrize(
    ("text", "prefix", "data"),
    [
        # BIP 173's own examples, as far as they are whole bytes.
        ("A12UEL5L", "a", ""),
        (
            "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcluded"
            "charactersbio1tt5tgs",
            "an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcluded"
            "charactersbio",
            "",
        ),
        (
            "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw",
            "abcdef",
            "00443214c74254b635cf84653a56d7c675be77df",
        ),
        ("?1ezyfcl", "?", ""),
    ],
)
def test_examples(text: str, prefix: str, data: str) -> None:
    assert bech32.decode(text) == (prefix, bytes.fromhex(data))
    assert bech32.encode(prefix, bytes.fromhex(data)) == text.lower()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cut short"),
        ("1qzzfhee", "cut short"),
        ("10a06t8", "cut short"),
        ("pzry9x0s0muk", "cut short"),
        ("li1dgmt3", "cut short"),
        ("x1b4n0q5v", "character"),
        ("\x201nwldj5", "character"),
        ("\u00e41nwldj5", "character"),
        ("A1G7SGD8", "checksum"),
        ("split1checkupstagehandshakeupstreamerranterredcaperred2y9e2w", "checksum"),
        ("a12UEL5L", "mixes"),
        ("q" * (bech32.MAX_LENGTH + 1), "too long"),
    ],
)
def test_refused(text: str, message: str) -> None:
    with pytest.raises(KeyFormatError, match=message) as caught:
        bech32.decode(text)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def with_checksum(values: list[int]) -> str:
    checksum = bech32._polymod(bech32._expand("age") + values + [0] * 6) ^ 1
    values = values + [checksum >> 5 * (5 - i) & 31 for i in range(6)]
    return "age1" + "".join("qpzry9x8gf2tvdw0s3jn54khce6mua7l"[v] for v in values)


@pytest.mark.parametrize("values", [[0, 1], [0, 0, 0], [31], [0] * 6 + [4]])
def test_padding_that_hides_something(values: list[int]) -> None:
    with pytest.raises(KeyFormatError, match="padded"):
        bech32.decode(with_checksum(values))


@given(PREFIXES, st.binary(max_size=1300))
def test_round_trip_at_any_length(prefix: str, data: bytes) -> None:
    text = bech32.encode(prefix, data)
    assert bech32.decode(text) == (prefix, data)
    assert bech32.decode(text.upper()) == (prefix, data)


@given(st.binary(min_size=1, max_size=40), st.data())
def test_one_wrong_character_is_noticed(data: bytes, draw: st.DataObject) -> None:
    text = bech32.encode("age", data)
    place = draw.draw(st.integers(4, len(text) - 1))
    others = sorted(set("qpzry9x8gf2tvdw0s3jn54khce6mua7l") - {text[place]})
    wrong = draw.draw(st.sampled_from(others))
    with pytest.raises(KeyFormatError, match="checksum"):
        bech32.decode(text[:place] + wrong + text[place + 1 :])


@given(st.text(max_size=120))
def test_garbage_raises_the_one_error(text: str) -> None:
    with pytest.raises(KeyFormatError):
        bech32.decode(text)
