import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from agent.model.media import PCMA, PCMU, Address, Codec, Direction
from agent.signalling.offer_answer import NotAcceptableError, OfferAnswer
from agent.signalling.sdp import Media, SessionDescription, parse_sdp
from tests.corpora import corpus_files

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


# -- two of us -----------------------------------------------------------------


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


# -- answering the field --------------------------------------------------------


def test_our_first_codec_that_is_offered_is_chosen() -> None:
    leg = negotiation((G722, PCMA, PCMU))
    _, audio = leg.answer(description("audio 4000 RTP/AVP 0 18 8"))
    assert audio.codec == PCMA


def test_events_keep_the_payload_type_the_peer_gave() -> None:
    leg = negotiation()
    answer, audio = leg.answer(
        description(
            "audio 4000 RTP/AVP 8 96 97\r\n"
            "a=rtpmap:97 telephone-event/48000\r\n"
            "a=rtpmap:96 TELEPHONE-EVENT/8000"
        )
    )
    assert audio.telephone_event == 96
    assert parse_sdp(answer).media[0].formats == ("8", "96")
    assert parse_sdp(leg.offer()).media[0].formats == ("8", "0", "96")


def test_without_events_the_answer_has_none() -> None:
    leg = negotiation()
    answer, audio = leg.answer(description("audio 4000 RTP/AVP 8"))
    assert audio.telephone_event is None
    assert parse_sdp(answer).media[0].formats == ("8",)


def test_a_codec_keeps_the_payload_type_the_peer_gave() -> None:
    leg = negotiation()
    answer, audio = leg.answer(
        description("audio 4000 RTP/AVP 97\r\na=rtpmap:97 pcma/8000/1")
    )
    assert audio.codec == Codec("PCMA", 97)
    assert parse_sdp(answer).media[0].rtpmaps[97].is_("PCMA", 8000)
    assert parse_sdp(leg.offer()).media[0].formats == ("97", "0", "101")


def test_a_static_number_given_to_another_codec_keeps_that_meaning() -> None:
    leg = negotiation()
    leg.answer(description("audio 4000 RTP/AVP 0\r\na=rtpmap:0 PCMA/8000"))
    assert parse_sdp(leg.offer()).media[0].formats == ("0", "96", "101")


def test_the_event_number_gives_way_to_codecs() -> None:
    leg = negotiation((Codec("A", 101), Codec("B", 102), Codec("C", 127)))
    assert parse_sdp(leg.offer()).media[0].formats == ("101", "102", "127", "103")
    leg = negotiation((Codec("A", 127),))
    leg.answer(
        description(
            "audio 4000 RTP/AVP 98 127\r\n"
            "a=rtpmap:98 A/8000\r\na=rtpmap:127 telephone-event/8000"
        )
    )
    leg.offer(codecs=(Codec("B", 127),))
    leg.cancel_offer()
    assert parse_sdp(leg.offer()).media[0].formats == ("98", "127")


def test_other_codecs_can_be_offered_later() -> None:
    caller, callee = pair()
    connect(caller, callee)
    offer = caller.offer(codecs=(PCMA,))
    assert parse_sdp(offer).media[0].formats == ("8", "101")
    assert caller.receive_answer(callee.answer(offer)[0]).codec == PCMA


def test_everything_but_the_first_plain_audio_gets_port_zero() -> None:
    leg = negotiation()
    answer, audio = leg.answer(
        description(
            "video 5000 RTP/AVP 31 34",
            "audio 4000 RTP/SAVP 8",
            "audio 4002 RTP/AVP 18",
            "audio 4004 RTP/AVP 8 0",
            "audio 4006 RTP/AVP 8",
            "image 6000 udptl t38",
            "application 0 RTP/AVP",
        )
    )
    media = parse_sdp(answer).media
    assert [one.port for one in media] == [0, 0, 0, OURS.port, 0, 0, 0]
    assert [one.kind for one in media[:2]] == ["video", "audio"]
    assert media[0].formats == ("31",)
    assert (media[5].protocol, media[5].formats) == ("udptl", ("t38",))
    assert media[6].formats == ("0",)
    assert audio.remote == Address("192.0.2.9", 4004)


def test_number_and_order_of_media_stay_for_ever() -> None:
    leg = negotiation()
    leg.answer(description("video 5000 RTP/AVP 31", "audio 4004 RTP/AVP 8"))
    media = parse_sdp(leg.offer()).media
    assert [(one.kind, one.port) for one in media] == [
        ("video", 0),
        ("audio", OURS.port),
    ]
    audio = leg.receive_answer(
        description("video 0 RTP/AVP 31", "audio 4010 RTP/AVP 8")
    )
    assert audio.remote.port == 4010


def test_a_later_offer_is_answered_in_the_stream_in_use() -> None:
    leg = negotiation()
    leg.answer(description("audio 0 RTP/AVP 8", "audio 4004 RTP/AVP 8"))
    answer, _ = leg.answer(description("audio 4000 RTP/AVP 8", "audio 4004 RTP/AVP 8"))
    assert [one.port for one in parse_sdp(answer).media] == [0, OURS.port]
    # Against RFC 3264 section 8, but a peer that drops a stream is still answered.
    answer, audio = leg.answer(description("audio 4000 RTP/AVP 8"))
    assert audio.remote.port == 4000
    assert [one.port for one in parse_sdp(answer).media] == [OURS.port]


