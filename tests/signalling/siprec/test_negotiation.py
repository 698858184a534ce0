import pytest

from agent.model.media import (
    G722,
    PCMA,
    PCMU,
    Address,
    Direction,
)
from agent.signalling.not_acceptable import NotAcceptableError
from agent.signalling.sdp import parse_sdp
from agent.signalling.siprec.negotiation import (
    MAX_STREAMS,
    OfferFlaw,
)
from tests.signalling.offers import description
from tests.signalling.siprec.sessions import (
    TWO,
    answered,
    crypto,
    negotiation,
    ports,
    version,
)

# -- one answer for each m-line ---------------------------------------------------


def test_each_stream_is_received_under_its_label() -> None:
    media, streams = answered(negotiation(), description(*TWO))
    assert [(one.port, one.label) for one in media] == [(20000, "1"), (20002, "2")]
    assert [one.direction for one in media] == [Direction.RECVONLY] * 2
    assert [(one.index, one.label) for one in streams] == [(0, "1"), (1, "2")]
    first = streams[0].audio
    assert (first.remote, first.remote_rtcp) == (
        Address("192.0.2.9", 4000),
        Address("192.0.2.9", 4001),
    )
    assert (first.codec, first.direction) == (PCMA, Direction.RECVONLY)


def test_what_is_no_audio_of_ours_keeps_its_place_with_port_zero() -> None:
    offer = description(
        "video 5000 RTP/AVP 31 34\r\na=label:v",
        TWO[0],
        "image 6000 udptl t38",
        "audio 4004 RTP/AVP 18\r\na=label:g729",
        "audio 4006 UDP/TLS/RTP/SAVPF 8\r\na=label:dtls",
        TWO[1],
        "application 7000 TCP/MRCPv2 1",
        "audio 4008 rtp/xyz 8",
        "message 0 TCP/MSRP *",
    )
    session = negotiation()
    assert session.wanted(offer) == (1, 5)
    media, streams = answered(session, offer)
    assert [one.port for one in media] == [0, 20002, 0, 0, 0, 20010, 0, 0, 0]
    assert [one.kind for one in media] == [one.kind for one in parse_sdp(offer).media]
    assert (media[0].formats, media[2].protocol) == (("31",), "udptl")
    assert [one.index for one in streams] == [1, 5]


def test_what_has_no_port_of_ours_is_refused() -> None:
    media, streams = answered(negotiation(), description(*TWO), ports(1, 7))
    assert [one.port for one in media] == [0, 20002]
    assert [one.label for one in streams] == ["2"]
    session = negotiation()
    with pytest.raises(NotAcceptableError):
        session.answer(description(*TWO), {})
    assert session.state == negotiation().state


def test_there_are_no_more_streams_than_a_session_may_have() -> None:
    offer = description(
        *(f"audio {4000 + 2 * i} RTP/AVP 8\r\na=label:{i}" for i in range(20))
    )
    session = negotiation()
    assert session.wanted(offer) == tuple(range(MAX_STREAMS))
    media, streams = answered(session, offer)
    assert [bool(one.port) for one in media] == [True] * MAX_STREAMS + [False] * 4
    assert len(streams) == MAX_STREAMS
    # Those in use come before one that stands before them.
    session = negotiation()
    answered(session, offer, ports(*range(4, 20)))
    assert session.wanted(offer) == (*range(4, 16), 0, 1, 2, 3)


@pytest.mark.parametrize(
    ("media", "warn_code"),
    [
        ((), 304),
        (("video 5000 RTP/AVP 31",), 304),
        (("audio 0 RTP/AVP 8",), 304),
        (("audio 4000 RTP/AVP 18",), 305),
        (("audio 4000 RTP/SAVP 8\r\n" + crypto(1),), 300),
        (("audio 4000 UDP/TLS/RTP/SAVP 8",), 300),
    ],
)
def test_a_first_offer_of_which_nothing_can_be_had_is_refused(
    media: tuple[str, ...], warn_code: int
) -> None:
    session = negotiation()
    for ask in (session.wanted, lambda offer: session.answer(offer, ports(0))):
        with pytest.raises(NotAcceptableError) as caught:
            ask(description(*media))
        assert (caught.value.status, caught.value.warn_code) == (488, warn_code)
    assert session.state == negotiation().state


@pytest.mark.parametrize("body", [b"", b"<recording/>", b"v=0\r\n"])
def test_what_is_no_description_is_refused(body: bytes) -> None:
    session = negotiation()
    with pytest.raises(NotAcceptableError):
        session.wanted(body)
    with pytest.raises(NotAcceptableError):
        session.receive_answer(body)


def test_an_address_that_is_none_costs_its_stream_alone() -> None:
    offer = description(
        TWO[0].replace("a=sendonly", "c=IN IP4 media.example.com"), TWO[1]
    )
    media, streams = answered(negotiation(), offer)
    assert [one.port for one in media] == [0, 20002]
    assert [one.label for one in streams] == ["2"]
    session = negotiation()
    with pytest.raises(NotAcceptableError) as caught:
        session.answer(description(TWO[0], connection="IN IP4 a.example"), ports(0))
    assert caught.value.warn_code == 301
    assert session.state == negotiation().state


