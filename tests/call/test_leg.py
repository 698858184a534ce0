import pytest

from agent.call.config import PeerConfig
from agent.call.leg import Leg
from agent.model.media import PCMA, PCMU, Address, Latch, NegotiatedAudio
from agent.signalling.sip.flow import Flow

HERE = Address("192.0.2.1", 40000)


def leg(**options: object) -> Leg:
    flow = Flow("udp", Address("192.0.2.1", 5060), Address("192.0.2.10", 5060))
    peer = PeerConfig(name="p", match=("192.0.2.10",), **options)  # type: ignore[arg-type]
    return Leg(name="a", session="s1", flow=flow, peer=peer, media_id="m")


def audio(event: int | None = None) -> NegotiatedAudio:
    return NegotiatedAudio(
        remote=HERE, remote_rtcp=HERE, codec=PCMA, telephone_event=event
    )


def test_a_strangers_leg_is_not_trusted_and_latches_on_its_address() -> None:
    made = leg()
    made.peer = None
    assert not made.trusted
    assert made.latch is Latch.ADDRESS


@pytest.mark.parametrize("latch", list(Latch))
def test_a_peer_says_whether_it_is_trusted_and_how_it_latches(latch: Latch) -> None:
    made = leg(trusted=True, latch=latch.value)
    assert made.trusted
    assert made.latch is latch


def test_nothing_is_agreed_before_an_exchange() -> None:
    made = leg()
    assert made.audio is None
    offerer = leg().begin_negotiation(Address("192.0.2.10", 5000), 2, (PCMU,))
    negotiation = made.begin_negotiation(HERE, 1, (PCMA, PCMU))
    assert made.audio is None
    negotiation.answer(offerer.offer())
    assert made.audio is not None
    assert made.audio.codec.name == "PCMU"


def test_payload_types_are_remembered_and_news_is_told() -> None:
    made = leg()
    assert made.note_codecs(audio())
    assert not made.note_codecs(audio())
    assert made.note_codecs(audio(101))
    assert made.codecs_seen == {"8": "PCMA", "101": "telephone-event"}
