import socket

import pytest

from agent.model.media import Address
from agent.signalling.config import Listener
from agent.signalling.tcp import listen, tune
from agent.signalling.transport import TransportError


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_listener_takes_connections(host: str) -> None:
    with listen(Listener("tcp", Address(host, 0))) as sock:
        assert not sock.getblocking()
        with socket.create_connection(sock.getsockname()[:2]):
            accepted, _ = sock.accept()
            accepted.close()


def test_a_port_that_is_taken_is_told_of() -> None:
    with listen(Listener("tcp", Address("127.0.0.1", 0))) as sock:
        taken = Address(*sock.getsockname())
        with pytest.raises(TransportError, match=f"cannot listen on tcp {taken}"):
            listen(Listener("tcp", taken))


def test_messages_go_at_once_and_a_peer_that_vanished_is_found_out() -> None:
    with socket.socket() as sock:
        tune(sock)
        for level, option in (
            (socket.IPPROTO_TCP, socket.TCP_NODELAY),
            (socket.SOL_SOCKET, socket.SO_KEEPALIVE),
        ):
            assert sock.getsockopt(level, option)
        found = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
        assert found == 32_000