# -- labels -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "label", ["inbound", "16777227", "!#$%&'*+-.^_`{|}~0Aa", "a:b=c", "ä", "x" * 900]
)
def test_a_label_comes_back_to_the_letter(label: str) -> None:
    offer = description(f"audio 4000 RTP/AVP 8\r\na=label:{label}")
    (media,), (stream,) = answered(negotiation(), offer)
    assert media.label == stream.label == label


def test_a_stream_without_label_is_recorded_and_told_of() -> None:
    session = negotiation()
    (first, second), streams = answered(
        session, description("audio 4000 RTP/AVP 8\r\na=sendonly", TWO[1])
    )
    assert (first.label, second.label) == (None, "2")
    assert [one.label for one in streams] == ["", "2"]
    assert session.flaws == (OfferFlaw.NO_LABEL,)


def test_two_streams_of_one_label_are_both_recorded_and_told_of() -> None:
    session = negotiation()
    media, _ = answered(session, description(TWO[0], TWO[0]))
    assert [one.label for one in media] == ["1", "1"]
    assert all(one.port for one in media)
    assert session.flaws == (OfferFlaw.DUPLICATE_LABEL,)
    answered(session, description(*TWO))
    assert session.flaws == ()


def test_labels_are_of_the_latest_description() -> None:
    session = negotiation()
    answered(session, description(*TWO))
    renamed = description(
        TWO[0].replace("label:1", "label:x"), TWO[1].replace("label:2", "label:1")
    )
    media, streams = answered(session, renamed)
    assert [one.label for one in media] == ["x", "1"]
    assert [(one.index, one.label) for one in streams] == [(0, "x"), (1, "1")]


# -- directions -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("offered", "ours", "flaws"),
    [
        ("sendonly", Direction.RECVONLY, ()),
        ("sendrecv", Direction.RECVONLY, (OfferFlaw.NOT_SENDONLY,)),
        ("", Direction.RECVONLY, (OfferFlaw.NOT_SENDONLY,)),
        ("inactive", Direction.INACTIVE, ()),
        ("recvonly", Direction.INACTIVE, (OfferFlaw.NOT_SENDONLY,)),
    ],
)
def test_nothing_is_ever_sent(
    offered: str, ours: Direction, flaws: tuple[OfferFlaw, ...]
) -> None:
    line = f"\r\na={offered}" if offered else ""
    session = negotiation()
    (media,), (stream,) = answered(
        session, description(f"audio 4000 RTP/AVP 8\r\na=label:1{line}")
    )
    assert media.direction is stream.audio.direction is ours
    assert media.port
    assert session.flaws == flaws


def test_a_session_may_begin_and_pause_inactive() -> None:
    session = negotiation()
    paused = description(*(one.replace("sendonly", "inactive") for one in TWO))
    for offer, direction in (
        (paused, Direction.INACTIVE),
        (description(*TWO), Direction.RECVONLY),
        (paused, Direction.INACTIVE),
    ):
        media, streams = answered(session, offer)
        assert [one.port for one in media] == [20000, 20002]
        assert [one.audio.direction for one in streams] == [direction] * 2


def test_a_direction_may_be_of_the_whole_session() -> None:
    offer = description("audio 4000 RTP/AVP 8\r\na=label:1", session="a=inactive\r\n")
    _, (stream,) = answered(negotiation(), offer)
    assert stream.audio.direction is Direction.INACTIVE


def test_a_peer_that_wants_nothing_sent_still_sends() -> None:
    session = negotiation()
    nowhere = description(*TWO, connection="IN IP4 0.0.0.0")
    _, streams = answered(session, nowhere)
    assert [one.audio.direction for one in streams] == [Direction.RECVONLY] * 2
    answered(session, description(*TWO))
    _, streams = answered(session, nowhere)
    assert {one.audio.remote.host for one in streams} == {"192.0.2.9"}


@pytest.mark.parametrize(
    "connection", ["", "c=IN IP4 0.0.0.0\r\n", "c=IN IP6 x.invalid\r\n"]
)
def test_who_says_not_whence_its_media_come_sends_them_itself(connection: str) -> None:
    media = "".join(f"m={one}\r\n" for one in TWO)
    offer = f"v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\n{connection}{media}".encode()
    _, (first, second) = answered(negotiation(host="192.0.2.50"), offer)
    assert first.audio.remote == Address("192.0.2.50", 4000)
    assert second.audio.remote_rtcp == Address("192.0.2.50", 4003)
    assert first.audio.direction is Direction.RECVONLY
    if not connection:
        with pytest.raises(NotAcceptableError):
            answered(negotiation(), offer)


# -- streams that come and go -----------------------------------------------------


