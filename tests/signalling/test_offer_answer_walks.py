"""The RFCs' examples, walks and garbage."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from agent.model.media import PCMA, PCMU, Address, Codec, Direction
from agent.signalling.offer_answer import NotAcceptableError, OfferAnswer
from agent.signalling.sdp import Media, parse_sdp
from tests.corpora import corpus_files
from tests.signalling.offers import OURS, OURS6, description, negotiation, pair

HOST = re.compile(rb"IN IP4 [a-z0-9.]+\.com")


@pytest.mark.parametrize(
    "path", corpus_files("sdp/rfc", "*.sdp"), ids=lambda path: path.stem
)
def test_the_examples_of_the_rfcs_are_answered_or_refused(path: Path) -> None:
    body = HOST.sub(b"IN IP4 192.0.2.9", path.read_bytes())
    offer = parse_sdp(body)
    offered = offer.media
    acceptable = [one for one in offered if usable(one)]
    if not acceptable:
        with pytest.raises(NotAcceptableError):
            negotiation().answer(body)
        return
    connection = offer.connection_of(acceptable[0])
    assert connection is not None
    leg = negotiation(address=OURS6 if ":" in connection.host else OURS)
    answer, audio = leg.answer(body)
    answered = parse_sdp(answer).media
    assert [one.kind for one in answered] == [one.kind for one in offered]
    assert [one.port for one in answered if one.port] == [OURS.port]
    assert audio.remote.port == acceptable[0].port


def usable(media: Media) -> bool:
    return (
        media.kind == "audio"
        and media.port != 0
        and media.protocol == "RTP/AVP"
        and any(one.name.upper() in {"PCMU", "PCMA"} for one in media.rtpmaps.values())
    )


directions = st.sampled_from(list(Direction))
codec_lists = st.sampled_from([(PCMA,), (PCMU,), (PCMA, PCMU), (PCMU, PCMA)])
steps = st.tuples(
    st.sampled_from(["exchange", "refuse", "cross", "garbage"]),
    st.booleans(),
    directions,
    st.none() | directions,
    st.none() | codec_lists,
)


@settings(max_examples=60)
@given(codec_lists, codec_lists, st.lists(steps, max_size=8))
def test_any_walk_leaves_both_sides_agreed(
    ours: tuple[Codec, ...], theirs: tuple[Codec, ...], walk: list[tuple[Any, ...]]
) -> None:
    one, two = (
        negotiation(ours),
        OfferAnswer(address=Address("192.0.2.2", 30000), session_id=8, codecs=theirs),
    )
    last: dict[OfferAnswer, bytes] = {}
    for kind, swap, direction, willing, codecs in walk:
        offerer, answerer = (two, one) if swap else (one, two)
        before = offerer.current, answerer.current
        offer = offerer.offer(codecs=codecs, direction=direction)
        check_version(last, offerer, offer)
        if kind == "refuse":
            offerer.cancel_offer()
            assert (offerer.current, answerer.current) == before
            continue
        if kind == "cross":
            with pytest.raises(NotAcceptableError):
                offerer.answer(offer)
        if kind == "garbage":
            with pytest.raises(NotAcceptableError):
                offerer.receive_answer(b"garbage")
        try:
            answer, heard = answerer.answer(offer, direction=willing)
        except NotAcceptableError:
            offerer.cancel_offer()
            assert (offerer.current, answerer.current) == before
            continue
        check_version(last, answerer, answer)
        told = offerer.receive_answer(answer)
        assert told.codec == heard.codec
        assert told.telephone_event == heard.telephone_event
        assert told.direction is heard.direction.reversed
        assert offerer.current == told
        assert answerer.current == heard


def check_version(
    last: dict[OfferAnswer, bytes], side: OfferAnswer, sent: bytes
) -> None:
    """RFC 3264 section 8: another version by one, or the very same description."""
    previous = last.get(side)
    if previous is not None and sent != previous:
        before, now = parse_sdp(previous), parse_sdp(sent)
        assert int(now.origin.version) == int(before.origin.version) + 1
        assert now.origin.session_id == before.origin.session_id
    last[side] = sent


VALID = description("audio 4000 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000")


@settings(max_examples=200)
@given(st.integers(0, len(VALID) - 1), st.integers(0, 255), st.integers(0, 12))
def test_mutated_descriptions_are_taken_or_488(
    position: int, octet: int, cut: int
) -> None:
    body = VALID[:position] + bytes([octet]) + VALID[position + cut :]
    leg = negotiation()
    try:
        answer, audio = leg.answer(body)
    except NotAcceptableError:
        assert leg.current is None
        return
    assert parse_sdp(answer).to_bytes() == answer
    assert 0 < audio.remote.port < 65536
    assert 0 < audio.remote_rtcp.port < 65536
    assert 0 <= audio.codec.payload_type < 128


def test_what_is_agreed_may_be_offered_again_and_answered_otherwise() -> None:
    ours, _ = pair()
    with pytest.raises(NotAcceptableError):
        ours.receive_answer_again(description("audio 6000 RTP/AVP 8"))
    ours.answer(description("audio 6000 RTP/AVP 0 8 101"))
    before = ours.current
    assert before is not None
    assert before.codec == PCMA
    # Ours said one codec: an answer with that, from elsewhere.
    moved = ours.receive_answer_again(description("audio 7000 RTP/AVP 8"))
    assert (moved.codec, moved.remote.port) == (PCMA, 7000)
    with pytest.raises(NotAcceptableError):
        ours.receive_answer_again(description("audio 7000 RTP/AVP 0"))
    assert ours.current == moved
    # A hold that was refused is not what is agreed.
    ours.offer(direction=Direction.SENDONLY)
    ours.cancel_offer()
    again = ours.receive_answer_again(description("audio 7000 RTP/AVP 8"))
    assert again.direction is Direction.SENDRECV
    assert again == moved


def test_an_answer_again_is_measured_by_the_offer_that_was_answered() -> None:
    caller, callee = pair()
    offer = caller.offer()
    answer, _ = callee.answer(offer)
    before = caller.receive_answer(answer)
    answer, _ = callee.answer(offer)
    assert caller.receive_answer_again(answer) == before
    switched = caller.receive_answer_again(description("audio 6000 RTP/AVP 8"))
    assert switched.codec == PCMA
    assert not caller.pending
