import msgspec
import pytest
from hypothesis import given, strategies as st

from agent.formats.canonical import (
    CanonicalError,
    DocumentVersionError,
    canonical,
    parse_canonical,
)


class Paper(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    version: int
    name: str
    rows: tuple[int, ...] = ()
    note: str | msgspec.UnsetType = msgspec.UNSET


WHOLE = b'{"name":"\xc3\x84","rows":[1,2],"version":1}\n'


def test_a_document_has_one_form() -> None:
    paper = Paper(version=1, name="Ä", rows=(1, 2))
    assert canonical(paper) == WHOLE
    assert parse_canonical(WHOLE, Paper) == paper
    assert canonical({"b": 1, "a": {"d": 1, "c": 2}}) == b'{"a":{"c":2,"d":1},"b":1}\n'


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n",
        b"[]\n",
        b"[" * 100_000,
        WHOLE[:-1],
        WHOLE + b"\n",
        b" " + WHOLE,
        WHOLE.replace(b",", b", ", 1),
        WHOLE.replace(b"\xc3\x84", b"\\u00c4"),
        WHOLE.replace(b"\xc3\x84", b"\xc3"),
        WHOLE.replace(b'"rows":[1,2],', b""),
        WHOLE.replace(b"[1,2]", b"[1.0,2]"),
        WHOLE.replace(b'"version":1', b'"version":1,"version":1'),
        WHOLE.replace(b'{"name"', b'{"else":"Maija","name"'),
        b'{"version":1,"name":"","rows":[]}\n',
    ],
)
def test_any_other_form_is_refused_and_not_repeated(data: bytes) -> None:
    with pytest.raises(CanonicalError) as caught:
        parse_canonical(data, Paper)
    assert "Maija" not in str(caught.value)


def test_another_version_is_called_one() -> None:
    newer = WHOLE.replace(b'"version":1', b'"unheard":0,"version":2')
    with pytest.raises(DocumentVersionError, match="version 2"):
        parse_canonical(newer, Paper, version=1)
    assert parse_canonical(WHOLE, Paper, version=1).name == "Ä"


def test_a_document_that_is_too_long_is_not_read() -> None:
    parse_canonical(WHOLE, Paper, limit=len(WHOLE))
    with pytest.raises(CanonicalError, match="longer"):
        parse_canonical(WHOLE, Paper, limit=len(WHOLE) - 1)


@given(st.binary(max_size=200))
def test_garbage_is_refused_and_nothing_else_happens(data: bytes) -> None:
    with pytest.raises(CanonicalError):
        parse_canonical(data, Paper, version=1)
