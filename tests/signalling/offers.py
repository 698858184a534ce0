"""Two of us who offer and answer."""

from collections.abc import Sequence

from agent.model.media import PCMA, PCMU, Address, Codec
from agent.signalling.offer_answer import OfferAnswer
from agent.signalling.sdp import SessionDescription, parse_sdp

OURS = Address("192.0.2.1", 20000)
OURS6 = Address("2001:db8::1", 20000)
G722 = Codec("G722", 9)


def negotiation(
    codecs: Sequence[Codec] = (PCMA, PCMU), address: Address = OURS
) -> OfferAnswer:
    return OfferAnswer(address=address, session_id=7, codecs=codecs)


def description(
    *media: str, connection: str = "IN IP4 192.0.2.9", session: str = ""
) -> bytes:
    head = f"v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc={connection}\r\nt=0 0\r\n"
    return (head + session + "".join(f"m={one}\r\n" for one in media)).encode()


def connect(
    offerer: OfferAnswer, answerer: OfferAnswer
) -> tuple[SessionDescription, SessionDescription]:
    """One whole exchange; the descriptions as they were on the wire."""
    offer = offerer.offer()
    answer, _ = answerer.answer(offer)
    offerer.receive_answer(answer)
    return parse_sdp(offer), parse_sdp(answer)


def pair() -> tuple[OfferAnswer, OfferAnswer]:
    other = OfferAnswer(
        address=Address("192.0.2.2", 30000), session_id=8, codecs=(PCMU, PCMA)
    )
    return negotiation(), other
