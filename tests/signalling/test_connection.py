from collections.abc import Callable

import pytest

from agent.signalling.connection import (
    FIRST_SECONDS,
    MESSAGE_SECONDS,
    PING_SECONDS,
    PONG_SECONDS,
    Connection,
    Verdict,
)
from agent.signalling.sip.framing import Complete, Ping, Pong

MESSAGE = b"OPTIONS sip:a SIP/2.0\r\nl: 0\r\n\r\n"


def inbound(*, known: bool = True) -> Connection:
    return Connection(outgoing=False, known=known, idle_seconds=600.0, now=0.0)


def outgoing() -> Connection:
    return Connection(outgoing=True, known=True, idle_seconds=600.0, now=0.0)


def test_the_first_message_is_not_waited_for_long() -> None:
    connection = inbound()
    assert connection.receive(b"\r\n\r\n", 5.0) == [Pong(), Ping()]
    assert connection.get_timer() == FIRST_SECONDS
    assert connection.handle_timer(FIRST_SECONDS - 1) is None
    assert connection.handle_timer(FIRST_SECONDS) is Verdict.IDLE


def test_a_message_in_driblets_is_not_waited_for() -> None:
    connection = inbound()
    connection.receive(MESSAGE, 0.0)
    connection.receive(MESSAGE[:1], 100.0)
    for second in range(1, int(MESSAGE_SECONDS)):
        connection.receive(MESSAGE[second : second + 1], 100.0 + second)
    assert connection.get_timer() == 100.0 + MESSAGE_SECONDS
    assert connection.handle_timer(100.0 + MESSAGE_SECONDS) is Verdict.SLOW


@pytest.mark.parametrize("new", [inbound, outgoing])
@pytest.mark.parametrize("heard", [b"", b"\r\n", MESSAGE, MESSAGE[:5]])
def test_what_is_sent_never_brings_a_deadline_nearer(
    new: Callable[[], Connection], heard: bytes
) -> None:
    connection = new()
    connection.receive(heard, 1.0)
    at = connection.get_timer()
    connection.handle_timer(at)
    before = connection.get_timer()
    connection.sent(at)
    assert connection.get_timer() >= before


def test_each_message_has_its_own_time() -> None:
    connection = inbound()
    assert connection.receive(MESSAGE + MESSAGE[:5], 1.0) == [Complete(MESSAGE)]
    assert connection.receive(MESSAGE[5:] + MESSAGE[:5], 9.0) == [Complete(MESSAGE)]
    assert connection.get_timer() == 9.0 + MESSAGE_SECONDS
    connection.receive(MESSAGE[5:], 10.0)
    assert connection.get_timer() == 10.0 + 600.0


def test_a_peers_pings_keep_its_connection_a_strangers_do_not() -> None:
    for known, until in ((True, 20.0 + 600.0), (False, 1.0 + FIRST_SECONDS)):
        connection = inbound(known=known)
        connection.receive(MESSAGE, 1.0)
        connection.receive(b"\r\n\r\n", 20.0)
        assert connection.get_timer() == until
        assert connection.handle_timer(until) is Verdict.IDLE


def test_what_we_send_keeps_it_too() -> None:
    connection = inbound()
    connection.receive(MESSAGE, 1.0)
    connection.sent(50.0)
    assert connection.get_timer() == 650.0


def test_a_connection_of_ours_is_pinged_and_never_idle() -> None:
    connection = outgoing()
    connection.sent(10.0)
    at = 10.0 + PING_SECONDS
    for _ in range(3):
        assert connection.get_timer() == at
        assert connection.handle_timer(at) is Verdict.PING
        at += PING_SECONDS  # this peer never answers, and that is its right


def test_a_peer_that_answered_pings_once_must_go_on() -> None:
    connection = outgoing()
    assert connection.handle_timer(PING_SECONDS) is Verdict.PING
    connection.receive(b"\r\n", PING_SECONDS + 1)
    at = connection.get_timer()
    assert at == 2 * PING_SECONDS + 1
    assert connection.handle_timer(at) is Verdict.PING
    assert connection.get_timer() == at + PONG_SECONDS
    assert connection.handle_timer(at + PONG_SECONDS) is Verdict.DEAD


def test_a_message_is_as_good_as_a_pong() -> None:
    connection = outgoing()
    connection.handle_timer(PING_SECONDS)
    connection.receive(b"\r\n", PING_SECONDS)
    connection.handle_timer(2 * PING_SECONDS)
    connection.receive(MESSAGE, 2 * PING_SECONDS + 1)
    assert connection.get_timer() == 3 * PING_SECONDS + 1
