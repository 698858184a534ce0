"""The basic flows of RFC 3665, and whole calls over a bad network."""

import pytest

from agent.signalling.sip import core as sip
from tests.fakes.wire import lose, unreliable
from tests.signalling.sip.pair import ALICE, ANSWER, BOB, OFFER, Pair

HELD = b"v=0\r\ns=held\r\n"


def test_3_1_session_establishment() -> None:
    pair = Pair()
    ours = pair.alice.call(BOB)
    pair.run(1.0)
    pair.alice.hang_up(ours)
    pair.run(1.0)
    assert pair.wire.names() == ["INVITE", "100", "180", "200", "ACK", "BYE", "200"]
    assert pair.alice.names == ["Progressed", "Accepted", "Ended"]
    assert pair.bob.names == ["InviteReceived", "Acknowledged", "Ended"]
    assert pair.alice.events[1].response.body == ANSWER
    pair.run(60.0)
    assert pair.is_clean()


def test_3_1_the_callee_hangs_up() -> None:
    pair = Pair()
    _, theirs = pair.establish()
    pair.bob.hang_up(theirs)
    pair.run(1.0)
    assert pair.wire.names() == ["BYE", "200"]
    assert [str(e.reason) for e in pair.alice.events + pair.bob.events] == [
        "bye",
        "local",
    ]
    assert pair.alice.last.request.cseq.method == "BYE"


def test_3_7_session_with_re_invite() -> None:
    pair = Pair()
    ours, theirs = pair.establish()
    pair.alice.on = pair.accept_offers(pair.alice)
    pair.bob.core.reoffer(theirs, pair.wire.now, body=HELD)
    pair.run(1.0)
    assert pair.wire.names() == ["INVITE", "100", "200", "ACK"]
    assert pair.alice.names == ["OfferReceived", "Acknowledged"]
    assert pair.alice.events[0].body == HELD
    assert pair.bob.names == ["OfferAnswered"]
    pair.wire.log.clear()
    pair.alice.hang_up(ours)
    pair.run(60.0)
    assert pair.wire.names() == ["BYE", "200"]
    assert pair.is_clean()


def test_3_8_no_answer() -> None:
    pair = Pair(answers=False)
    ours = pair.alice.call(BOB)
    pair.run(0.1)
    pair.bob.core.ring(pair.bob.session, pair.wire.now)
    pair.run(20.0)
    pair.alice.hang_up(ours)
    pair.run(1.0)
    assert pair.wire.names() == [
        *["INVITE", "100", "180", "CANCEL"],
        *["200", "487", "ACK"],
    ]
    assert pair.alice.names == ["Progressed", "Refused"]
    assert pair.alice.last.status == 487
    assert pair.bob.names == ["InviteReceived", "Cancelled"]
    pair.run(60.0)
    assert pair.is_clean()


@pytest.mark.parametrize("status", [486, 480, 404, 603])
def test_3_9_busy_and_3_11_unavailable(status: int) -> None:
    pair = Pair(answers=False)
    pair.alice.call(BOB)
    pair.run(0.1)
    pair.bob.core.refuse(pair.bob.session, pair.wire.now, status=status)
    pair.run(60.0)
    assert pair.wire.names() == ["INVITE", "100", str(status), "ACK"]
    assert pair.alice.names == ["Refused"]
    assert pair.alice.last.status == status
    assert pair.bob.names == ["InviteReceived"]
    assert pair.is_clean()


def test_3_10_no_response() -> None:
    pair = Pair()
    pair.wire.detach(BOB)
    ours = pair.alice.call(BOB)
    pair.run(40.0)
    assert pair.wire.names() == ["INVITE"] * 7
    assert pair.alice.events == [sip.Refused(ours, 408, None)]


def test_an_invite_without_an_offer() -> None:
    pair = Pair()
    ours = pair.alice.call(BOB, body=b"")
    pair.run(0.1)
    assert pair.alice.last.response.body == OFFER
    pair.alice.core.acknowledge(ours, pair.wire.now, body=ANSWER)
    pair.run(1.0)
    assert pair.bob.last.request.body == ANSWER
    assert pair.wire.names() == ["INVITE", "100", "180", "200", "ACK"]


@pytest.mark.parametrize("lost", ["INVITE", "100", "180", "200", "ACK", "BYE"])
@pytest.mark.parametrize("times", [1, 3])
def test_one_message_is_lost(lost: str, times: int) -> None:
    pair = Pair(fate=lose(lost, times))
    ours = pair.alice.call(BOB)
    pair.run(20.0)
    assert pair.alice.names[-1] == "Accepted"
    assert pair.bob.names == ["InviteReceived", "Acknowledged"]
    pair.alice.hang_up(ours)
    pair.run(100.0)
    assert pair.alice.last == sip.Ended(ours, sip.EndReason.LOCAL, None)
    assert pair.bob.last.reason == "bye"
    assert pair.is_clean()


@pytest.mark.parametrize("seed", range(12))
def test_a_call_over_a_bad_network(seed: int) -> None:
    fate = unreliable(seed=seed, loss=0.3, duplicate=0.2, delay=0.02, jitter=0.3)
    pair = Pair(fate=fate, seed=seed)
    pair.alice.on = pair.accept_offers(pair.alice)
    ours = pair.alice.call(BOB)
    pair.run(32.0)
    assert pair.alice.names.count("Accepted") == 1
    theirs = pair.bob.events[0].session
    pair.alice.core.reoffer(ours, pair.wire.now, body=HELD)
    pair.bob.core.reoffer(theirs, pair.wire.now, body=HELD)
    pair.run(60.0)
    assert pair.alice.names.count("OfferAnswered") == 1
    assert pair.bob.names.count("OfferAnswered") == 1
    pair.bob.hang_up(theirs)
    pair.run(150.0)
    for phone in (pair.alice, pair.bob):
        assert phone.names.count("Ended") == 1
        assert phone.names[-1] == "Ended"
    assert pair.bob.names.count("InviteReceived") == 1
    assert pair.wire.names(source=ALICE).count("INVITE") >= 2
    assert pair.is_clean()
