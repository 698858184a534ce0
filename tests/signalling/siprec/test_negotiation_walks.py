"""What clients of other makes offer, walks of offers, and garbage."""

import random
import re
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from agent.model.media import G722, OPUS, PCMA, PCMU, Direction, SrtpPolicy
from agent.signalling.not_acceptable import NotAcceptableError
from agent.signalling.sdp import Media, parse_sdp
from agent.signalling.siprec.negotiation import (
    MAX_STREAMS,
    RecordedStream,
    RecordingNegotiation,
    RecordingState,
)
from tests.corpora import corpus
from tests.signalling.offers import description
from tests.signalling.siprec.corpus import VENDORS, sample
from tests.signalling.siprec.sessions import (
    TWO,
    answered,
    crypto,
    negotiation,
    ports,
    version,
)

UNUSABLE_HOST = re.compile(rb"IN IP4 [A-Z][^\r\n]*|IN IP4 [a-z0-9.]+\.com")


@pytest.mark.parametrize("name", VENDORS)
def test_what_vendors_offer_is_taken_whole(name: str) -> None:
    # Some samples have names for addresses, to hide whose they are.
    offer = UNUSABLE_HOST.sub(b"IN IP4 192.0.2.9", sample(name).body.description)
    offered = parse_sdp(offer).media
    secure = any(media.protocol == "RTP/SAVP" for media in offered)
    session = negotiation(secure=secure, host="192.0.2.9")
    media, streams = answered(session, offer)
    assert all(one.port for one in media)
    assert [one.label for one in media] == [one.label for one in offered]
    paused = name == "inactive-sdp-offer"
    wanted = Direction.INACTIVE if paused else Direction.RECVONLY
    assert [one.audio.direction for one in streams] == [wanted] * len(offered)
    assert all((one.audio.srtp is not None) is secure for one in streams)


def test_the_example_of_the_rfc_is_answered_as_there() -> None:
    offer = (corpus("sdp/rfc") / "rfc7866-01.sdp").read_bytes()
    (audio, video), (stream,) = answered(negotiation(), offer)
    assert (audio.direction, audio.label) == (Direction.RECVONLY, "1")
    assert (audio.formats, video.port) == (("0", "8"), 0)
    assert stream.audio.codec == PCMU


LINES = st.sampled_from(
    [
        "audio {port} RTP/AVP 8\r\na=sendonly\r\na=label:{label}",
        "audio {port} RTP/AVP 0 9 8 101\r\na=label:{label}",
        "audio {port} RTP/AVP 8\r\na=inactive\r\na=label:{label}\r\nc=IN IP4 0.0.0.0",
        "audio {port} RTP/AVP 111 0\r\na=rtpmap:111 opus/48000/2\r\na=sendonly",
        "audio {port} RTP/SAVP 8\r\na=label:{label}\r\n" + crypto(1),
        "audio {port} RTP/AVP 8\r\nc=IN IP4 nowhere.example\r\na=label:{label}",
        "audio {port} RTP/AVP 18\r\na=label:{label}",
        "audio 0 RTP/AVP 8",
        "video {port} RTP/AVP 31",
    ]
)
LABELS = st.sampled_from(["1", "2", "x"])
OFFERS = st.lists(st.tuples(LINES, LABELS), max_size=5)
STEPS = st.tuples(
    st.sampled_from(["offer", "offer", "ask", "ask-silence", "again", "reborn"]),
    OFFERS,
    st.sets(st.integers(0, 5)),
)


