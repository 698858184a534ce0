import pytest
from hypothesis import given, strategies as st

from agent.signalling.sip.parts import MAX_PARTS, Part, Tolerated, split_parts

B = "multipart/mixed;boundary=b"


def kinds(content_type: str, body: bytes) -> list[str]:
    return [part.kind for part in split_parts(content_type, body)[0]]


def test_parts_in_their_order_without_the_line_ends_of_delimiters() -> None:
    body = (
        b"preamble\r\n--b \t\r\nContent-Type: Text/X ;y=z\r\n"
        b"content-disposition : Session;handling=required\r\n\r\none\r\n\r\n"
        b"--b\r\n\r\ntwo\r\n--b\r\nContent-Type: text/z\r\n--b--\r\nepilogue"
    )
    assert split_parts('Multipart/Mixed; Boundary="b"', body) == (
        (
            Part("text/x", "session", b"one\r\n"),
            Part("", "", b"two"),
            Part("text/z", "", b""),
        ),
        (),
    )


def test_a_longer_line_is_no_delimiter() -> None:
    body = b"--b\r\nContent-Type: a/a\r\n\r\nx\r\n--bc\r\n--b--"
    parts, tolerated = split_parts(B, body)
    assert parts == (Part("a/a", "", b"x\r\n--bc"),)
    assert tolerated == ()


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_without_a_closing_boundary_the_body_ends_the_part(end: bytes) -> None:
    parts, tolerated = split_parts(B, b"--b\r\nContent-Type: a/a\r\n\r\nx" + end)
    assert parts == (Part("a/a", "", b"x"),)
    assert tolerated == (Tolerated.NO_CLOSING_BOUNDARY,)


def test_lines_may_end_without_a_carriage_return() -> None:
    parts, tolerated = split_parts(B, b"--b\nContent-Type:a/a\n\nx\ny\n--b--\n")
    assert parts == (Part("a/a", "", b"x\ny"),)
    assert tolerated == (Tolerated.BARE_LINE_FEED, Tolerated.HEADER_WITHOUT_BLANK)


@pytest.mark.parametrize("kind", ["multipart/mixed", "multipart/mixed;boundary=c"])
def test_without_its_boundary_there_are_no_parts(kind: str) -> None:
    assert split_parts(kind, b"--b\r\n\r\nx\r\n--b--") == ((), ())


def test_what_follows_many_parts_is_not_looked_at() -> None:
    body = b"--b\r\nContent-Type: a/a\r\n\r\n\r\n" * (MAX_PARTS + 5)
    assert kinds(B, body) == ["a/a"] * MAX_PARTS


@given(st.binary(max_size=200), st.text(max_size=20))
def test_any_octets_have_parts_or_none(octets: bytes, name: str) -> None:
    parts, _ = split_parts(f"multipart/mixed;boundary={name}", octets)
    assert sum(len(part.body) for part in parts) <= len(octets)
