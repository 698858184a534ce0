"""What others offer, and what they get."""

import pytest

from agent.model.media import PCMA, PCMU, Address, Codec, Direction
from agent.signalling.offer_answer import NotAcceptableError
from agent.signalling.sdp import parse_sdp
from tests.signalling.offers import (
    G722,
    OURS,
    OURS6,
    connect,
    description,
    negotiation,
    pair,
)


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
