import os
import socket
from collections.abc import Iterator

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
    assert control.decode_command(control.encode(command)) == command
    report = LegClosed(leg="a", stats=LegStats(received=7))
    assert control.decode_report(control.encode(report)) == report


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
        control.decode_command(control.encode(Latched(leg="a")))
    with pytest.raises(ControlError):
        control.decode_report(control.encode(control.CloseLeg(leg="a")))


@given(st.binary(max_size=200))
def test_garbage_is_refused(data: bytes) -> None:
    for decode in (control.decode_command, control.decode_report):
        try:
            message = decode(data)
        except ControlError:
            continue
        assert isinstance(message, msgspec.Struct)


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
    assert control.decode_command(control.encode(configure)) == configure
    messages = [
        configure,
        control.StartRecording(
            recording="r",
            legs=("a", "b"),
            tapped=(True, True),
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
