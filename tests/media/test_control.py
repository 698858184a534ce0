import contextlib
import hashlib
import os
import socket
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec
import pytest
from hypothesis import given, strategies as st

from agent.media import control
from agent.media.errors import ControlError
from agent.media.events import Latched, LegClosed, LegStats
from agent.model.media import (
    PCMA,
    Address,
    Latch,
    NegotiatedAudio,
    SrtpKeys,
    SrtpSuite,
)

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    a, b = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with a, b:
        yield a, b


def test_commands_and_reports_travel() -> None:
    address = Address("::1", 4000)
    audio = NegotiatedAudio(remote=address, remote_rtcp=address, codec=PCMA)
    command = control.Configure(leg="a", audio=audio, latch=Latch.OFF)
    assert control.decode_commands(control.encode(command)) == [command]
    report = LegClosed(leg="a", stats=LegStats(received=7))
    assert control.decode_report(control.encode(report)) == report


def closing(leg: str, size: int = 0) -> bytes:
    return control.encode(control.CloseLeg(leg=leg * max(1, size)))


def test_commands_share_a_record_in_their_order() -> None:
    queue = [(closing("a"), (1, 2)), (closing("b"), ()), (closing("c"), (3,))]
    count, record, descriptors = control.first_record(queue)
    assert (count, descriptors) == (3, (1, 2, 3))
    assert control.decode_commands(record) == [
        control.CloseLeg(leg="a"),
        control.CloseLeg(leg="b"),
        control.CloseLeg(leg="c"),
    ]


def test_one_command_is_a_record_as_it_is() -> None:
    # So a worker of another version understands Hello and Retire at least.
    for message in (closing("a"), bytes(control.MAX_MESSAGE)):
        assert control.first_record([(message, ())]) == (1, message, ())


@pytest.mark.parametrize(
    ("second", "fds", "count"),
    [
        (control.MAX_MESSAGE // 2 - 200, 8, 2),
        (control.MAX_MESSAGE // 2 + 1, 8, 1),
        (1, control.MAX_DESCRIPTORS - 8, 2),
        (1, control.MAX_DESCRIPTORS - 7, 1),
    ],
)
def test_a_record_has_a_bound(second: int, fds: int, count: int) -> None:
    half = closing("a", control.MAX_MESSAGE // 2)
    queue = [(half, tuple(range(8))), (closing("b", second), tuple(range(fds)))]
    found, record, descriptors = control.first_record(queue)
    assert found == count
    assert len(record) <= control.MAX_MESSAGE
    assert len(descriptors) <= control.MAX_DESCRIPTORS


def test_descriptors_travel_with_their_message(pair: Pair) -> None:
    near, far = pair
    reader, writer = os.pipe()
    control.send(near, b"message", (reader, writer))
    data, descriptors = control.receive(far)
    assert data == b"message"
    os.write(descriptors[1], b"x")
    assert os.read(reader, 1) == b"x"
    assert not any(os.get_inheritable(fd) for fd in descriptors)
    for fd in (reader, writer, *descriptors):
        os.close(fd)


def test_whoever_does_not_know_a_field_reads_on() -> None:
    """So that an upgrade may add one under live calls."""
    newer = {"type": "CloseLeg", "leg": "a", "since": 7}
    assert control.decode_commands(msgspec.msgpack.encode(newer)) == [
        control.CloseLeg(leg="a")
    ]
    older = {"type": "OpenLeg", "leg": "a"}
    assert control.decode_commands(msgspec.msgpack.encode(older)) == [
        control.OpenLeg(leg="a")
    ]


def test_the_messages_are_those_of_the_version() -> None:
    """Workers of one number understand each other, whatever release they are of."""
    unions: tuple[Any, ...] = (control.Command, control.Report)
    schema = msgspec.json.encode(
        [_bare(part) for part in msgspec.json.schema_components(unions)], order="sorted"
    )
    digest = hashlib.sha256(schema).hexdigest()[:16]
    assert (control.VERSION, digest) == (8, "970270d48f21910d"), (
        "The messages have changed. Raise VERSION, unless control.py's first lines say"
        " that it may stay; then put the new digest here."
    )


def _bare(part: Any) -> Any:
    """A schema without what is said of it."""
    if isinstance(part, Mapping):
        return {k: _bare(v) for k, v in part.items() if k != "description"}
    return [_bare(one) for one in part] if isinstance(part, list | tuple) else part


def test_the_end_of_the_connection_is_no_message(pair: Pair) -> None:
    near, far = pair
    near.close()
    assert control.receive(far) == (b"", [])


def test_the_longest_message_fits_the_kernels_buffer(pair: Pair) -> None:
    near, far = pair
    near.settimeout(0)
    control.send(near, bytes(control.MAX_MESSAGE), ())
    assert len(control.receive(far)[0]) == control.MAX_MESSAGE


def test_messages_have_a_bound(pair: Pair) -> None:
    near, far = pair
    with pytest.raises(ControlError):
        control.encode(control.Mark(recording="r", note=bytes(control.MAX_MESSAGE)))
    near.send(bytes(control.MAX_MESSAGE + 1))
    with pytest.raises(ControlError, match="cut"):
        control.receive(far)


def test_a_report_is_no_command() -> None:
    with pytest.raises(ControlError):
        control.decode_commands(control.encode(Latched(leg="a")))
    with pytest.raises(ControlError):
        control.decode_report(control.encode(control.CloseLeg(leg="a")))


@given(st.binary(max_size=200))
def test_garbage_is_refused(data: bytes) -> None:
    with contextlib.suppress(ControlError):
        commands = control.decode_commands(data)
        assert all(isinstance(command, msgspec.Struct) for command in commands)
    with contextlib.suppress(ControlError):
        assert isinstance(control.decode_report(data), msgspec.Struct)


def test_representations_show_neither_keys_nor_notes() -> None:
    secret = b"secret" * 6
    address = Address("::1", 4000)
    keys = SrtpKeys(
        suite=SrtpSuite.AES_CM_128_HMAC_SHA1_80, send=secret, receive=secret
    )
    audio = NegotiatedAudio(
        remote=address, remote_rtcp=address, codec=PCMA, srtp=keys, rtcp_mux=True
    )
    configure = control.Configure(leg="a", audio=audio, latch=Latch.OFF)
    assert control.decode_commands(control.encode(configure)) == [configure]
    messages = [
        configure,
        control.StartRecording(
            recording="r",
            legs=("a", "b"),
            tapped=(True, True),
            since_ns=(0, 0),
            journal_key=secret,
            key_id=b"",
            epoch=0,
            path="",
            notes=(secret,),
        ),
        control.Mark(recording="r", note=secret),
        control.StopRecording(recording="r", end=secret),
    ]
    assert "secret" not in repr(messages)
