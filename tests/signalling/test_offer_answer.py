import pytest

from agent.model.media import PCMA, PCMU, Address, Direction
from agent.signalling.offer_answer import NotAcceptableError, OfferAnswer
from agent.signalling.sdp import parse_sdp
from tests.signalling.offers import OURS, connect, pair


def test_the_answerers_order_decides_and_both_agree() -> None:
    caller, callee = pair()
    offer, answer = connect(caller, callee)
    assert offer.media[0].formats == ("8", "0", "101")
    assert answer.media[0].formats == ("0", "101")
    assert answer.media[0].fmtp(101) == "0-15"
    assert caller.current is not None
    assert callee.current is not None
    assert caller.current.codec == callee.current.codec == PCMU
    assert caller.current.telephone_event == callee.current.telephone_event == 101
    assert caller.current.remote == Address("192.0.2.2", 30000)
    assert caller.current.rtcp_mux
    assert caller.current.remote_rtcp == Address("192.0.2.2", 30000)
    assert callee.current.remote == OURS
    assert not caller.pending


def test_hold_and_resume() -> None:
    caller, callee = pair()
    connect(caller, callee)
    answer, held = callee.answer(caller.offer(direction=Direction.SENDONLY))
    assert held.direction is Direction.RECVONLY
    assert parse_sdp(answer).media[0].direction is Direction.RECVONLY
    assert caller.receive_answer(answer).direction is Direction.SENDONLY
    answer, resumed = callee.answer(caller.offer())
    assert resumed.direction is Direction.SENDRECV
    assert caller.receive_answer(answer).direction is Direction.SENDRECV


def test_a_hold_does_not_change_the_codec() -> None:
    caller, callee = pair()
    connect(caller, callee)
    offer = caller.offer(direction=Direction.SENDONLY)
    assert parse_sdp(offer).media[0].formats == ("0", "8", "101")
    callee.answer(offer)
    assert callee.current is not None
    assert callee.current.codec == PCMU


def test_hold_from_both_sides_is_inactive() -> None:
    caller, callee = pair()
    connect(caller, callee)
    offer = caller.offer(direction=Direction.SENDONLY)
    answer, audio = callee.answer(offer, direction=Direction.SENDONLY)
    assert audio.direction is Direction.INACTIVE
    assert caller.receive_answer(answer).direction is Direction.INACTIVE


def test_version_rises_by_one_with_each_change_and_only_then() -> None:
    caller, callee = pair()
    connect(caller, callee)
    versions = []
    for direction in (
        Direction.SENDRECV,
        Direction.SENDRECV,
        Direction.SENDONLY,
        Direction.SENDONLY,
        Direction.SENDRECV,
    ):
        offer = caller.offer(direction=direction)
        versions.append(parse_sdp(offer).origin.version)
        caller.receive_answer(callee.answer(offer)[0])
    # The codec in use has moved to the front once.
    assert versions == ["2", "2", "3", "3", "4"]


def test_a_repeated_offer_gets_the_same_answer() -> None:
    caller, callee = pair()
    offer = caller.offer()
    assert callee.answer(offer) == callee.answer(offer)


def test_a_cancelled_offer_leaves_the_session_as_it_was() -> None:
    caller, callee = pair()
    connect(caller, callee)
    before = caller.current
    refused = caller.offer(direction=Direction.INACTIVE)
    assert caller.pending
    caller.cancel_offer()
    assert not caller.pending
    assert caller.current == before
    again = caller.offer(direction=Direction.INACTIVE)
    assert refused != again
    assert parse_sdp(again).origin.version == "3"


def test_cancelling_nothing_changes_nothing() -> None:
    caller, callee = pair()
    connect(caller, callee)
    version = parse_sdp(caller.offer()).origin.version
    caller.cancel_offer()
    caller.cancel_offer()
    assert parse_sdp(caller.offer()).origin.version == str(int(version) + 1)


def test_crossing_offers_are_told_apart() -> None:
    caller, callee = pair()
    connect(caller, callee)
    caller.offer()
    for attempt in (caller.offer, lambda: caller.answer(callee.offer())):
        with pytest.raises(NotAcceptableError) as caught:
            attempt()
        assert caught.value.status == 491


def test_forks_and_the_200_after_a_183_answer_the_same_offer() -> None:
    caller, callee = pair()
    offer = caller.offer()
    caller.receive_answer(callee.answer(offer)[0])
    other = OfferAnswer(
        address=Address("192.0.2.3", 40000), session_id=9, codecs=(PCMA,)
    )
    audio = caller.receive_answer(other.answer(offer)[0])
    assert audio.remote == Address("192.0.2.3", 40000)
    assert audio.codec == PCMA


def test_an_answer_without_an_offer_is_refused() -> None:
    caller, callee = pair()
    with pytest.raises(NotAcceptableError):
        caller.receive_answer(callee.offer())
    assert not caller.pending


def test_after_the_peers_offer_an_old_answer_is_refused() -> None:
    caller, callee = pair()
    offer = caller.offer()
    old, _ = callee.answer(offer)
    caller.receive_answer(old)
    caller.answer(callee.offer())
    with pytest.raises(NotAcceptableError):
        caller.receive_answer(old)
