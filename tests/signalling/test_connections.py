from agent.model.media import Address
from agent.signalling.connection import FIRST_SECONDS, PING_SECONDS, Verdict
from agent.signalling.connections import (
    MAX_PER_STRANGER,
    ConnectionTable,
    reopening,
)
from agent.signalling.sip.flow import Flow

LOCAL = Address("127.0.0.1", 5061)


def flow(host: str = "192.0.2.1", port: int = 40000, *, inbound: bool = True) -> Flow:
    return Flow("tcp", LOCAL, Address(host, port), inbound=inbound)


def table(limit: int = 100) -> ConnectionTable:
    return ConnectionTable(max_connections=limit, idle_seconds=600.0)


def opened(connections: ConnectionTable, flow: Flow, peer: str = "pbx") -> str:
    name = connections.admit(flow.remote.host, peer, 0)
    assert name is not None
    connections.opened(name, flow, 0.0)
    return name


def test_a_flow_finds_its_connection_until_it_is_gone() -> None:
    connections = table()
    name = opened(connections, flow())
    assert connections.find(flow()) == name
    assert connections.flow_of(name) == flow()
    assert connections.find(flow(port=40001)) is None
    assert connections.gone(name, "closed by the peer") == flow()
    assert connections.gone(name, "again") is None
    assert connections.find(flow()) is None
    assert connections.flow_of(name) is None
    assert len(connections) == 0
    stats = connections.stats
    assert (stats.open, stats.accepted, stats.connected) == (0, 1, 0)
    assert stats.closed == {"closed by the peer": 1}


def test_the_newer_of_two_connections_counts() -> None:
    connections = table()
    old = opened(connections, flow())
    new = opened(connections, flow())
    assert connections.find(flow()) == new
    connections.gone(old, "lost")
    assert connections.find(flow()) == new


def test_connections_for_two_names_are_two() -> None:
    remote = Address("192.0.2.1", 5061)
    connections = table()
    name = connections.begin("", Flow("tls", LOCAL, remote, "a.example"))
    connections.opened(name, Flow("tls", LOCAL, remote, "a.example"), 0.0)
    assert connections.find(Flow("tls", LOCAL, remote, "b.example")) is None
    assert connections.stats.connected == 1


def test_places_are_limited_in_all_and_for_each() -> None:
    connections = table(40)
    for _ in range(2):
        assert connections.admit("192.0.2.1", "pbx", 2)
    assert connections.admit("192.0.2.1", "pbx", 2) is None
    for _ in range(MAX_PER_STRANGER):
        assert connections.admit("198.51.100.1", "", 0)
    assert connections.admit("198.51.100.1", "", 0) is None
    for host in range(2):
        assert connections.admit(f"198.51.100.{2 + host}", "", 0)
    assert connections.admit("198.51.100.9", "", 0) is None  # a quarter is taken
    while connections.admit("192.0.2.2", "trunk", 0):
        pass
    assert len(connections) == 40
    assert connections.stats.refused == {"peer": 1, "stranger": 2, "total": 1}
    assert connections.begin("trunk", flow(inbound=False))  # ours get out all the same


def test_a_place_whose_handshake_failed_is_free_again() -> None:
    connections = table()
    name = connections.admit("192.0.2.1", "pbx", 1)
    assert name is not None
    assert connections.gone(name, "handshake") is None
    assert connections.admit("192.0.2.1", "pbx", 1)
    assert connections.stats.closed == {}


def test_a_certificate_turns_a_stranger_into_a_peer() -> None:
    connections = table()
    name = opened(connections, flow(), peer="")
    connections.identified(name, "pbx")
    connections.identified(name, "pbx")
    connections.identified(name, "")
    for _ in range(MAX_PER_STRANGER):
        assert connections.admit("192.0.2.1", "", 0)
    assert connections.admit("192.0.2.9", "pbx", 1) is None
    connections.gone(name, "lost")
    assert connections.admit("192.0.2.9", "pbx", 1)


def test_a_peer_known_by_its_certificate_has_no_more_than_its_share() -> None:
    connections = table()
    names = [opened(connections, flow(port=40000 + n), peer="") for n in range(3)]
    assert [connections.identified(name, "pbx", 2) for name in names] == [
        True,
        True,
        False,
    ]
    assert connections.stats.refused == {"peer": 1}
    connections.gone(names[0], "lost")
    assert connections.identified(names[2], "pbx", 2)


def test_deadlines_of_all() -> None:
    connections = table()
    name = opened(connections, flow())
    own = connections.begin("pbx", flow(port=5060, inbound=False))
    connections.opened(own, flow(port=5060, inbound=False), 0.0)
    assert connections.get_timer() == FIRST_SECONDS
    assert connections.handle_timer(FIRST_SECONDS) == [(name, Verdict.IDLE)]
    connections.gone(name, "idle")
    assert connections.handle_timer(PING_SECONDS) == [(own, Verdict.PING)]
    assert connections.get_timer() == 2 * PING_SECONDS


def test_a_deadline_that_moved_is_looked_at_again() -> None:
    connections = table()
    name = connections.admit("192.0.2.1", "pbx", 0)
    assert name is not None
    connection = connections.opened(name, flow(), 0.0)
    connection.receive(b"OPTIONS sip:a SIP/2.0\r\nl: 0\r\n\r\n", 31.0)
    assert connections.handle_timer(FIRST_SECONDS) == []
    assert connections.get_timer() == 631.0


def test_what_is_opened_instead_of_a_connection_that_is_gone() -> None:
    ours = flow(inbound=False)
    assert reopening(ours) is ours
    assert reopening(flow()) is None
    back = Address("192.0.2.1", 5060)

    def theirs(transport: str, *names: str) -> Flow:
        remote = Address("192.0.2.1", 40000)
        return Flow(
            transport, LOCAL, remote, inbound=True, fallback=back, certificate=names
        )

    assert reopening(theirs("tcp")) == Flow("tcp", LOCAL, back)
    assert reopening(theirs("tls")) == Flow("tls", LOCAL, back, "192.0.2.1")
    assert reopening(theirs("tls", "a.example")) == Flow(
        "tls", LOCAL, back, "a.example"
    )
