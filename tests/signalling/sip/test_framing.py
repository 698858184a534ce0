import pytest
from hypothesis import given, strategies as st

from agent.signalling.sip.framing import (
    MAX_HEAD,
    Broken,
    Complete,
    Deframer,
    Fault,
    Frame,
    Ping,
    Pong,
)
from agent.signalling.sip.parser import MAX_MESSAGE, parse_message

HEAD = (
    b"OPTIONS sip:a@example.com SIP/2.0\r\nVia: SIP/2.0/TCP a;branch=z9hG4bKx\r\n"
    b"From: <sip:a@a>;tag=1\r\nTo: <sip:b@b>\r\nCall-ID: c\r\nCSeq: 1 OPTIONS\r\n"
)


def message(body: bytes = b"", *, name: bytes = b"Content-Length: ") -> bytes:
    return HEAD + name + b"%d\r\n\r\n" % len(body) + body


def cut(data: bytes) -> list[Frame]:
    return Deframer().receive(data)


def byte_by_byte(data: bytes) -> list[Frame]:
    deframer = Deframer()
    return [f for i in range(len(data)) for f in deframer.receive(data[i : i + 1])]


def test_messages_one_after_the_other() -> None:
    stream = message(b"body") + message() + message(b"x\r\n\r\nINVITE")
    frames = cut(stream)
    assert frames == [
        Complete(message(b"body")),
        Complete(message()),
        Complete(message(b"x\r\n\r\nINVITE")),
    ]
    for frame in frames:
        assert isinstance(frame, Complete)
        parse_message(frame.data, stream=True)


@pytest.mark.parametrize(
    "name", [b"Content-Length:", b"l: ", b"L \t: ", b"content-length:\r\n ", b"l:\t \t"]
)
def test_every_way_of_writing_the_length(name: bytes) -> None:
    assert cut(message(b"body", name=name)) == [Complete(message(b"body", name=name))]


def test_what_is_not_there_yet_is_waited_for() -> None:
    deframer = Deframer()
    assert not deframer.unfinished
    assert deframer.receive(message(b"body")[:-1]) == []
    assert deframer.unfinished
    assert deframer.receive(b"y") == [Complete(message(b"body"))]
    assert not deframer.unfinished


def test_keep_alives_between_messages() -> None:
    assert cut(b"\r\n\r\n") == [Pong(), Ping()]
    assert cut(b"\r\n") == [Pong()]
    assert cut(b"\r\n" * 5 + message() + b"\r\n\r\n") == [
        Pong(),
        Ping(),
        Pong(),
        Ping(),
        Pong(),
        Complete(message()),
        Pong(),
        Ping(),
    ]
    deframer = Deframer()
    assert deframer.receive(b"\r") == []
    assert deframer.unfinished  # half a CRLF must not be waited for any longer either


@pytest.mark.parametrize(
    ("data", "fault", "head"),
    [
        (b"\x16\x03\x01\x02\x00", Fault.TLS, b""),
        (b"\x00\x01", Fault.NOT_SIP, b""),
        (b"\rX", Fault.NOT_SIP, b""),
        (b" INVITE", Fault.NOT_SIP, b""),
        (b"x" * MAX_HEAD, Fault.HEAD_TOO_LONG, b""),
        (HEAD + b"\r\n", Fault.NO_LENGTH, HEAD + b"\r\n"),
        (HEAD + b"l: x\r\n\r\n", Fault.BAD_LENGTH, HEAD + b"l: x\r\n\r\n"),
        (HEAD + b"l: -1\r\n\r\n", Fault.BAD_LENGTH, HEAD + b"l: -1\r\n\r\n"),
        (HEAD + b"l: 12345678901\r\n\r\n", Fault.BAD_LENGTH, None),
        (HEAD + b"l: 1\r\nl: 2\r\n\r\n", Fault.BAD_LENGTH, None),
        (HEAD + b"l: 65500\r\n\r\n", Fault.TOO_LARGE, None),
    ],
)
def test_what_cannot_be_cut_ends_the_stream(
    data: bytes, fault: Fault, head: bytes | None
) -> None:
    expected = Broken(fault, data if head is None else head)
    assert cut(message() + data + message()) == [Complete(message()), expected]
    deframer = Deframer()
    deframer.receive(data)
    assert deframer.receive(message()) == []


def test_the_largest_message_passes() -> None:
    room = MAX_MESSAGE - len(HEAD) - len(b"l: 65000\r\n\r\n")
    whole = message(b"x" * room, name=b"l: ")
    assert len(whole) == MAX_MESSAGE
    assert cut(whole) == [Complete(whole)]


PIECES = st.sampled_from(
    [
        b"\r\n",
        b"\r",
        b"\n",
        message(),
        message(b"\r\n\r\n"),
        message(b"body", name=b"l:"),
        HEAD,
        HEAD + b"\r\n",
        b"\x16",
        b"X",
        b"l: 3\r\n\r\n",
    ]
)


@given(st.lists(PIECES, max_size=6), st.lists(st.integers(1, 200), max_size=40))
def test_segments_make_no_difference(pieces: list[bytes], sizes: list[int]) -> None:
    data = b"".join(pieces)
    expected = cut(data)
    assert byte_by_byte(data) == expected
    deframer, found, rest = Deframer(), [], data
    for size in [*sizes, len(data)]:
        found += deframer.receive(rest[:size])
        rest = rest[size:]
    assert found == expected


@given(st.binary(max_size=400))
def test_junk_never_raises(data: bytes) -> None:
    assert byte_by_byte(data) == cut(data)


def test_the_longest_head_is_the_same_in_pieces() -> None:
    for size in (MAX_HEAD - 1, MAX_HEAD, MAX_HEAD + 1):
        head = b"X" * (size - 10) + b"\r\nl: 0\r\n\r\n"
        assert byte_by_byte(head) == cut(head)
        assert isinstance(cut(head)[0], Complete if size <= MAX_HEAD else Broken)


@pytest.mark.parametrize("data", [b"", b"\r\n", b"\r", b"INVITE", b"\r\nBYE sip:a"])
def test_what_is_unread_is_all_that_another_must_know(data: bytes) -> None:
    one, other = Deframer(), Deframer()
    one.receive(b"OPTIONS sip:a SIP/2.0\r\nl: 0\r\n\r\n" + data)
    other.receive(one.unread)
    assert other.unread == one.unread
    assert other.receive(b"\r\n\r\n") == one.receive(b"\r\n\r\n")
