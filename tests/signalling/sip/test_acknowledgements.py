from agent.signalling.sip.acknowledgements import MAX_ACKS, Acknowledgements
from agent.signalling.sip.message import response_to
from tests.signalling.sip.pair import ALICE, ANSWER, Pair, confirmed_with_peer

HELD = b"v=0\r\ns=held\r\n"


def test_a_2xx_that_comes_again_has_its_ack_again() -> None:
    alice, peer, session, invite = confirmed_with_peer()
    link = alice.find(session)._link
    acks = Acknowledgements(link)
    acks.send(link.dialog, invite.cseq.number, 0.0, body=ANSWER)
    alice.wire.run(0.0)
    assert peer.request("ACK").body == ANSWER
    peer.take()
    peer.respond(invite, 200, ALICE, body=ANSWER)
    assert peer.take() == ["ACK"]
    again = response_to(invite, 200, to_tag="peer")
    assert again in acks
    acks.repeat(again, 0.0)
    other = response_to(invite, 200, to_tag="other")
    assert other not in acks
    acks.repeat(other, 0.0)
    alice.wire.run(0.0)
    assert peer.take() == ["ACK"]
    assert len(acks) == 1


def test_many_offers_leave_no_trace() -> None:
    pair = Pair()
    ours, theirs = pair.establish()
    pair.alice.on = pair.accept_offers(pair.alice)
    for _ in range(2 * MAX_ACKS):
        pair.alice.core.reoffer(ours, pair.wire.now, body=HELD)
        pair.run(1.0)
        pair.bob.core.reoffer(theirs, pair.wire.now, body=HELD)
        pair.run(1.0)
    assert pair.alice.names.count("OfferAnswered") == 2 * MAX_ACKS
    assert pair.bob.names.count("OfferAnswered") == 2 * MAX_ACKS
    assert len(pair.alice.find(ours)._acks) == MAX_ACKS
    assert not pair.alice.core._user._owners