class Walk:
    """One session through any offers, held against what must hold always."""

    def __init__(self, *, secure: bool, srtp: SrtpPolicy) -> None:
        self.session = RecordingNegotiation(
            session_id=7,
            codecs=(PCMA, PCMU, G722, OPUS),
            srtp=srtp,
            secure=secure,
            host="192.0.2.9",
            random_bytes=random.Random(1).randbytes,
        )
        self.last = b""
        self.places = 0

    def step(self, kind: str, body: bytes, addresses: dict[int, Any]) -> None:
        before, streams = self.session.state, self.session.streams
        try:
            self._step(kind, body, addresses)
        except NotAcceptableError:
            if self.session.pending:
                # It was the answer to an offer of ours that would not do.
                self.session.cancel_offer()
                assert self.session.streams == streams
            else:
                assert self.session.state == before

    def _step(self, kind: str, body: bytes, addresses: dict[int, Any]) -> None:
        session = self.session
        if kind == "reborn":
            document = msgspec.msgpack.encode(session.state)
            state = msgspec.msgpack.decode(document, type=RecordingState)
            self.session = RecordingNegotiation.restore(
                state, random_bytes=random.Random(2).randbytes
            )
            assert self.session.streams == session.streams
        elif kind == "again":
            self._agreed(session.receive_answer(body), parse_sdp(body).media)
        elif kind.startswith("ask"):
            offer = session.offer(addresses)
            self._said(offer)
            if kind == "ask-silence":
                session.cancel_offer()
            else:
                self._agreed(session.receive_answer(body), parse_sdp(body).media)
        else:
            wanted = session.wanted(body)
            assert len(wanted) <= MAX_STREAMS
            answer, streams = session.answer(body, addresses)
            offered, ours = parse_sdp(body).media, parse_sdp(answer).media
            assert [one.kind for one in ours] == [one.kind for one in offered]
            taken = [index for index, one in enumerate(ours) if one.port]
            assert taken == [one.index for one in streams]
            assert set(taken) <= set(wanted) & set(addresses)
            assert [ours[i].label for i in taken] == [offered[i].label for i in taken]
            assert not any(ours[i].direction.sends for i in taken if ours[i].direction)
            self._said(answer)
            self._agreed(streams, offered)

    def _agreed(
        self, streams: tuple[RecordedStream, ...], theirs: tuple[Media, ...]
    ) -> None:
        assert streams == self.session.streams
        for one in streams:
            assert one.label == (theirs[one.index].label or "")
            assert not one.audio.direction.sends
            assert one.audio.remote.port == theirs[one.index].port

    def _said(self, description: bytes) -> None:
        """RFC 3264 section 8: each change has a version."""
        if self.last and description != self.last:
            assert int(version(description)) == int(version(self.last)) + 1
        self.last = description


@settings(max_examples=150)
@given(
    secure=st.booleans(),
    srtp=st.sampled_from(SrtpPolicy),
    walk=st.lists(STEPS, max_size=8),
)
def test_any_walk_keeps_the_rules(
    secure: bool,
    srtp: SrtpPolicy,
    walk: list[tuple[str, list[tuple[str, str]], set[int]]],
) -> None:
    one = Walk(secure=secure, srtp=srtp)
    for kind, lines, indices in walk:
        body = description(
            *(
                line.format(port=4000 + 2 * index, label=label)
                for index, (line, label) in enumerate(lines)
            )
        )
        one.step(kind, body, ports(*sorted(indices)))


VALID = description(*TWO)


@settings(max_examples=200)
@given(st.integers(0, len(VALID) - 1), st.integers(0, 255), st.integers(0, 12))
def test_mutated_offers_are_taken_or_488(position: int, octet: int, cut: int) -> None:
    body = VALID[:position] + bytes([octet]) + VALID[position + cut :]
    session = negotiation()
    try:
        answer, streams = session.answer(body, ports(0, 1))
    except NotAcceptableError:
        assert session.state == negotiation().state
        return
    assert parse_sdp(answer).to_bytes() == answer
    assert streams
    assert all(0 < one.audio.remote_rtcp.port < 65536 for one in streams)


@settings(max_examples=100)
@given(st.binary(max_size=300))
def test_garbage_is_488(body: bytes) -> None:
    session = negotiation()
    for ask in (session.wanted, session.receive_answer):
        with pytest.raises(NotAcceptableError):
            ask(b"v=0\n" + body)