def test_a_stream_is_added_removed_and_its_place_used_again() -> None:
    session = negotiation()
    answered(session, description(TWO[0]))
    assert session.wanted(description(*TWO)) == (0, 1)
    media, _ = answered(session, description(*TWO))
    assert [one.port for one in media] == [20000, 20002]
    ended = description("audio 0 RTP/AVP 8", TWO[1])
    assert session.wanted(ended) == (1,)
    media, streams = answered(session, ended)
    assert [one.port for one in media] == [0, 20002]
    assert [one.index for one in streams] == [1]
    again = description("audio 4010 RTP/AVP 0\r\na=label:3\r\na=sendonly", TWO[1])
    assert session.wanted(again) == (1, 0)
    media, streams = answered(
        session, again, {0: Address("192.0.2.1", 30000)} | ports(1)
    )
    assert [one.port for one in media] == [30000, 20002]
    assert [(one.label, one.audio.codec) for one in streams] == [
        ("3", PCMU),
        ("2", PCMA),
    ]


def test_all_streams_may_end_for_a_while() -> None:
    session = negotiation()
    answered(session, description(*TWO))
    none = description("audio 0 RTP/AVP 8", "audio 0 RTP/AVP 8")
    assert session.wanted(none) == ()
    media, streams = answered(session, none)
    assert [one.port for one in media] == [0, 0]
    assert streams == ()
    _, streams = answered(session, description(*TWO))
    assert len(streams) == 2


def test_a_later_offer_of_which_nothing_can_be_had_changes_nothing() -> None:
    session = negotiation()
    answered(session, description(*TWO))
    before = session.state
    for body in (
        description("audio 4000 RTP/AVP 18"),
        description(*TWO, connection="IN IP4 a.example"),
    ):
        with pytest.raises(NotAcceptableError):
            session.answer(body, ports(0, 1))
        assert session.state == before


def test_what_is_in_use_keeps_its_address() -> None:
    session = negotiation()
    answered(session, description(*TWO))
    media, _ = answered(session, description(*TWO), ports(0, 1, host="192.0.2.77"))
    assert [one.port for one in media] == [20000, 20002]
    assert [one.connection for one in media] == [None, None]


def test_streams_may_arrive_at_several_of_our_addresses() -> None:
    addresses = ports(0) | ports(1, host="192.0.2.5")
    answer, _ = negotiation().answer(description(*TWO), addresses)
    found = parse_sdp(answer)
    hosts = [found.connection_of(media) for media in found.media]
    assert [one.address for one in hosts if one] == ["192.0.2.1", "192.0.2.5"]


def test_ipv6_is_answered_as_such() -> None:
    offer = description(TWO[0], connection="IN IP6 2001:db8::9")
    answer, (stream,) = negotiation().answer(offer, ports(0, host="2001:db8::1"))
    assert b"c=IN IP6 2001:db8::1\r\n" in answer
    assert stream.audio.remote.host == "2001:db8::9"


# -- codecs -----------------------------------------------------------------------


def test_all_codecs_of_ours_are_taken_in_the_peers_order() -> None:
    offer = description(
        "audio 4000 RTP/AVP 0 18 111 9 8 101 19\r\na=label:1\r\na=sendonly\r\n"
        "a=rtpmap:111 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\n"
        "a=fmtp:101 0-16\r\na=rtpmap:19 CN/8000\r\na=ptime:20\r\na=rtcp-mux"
    )
    (media,), (stream,) = answered(negotiation(), offer)
    assert media.formats == ("0", "111", "9", "8", "19", "101")
    audio = stream.audio
    assert [audio.codec.name, *(one.name for one in audio.others)] == [
        *("PCMU", "opus", "G722", "PCMA"),
    ]
    assert (audio.telephone_event, audio.comfort_noise) == (101, 19)
    assert audio.rtcp_mux
    assert media.attribute("rtcp-mux") == ""
    assert media.fmtp(111) == "useinbandfec=1"


def test_only_configured_codecs_are_taken() -> None:
    offer = description("audio 4000 RTP/AVP 9 0 8\r\na=label:1")
    (media,), _ = answered(negotiation(codecs=(PCMU,)), offer)
    assert media.formats == ("0",)


def test_a_codec_may_change() -> None:
    session = negotiation()
    answered(session, description(*TWO))
    changed = description(*(one.replace("AVP 8", "AVP 9 8") for one in TWO))
    media, streams = answered(session, changed)
    assert [one.formats for one in media] == [("9", "8")] * 2
    assert [one.audio.codec for one in streams] == [G722] * 2


# -- the version ------------------------------------------------------------------


def test_the_version_goes_up_with_each_change_alone() -> None:
    session = negotiation()
    first, _ = session.answer(description(*TWO), ports(0, 1))
    again, _ = session.answer(description(*TWO), ports(0, 1))
    assert first == again
    moved = description(*TWO, connection="IN IP4 192.0.2.10")
    assert session.answer(moved, ports(0, 1))[0] == first
    paused = description(*(one.replace("sendonly", "inactive") for one in TWO))
    changed, _ = session.answer(paused, ports(0, 1))
    assert (version(first), version(changed)) == ("1", "2")
    origins = {parse_sdp(one).origin.session_id for one in (first, changed)}
    assert origins == {"7"}
