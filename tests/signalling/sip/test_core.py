import random
from dataclasses import replace

from agent.signalling.sip import core as sip
from agent.signalling.sip.core import UserAgentCore
from tests.fakes.wire import Wire
from tests.signalling.sip.pair import (
    ALICE,
    ANSWER,
    BOB,
    MALLORY,
    OFFER,
    Pair,
    Peer,
    Phone,
    answered_peer,
    called_by_peer,
    calling_peer,
    confirmed_with_peer,
    new_core,
)


def test_everything_is_counted() -> None:
    pair = Pair()
    ours, _ = pair.establish()
    pair.alice.hang_up(ours)
    pair.run(60.0)
    stats = pair.alice.core.stats
    # INVITE, ACK, BYE; 100, 180, 200, 200.
    assert (stats.sent, stats.received, stats.sessions) == (3, 4, 1)
    assert (pair.bob.core.stats.sent, pair.bob.core.stats.received) == (4, 3)
    assert pair.alice.core.transaction_stats.responses == 4
    assert pair.is_clean()


def test_nothing_to_do_is_no_timer() -> None:
    core = UserAgentCore(rng=random.Random(1), product="x")
    assert core.get_timer() is None
    core.handle_timer(0.0)
    assert core.data_to_send() == []
    assert core.next_event() is None


def test_a_timer_may_be_the_layers_or_a_sessions() -> None:
    alice, _, _, _ = calling_peer()
    assert alice.core.get_timer() == 0.5
    bob, _, _, _ = answered_peer()
    assert bob.core.get_timer() == 0.5
    bob.wire.run(31.9)
    assert bob.core.get_timer() == 32.0


def test_the_network_may_fail() -> None:
    alice, _, session, _ = calling_peer()
    alice.core.transport_failed(alice.wire.flow(ALICE, MALLORY), 0.0)
    alice.wire.run(0.0)
    assert alice.names == []
    alice.core.transport_failed(alice.wire.flow(ALICE, BOB), 0.0)
    alice.wire.run(0.0)
    assert alice.events == [sip.Refused(session, 503, None)]


def test_nothing_said_names_a_person() -> None:
    bob, peer, _, _ = answered_peer()
    events = repr(bob.events) + repr(bob.core.stats) + repr(peer.received)
    assert "peer@" not in events
    assert "201" not in events


def test_over_another_transport_the_2xx_is_still_sent_again() -> None:
    wire = Wire(transport="tcp")
    bob = Phone(wire, BOB, new_core(2))
    peer = Peer(wire, ALICE)
    peer.send(peer.new_request("INVITE", body=OFFER), BOB)
    bob.answer(bob.session)
    wire.run(1.6)
    assert peer.take() == ["100", "200", "200", "200"]
    assert replace(wire.flow(BOB, ALICE)).reliable


# -- responses that are late, stray or forged -----------------------------------


def test_a_response_to_nothing_is_nothing() -> None:
    bob, peer = called_by_peer()
    for method in ("INVITE", "BYE"):
        request = peer.new_request(method)
        request.headers.set("Via", f"SIP/2.0/UDP {BOB};branch=z9hG4bKno")
        for status in (180, 200, 487):
            peer.respond(request, status, BOB)
    assert peer.take() == []
    assert bob.names == []


def test_the_end_of_a_surplus_branch_is_nobodys_business() -> None:
    alice, peer, _, invite = confirmed_with_peer()
    peer.respond(invite, 200, ALICE, tag="other", body=ANSWER)
    assert peer.names == ["ACK", "BYE"]
    peer.respond(peer.request("BYE"), 200, ALICE)
    peer.respond(invite, 200, ALICE, tag="third", body=ANSWER)
    alice.core.transport_failed(alice.wire.flow(ALICE, BOB), 0.0)
    alice.wire.run(80.0)
    assert alice.names == []
    assert len(alice.core) == 1
