import random

import msgspec
import pytest

from agent.model.media import G722, PCMA, PCMU, Address, Codec, Direction, SrtpPolicy
from agent.signalling.negotiation_state import NegotiationState
from agent.signalling.offer_answer import NotAcceptableError, OfferAnswer

HERE = Address("192.0.2.1", 40000)
THERE = Address("192.0.2.2", 30000)


def negotiation(
    address: Address = HERE,
    *,
    codecs: tuple[Codec, ...] = (PCMA, PCMU, G722),
    secure: bool = False,
    seed: int = 1,
) -> OfferAnswer:
    return OfferAnswer(
        address=address,
        session_id=7,
        codecs=codecs,
        secure=secure,
        srtp=SrtpPolicy.OFFER,
        random_bytes=random.Random(seed).randbytes,
    )


def reborn(of: OfferAnswer, seed: int = 9) -> OfferAnswer:
    document = msgspec.msgpack.encode(of.state)
    state = msgspec.msgpack.decode(document, type=NegotiationState)
    assert state == of.state
    return OfferAnswer.restore(state, random_bytes=random.Random(seed).randbytes)


@pytest.mark.parametrize("secure", [False, True])
def test_one_that_answered_goes_on_with_keys_version_and_payload_types(
    secure: bool,
) -> None:
    here, there = negotiation(secure=secure), negotiation(THERE, secure=secure, seed=2)
    answer, agreed = here.answer(there.offer())
    there.receive_answer(answer)
    other = reborn(here)
    assert other.current == agreed
    assert (agreed.srtp is not None) is secure
    hold = other.offer(direction=Direction.SENDONLY)
    assert hold == here.offer(direction=Direction.SENDONLY)
    held, _ = there.answer(hold)
    assert other.receive_answer(held) == here.receive_answer(held)


def test_an_offer_under_way_is_answered_to_the_process_after() -> None:
    here, there = negotiation(secure=True), negotiation(THERE, secure=True, seed=2)
    answer, _ = there.answer(here.offer())
    other = reborn(here)
    assert other.pending
    with pytest.raises(NotAcceptableError):
        other.offer()
    assert other.receive_answer(answer) == here.receive_answer(answer)
    assert not other.pending


def test_a_spent_key_stays_spent() -> None:
    here, there = negotiation(secure=True), negotiation(THERE, secure=True, seed=2)
    answer, agreed = here.answer(there.offer())
    there.receive_answer(answer)
    here.spend_key()
    other = reborn(here)
    assert other.keys_spent
    renewed, _ = there.answer(other.offer())
    keys = other.receive_answer(renewed).srtp
    assert keys is not None
    assert agreed.srtp is not None
    assert keys.send != agreed.srtp.send
    assert not other.keys_spent


def test_what_was_never_described_is_kept_too() -> None:
    here = negotiation()
    assert reborn(here).offer() == here.offer()


def test_it_shows_no_key() -> None:
    here = negotiation(secure=True)
    here.offer()
    assert repr(here.state) == "NegotiationState(…)"