@pytest.mark.parametrize(
    ("offered", "ours", "told"),
    [
        ("sendrecv", Direction.SENDRECV, "sendrecv"),
        ("sendonly", Direction.RECVONLY, "recvonly"),
        ("recvonly", Direction.SENDONLY, "sendonly"),
        ("inactive", Direction.INACTIVE, "inactive"),
    ],
)
def test_directions_are_reversed(offered: str, ours: Direction, told: str) -> None:
    leg = negotiation()
    answer, audio = leg.answer(description(f"audio 4000 RTP/AVP 8\r\na={offered}"))
    assert audio.direction is ours
    assert parse_sdp(answer).media[0].direction == told


def test_the_sessions_direction_counts_where_the_media_has_none() -> None:
    leg = negotiation()
    body = description("audio 4000 RTP/AVP 8", session="a=sendonly\r\n")
    assert leg.answer(body)[1].direction is Direction.RECVONLY


def test_an_answer_cannot_widen_the_offered_direction() -> None:
    leg = negotiation()
    leg.offer(direction=Direction.SENDONLY)
    audio = leg.receive_answer(description("audio 4000 RTP/AVP 8"))
    assert audio.direction is Direction.SENDONLY


@pytest.mark.parametrize(
    "connection", ["IN IP4 0.0.0.0", "IN IP6 ::", "IN IP6 host.invalid"]
)
def test_the_hold_of_older_telephones_keeps_the_address(connection: str) -> None:
    leg = negotiation()
    leg.answer(description("audio 4000 RTP/AVP 8"))
    answer, audio = leg.answer(
        description("audio 4000 RTP/AVP 8", connection=connection)
    )
    assert audio.direction is Direction.RECVONLY
    assert audio.remote == Address("192.0.2.9", 4000)
    assert parse_sdp(answer).media[0].direction is Direction.RECVONLY


def test_a_call_that_begins_on_hold_has_nowhere_to_send() -> None:
    leg = negotiation()
    body = description("audio 4000 RTP/AVP 8", connection="IN IP4 0.0.0.0")
    _, audio = leg.answer(body)
    assert audio.remote == Address("0.0.0.0", 4000)  # noqa: S104 - the hold of RFC 2543
    assert not audio.direction.sends


@pytest.mark.parametrize(
    ("media", "warn_code"),
    [
        ("audio 0 RTP/AVP 8", 304),
        ("video 4000 RTP/AVP 31", 304),
        ("audio 4000 RTP/SAVP 8", 300),
        ("audio 4000 RTP/AVPF 8", 300),
        ("audio 4000 UDP/TLS/RTP/SAVPF 8", 300),
        ("audio 4000 RTP/AVP 18", 305),
        ("audio 4000 RTP/AVP 8\r\na=rtpmap:8 PCMA/16000", 305),
        ("audio 4000 RTP/AVP 101\r\na=rtpmap:101 telephone-event/8000", 305),
        ("audio 65535 RTP/AVP 8", 301),
        ("audio 4000 RTP/AVP 8\r\nc=IN IP4 host.example.com", 301),
        ("audio 4000 RTP/AVP 8\r\nc=IN IP4 224.2.36.42/127", 301),
        ("audio 4000 RTP/AVP 8\r\nc=IN IP4 255.255.255.255", 301),
        ("audio 4000 RTP/AVP 8\r\nc=IN IP6 2001:db8::9", 301),
        ("audio 4000 RTP/AVP 8\r\nc=IN IP4", 399),
    ],
)
def test_what_we_cannot_take_is_488(media: str, warn_code: int) -> None:
    leg = negotiation()
    leg.answer(description("audio 4000 RTP/AVP 0"))
    before = leg.current
    for judge in (leg.answer, leg.check):
        with pytest.raises(NotAcceptableError) as caught:
            judge(description(media))
        assert caught.value.status == 488
        assert caught.value.warn_code == warn_code
    assert leg.current == before


def test_a_description_without_address_or_media_is_488() -> None:
    head = b"v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\n"
    for body in (b"", head, head + b"m=audio 4000 RTP/AVP 8\r\n"):
        with pytest.raises(NotAcceptableError):
            negotiation().answer(body)


@pytest.mark.parametrize(
    "media",
    [
        (),
        ("audio 0 RTP/AVP 8",),
        ("audio 4000 RTP/SAVP 8",),
        ("audio 4000 RTP/AVP 18",),
        ("video 4000 RTP/AVP 8",),
    ],
)
def test_an_answer_that_refuses_the_audio_leaves_the_offer_open(
    media: tuple[str, ...],
) -> None:
    leg = negotiation()
    leg.offer()
    with pytest.raises(NotAcceptableError):
        leg.receive_answer(description(*media))
    assert leg.pending
    assert leg.current is None


def test_the_first_offered_codec_of_the_answer_is_used() -> None:
    leg = negotiation()
    leg.offer()
    audio = leg.receive_answer(description("audio 4000 RTP/AVP 18 0 8"))
    assert audio.codec == PCMU


def test_ipv6() -> None:
    leg = negotiation(address=OURS6)
    body = description("audio 4000 RTP/AVP 8", connection="IN IP6 2001:DB8:0::9")
    answer, audio = leg.answer(body)
    assert audio.remote == Address("2001:db8::9", 4000)
    assert b"c=IN IP6 2001:db8::1\r\n" in answer
    for connection in ("IN IP4 192.0.2.9", "IN IP6 fe80::1%eth0", "IN IP6 ff02::1"):
        with pytest.raises(NotAcceptableError):
            leg.answer(description("audio 4000 RTP/AVP 8", connection=connection))


# -- the RFCs' examples, walks and garbage ---------------------------------------

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


@settings(max_examples=60, deadline=None)
@given(codec_lists, codec_lists, st.lists(steps, max_size=8))
def test_any_walk_leaves_both_sides_agreed(
    ours: tuple[Codec, ...], theirs: tuple[Codec, ...], walk: list[tuple]
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


@settings(max_examples=200, deadline=None)
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
