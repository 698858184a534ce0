"""Recording sessions for which we offer, and such as outlive a process."""

import random

import msgspec
import pytest

from agent.model.media import (
    Direction,
    SrtpPolicy,
)
from agent.signalling.not_acceptable import NotAcceptableError
from agent.signalling.sdp import parse_sdp
from agent.signalling.siprec.negotiation import (
    RecordingNegotiation,
    RecordingState,
)
from tests.signalling.offers import description
from tests.signalling.siprec.sessions import (
    TWO,
    answered,
    negotiation,
    ports,
    secured,
    version,
)

# -- our offer --------------------------------------------------------------------


def test_an_invite_without_offer_gets_ours() -> None:
    session = negotiation()
    offer = session.offer(ports(0, 1))
    media = parse_sdp(offer).media
    assert [one.port for one in media] == [20000, 20002]
    assert [one.direction for one in media] == [Direction.RECVONLY] * 2
    assert session.pending
    assert session.streams == ()
    for ask in (session.wanted, lambda body: session.answer(body, ports(0))):
        with pytest.raises(NotAcceptableError) as caught:
            ask(description(*TWO))
        assert caught.value.status == 491
    streams = session.receive_answer(description(*TWO))
    assert [(one.label, one.audio.direction) for one in streams] == [
        ("1", Direction.RECVONLY),
        ("2", Direction.RECVONLY),
    ]
    assert not session.pending
    answered(session, description(*TWO))


def test_a_stream_of_ours_that_is_refused_is_gone() -> None:
    session = negotiation()
    session.offer(ports(0, 1))
    (stream,) = session.receive_answer(description(TWO[0], "audio 0 RTP/AVP 8"))
    assert (stream.index, stream.label) == (0, "1")


@pytest.mark.parametrize(
    "answer",
    [
        description(TWO[0]),
        description("audio 0 RTP/AVP 8", "audio 0 RTP/AVP 8"),
        description("audio 4000 RTP/AVP 18", "audio 4002 RTP/SAVP 8"),
        b"",
    ],
)
def test_an_answer_that_leaves_no_stream_is_refused(answer: bytes) -> None:
    session = negotiation()
    session.offer(ports(0, 1))
    before = session.state
    with pytest.raises(NotAcceptableError):
        session.receive_answer(answer)
    assert session.state == before


def test_an_offer_that_nobody_answered_is_forgotten() -> None:
    session = negotiation()
    first = session.offer(ports(0, 1))
    session.cancel_offer()
    session.cancel_offer()
    assert not session.pending
    assert version(session.offer(ports(0, 1))) > version(first)


def test_nothing_is_offered_or_answered_without_a_stream() -> None:
    session = negotiation()
    with pytest.raises(NotAcceptableError):
        session.offer({})
    with pytest.raises(NotAcceptableError):
        session.receive_answer(description(*TWO))
    with pytest.raises(NotAcceptableError):
        negotiation(srtp=SrtpPolicy.REQUIRE).offer(ports(0))


def test_a_later_offer_of_ours_has_what_is_in_use() -> None:
    session = negotiation()
    answered(session, description("video 5000 RTP/AVP 31", *TWO))
    offer = parse_sdp(session.offer({})).media
    assert [(one.kind, one.port, one.label) for one in offer] == [
        ("video", 0, None),
        ("audio", 20002, "1"),
        ("audio", 20004, "2"),
    ]
    ended = description("video 0 RTP/AVP 31", "audio 0 RTP/AVP 8", "audio 0 RTP/AVP 8")
    assert session.receive_answer(ended) == ()


def test_what_was_agreed_may_be_answered_once_more() -> None:
    session = negotiation()
    answered(session, description(*TWO))
    renamed = description(TWO[0].replace("label:1", "label:a"), TWO[1])
    streams = session.receive_answer(renamed)
    assert [one.label for one in streams] == ["a", "2"]


# -- another process --------------------------------------------------------------


def reborn(of: RecordingNegotiation) -> RecordingNegotiation:
    document = msgspec.msgpack.encode(of.state)
    state = msgspec.msgpack.decode(document, type=RecordingState)
    assert state == of.state
    assert repr(state) == "RecordingState(…)"
    return RecordingNegotiation.restore(state, random_bytes=random.Random(9).randbytes)


def test_the_next_process_goes_on_with_streams_keys_and_version() -> None:
    session = negotiation(secure=True)
    offer = secured("1", "2")
    answer, _ = session.answer(offer, ports(0, 1))
    other = reborn(session)
    assert other.streams == session.streams
    assert other.answer(offer, ports(0, 1))[0] == answer
    assert other.offer({}) == session.offer({})


def test_the_next_process_takes_the_answer_to_an_offer_under_way() -> None:
    session = negotiation()
    session.offer(ports(0, 1))
    other = reborn(session)
    assert other.pending
    body = description(*TWO)
    assert other.receive_answer(body) == session.receive_answer(body)
    assert reborn(negotiation()).wanted(body) == (0, 1)
