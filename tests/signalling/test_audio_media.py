import pytest

from agent.model.media import OPUS, PCMA, PCMU, Address, Codec, Direction, SrtpSuite
from agent.signalling.audio_media import (
    audio_section,
    check_stream,
    common_direction,
    event_in,
    first_of_ours,
    muxes_rtcp,
    noise_in,
    opus_parameters,
    packet_time,
    reachable_host,
    refused_section,
    rtcp_port_of,
    same_codec,
    those_offered,
)
from agent.signalling.crypto_attribute import CryptoAttribute
from agent.signalling.media_security import Protection
from agent.signalling.not_acceptable import NotAcceptableError
from agent.signalling.sdp import Connection, Media

LOCAL = Address("192.0.2.1", 20000)
THEIRS = Connection("IP4", "192.0.2.9")


def audio(
    *attributes: str, formats: str = "8", port: int = 4000, protocol: str = "RTP/AVP"
) -> Media:
    pairs = [one.partition(":") for one in attributes]
    return Media(
        "audio",
        port,
        protocol,
        tuple(formats.split()),
        attributes=tuple((name, value or None) for name, _, value in pairs),
    )


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "::", "host.invalid", "HOST.INVALID"],  # noqa: S104 - not bound to
)
def test_a_peer_on_hold_is_nowhere(host: str) -> None:
    assert reachable_host(Connection("IP4", host), LOCAL) is None


@pytest.mark.parametrize(
    "host",
    ["host.example.com", "224.2.36.42", "255.255.255.255", "2001:db8::9", "192.0.2"],
)
def test_what_cannot_be_sent_to_is_refused(host: str) -> None:
    with pytest.raises(NotAcceptableError) as caught:
        reachable_host(Connection("IP4", host), LOCAL)
    assert caught.value.warn_code == 301


def test_an_address_is_spelled_in_one_way() -> None:
    local = Address("2001:db8::1", 20000)
    assert reachable_host(Connection("IP6", "2001:DB8:0::9"), local) == "2001:db8::9"
    with pytest.raises(NotAcceptableError):
        reachable_host(Connection("IP6", "fe80::1%eth0"), local)


@pytest.mark.parametrize(
    ("media", "warn_code"),
    [
        (Media("video", 4000, "RTP/AVP", ("31",)), 304),
        (audio(port=0), 304),
    ],
)
def test_a_stream_must_be_audio(media: Media, warn_code: int) -> None:
    with pytest.raises(NotAcceptableError) as caught:
        check_stream(media)
    assert caught.value.warn_code == warn_code


def test_our_order_or_theirs() -> None:
    media = audio("rtpmap:96 PCMA/8000", formats="0 96")
    assert first_of_ours(media, (PCMA, PCMU)) == Codec("PCMA", 96)
    assert those_offered(media, (PCMA, PCMU)) == (PCMU, Codec("PCMA", 96))
    assert first_of_ours(media, (Codec("G722", 9),)) is None
    assert those_offered(media, (Codec("G722", 9),)) == ()


def test_events_run_at_the_codecs_clock() -> None:
    slow, fast = "rtpmap:101 telephone-event/8000", "rtpmap:102 telephone-event/48000"
    assert event_in(audio(fast, slow, formats="8 102 101"), PCMA) == 101
    assert event_in(audio(fast, formats="8 102"), PCMA) is None


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ("rtcp:53020", 53020),
        ("rtcp:53020 IN IP4 192.0.2.9", 53020),
        ("rtcp:53020 IN IP4 198.51.100.1", 4001),
        ("rtcp:99999", 4001),
        ("rtcp-mux", 4001),
    ],
)
def test_rtcp_goes_where_it_is_wanted(attribute: str, expected: int) -> None:
    assert rtcp_port_of(audio(attribute), THEIRS) == expected


@pytest.mark.parametrize(
    ("media", "muxes"),
    [
        (audio("rtcp-mux"), True),
        (audio("rtcp-mux:"), True),
        (audio(), False),
        (audio("rtcp-mux", "rtpmap:72 PCMA/8000", formats="0 72"), False),
    ],
)
def test_rtcp_on_rtps_port_must_be_told_from_it(media: Media, muxes: bool) -> None:
    assert muxes_rtcp(media) is muxes


def test_the_last_port_leaves_none_for_rtcp() -> None:
    with pytest.raises(NotAcceptableError):
        rtcp_port_of(audio(port=65535), THEIRS)


@pytest.mark.parametrize(
    ("attributes", "expected"),
    [
        ((), 20),
        (("ptime:30",), 30),
        (("maxptime:10",), 10),
        (("ptime:60", "maxptime:40"), 40),
        (("ptime:25",), 20),
        (("ptime:5000",), 20),
    ],
)
def test_packet_time(attributes: tuple[str, ...], expected: int) -> None:
    assert packet_time(audio(*attributes)) == expected


def test_a_direction_needs_both() -> None:
    both, out, in_, none = Direction
    assert [common_direction(both, x) for x in Direction] == [both, out, in_, none]
    assert [common_direction(out, x) for x in Direction] == [out, out, none, none]
    assert [common_direction(in_, x) for x in Direction] == [in_, none, in_, none]


def test_a_codec_is_itself_under_any_number() -> None:
    assert same_codec(PCMA, Codec("pcma", 96))
    assert not same_codec(PCMA, PCMU)


def test_a_refused_section_names_a_format_all_the_same() -> None:
    assert refused_section("video", "RTP/AVP", ("31", "34")).formats == ("31",)
    assert refused_section("image", "udptl", ()).formats == ("0",)
    assert refused_section("video", "RTP/AVP", ("31",)).port == 0


def test_our_section_explains_every_payload_type() -> None:
    section = audio_section(20000, (PCMA, PCMU), Direction.SENDONLY, {8000: 101})
    assert section.formats == ("8", "0", "101")
    assert set(section.rtpmaps) == {8, 0, 101}
    assert section.fmtp(101) == "0-15"
    assert section.direction is Direction.SENDONLY
    without = audio_section(20000, (PCMA,), Direction.SENDRECV, {})
    assert without.formats == ("8",)
    assert without.protocol == "RTP/AVP"
    assert without.attribute("rtcp-mux") is None


def test_our_section_says_how_it_is_protected() -> None:
    key = CryptoAttribute("3", SrtpSuite.AES_CM_128_HMAC_SHA1_80, bytes(30))
    section = audio_section(
        20000,
        (PCMA,),
        Direction.SENDRECV,
        {},
        protection=Protection("RTP/SAVP", (key,)),
        rtcp_mux=True,
    )
    assert section.protocol == "RTP/SAVP"
    assert section.attribute("crypto") == key.to_value()
    assert section.attribute("rtcp-mux") == ""


def test_opus_is_told_as_rfc_7587_wants_it() -> None:
    section = audio_section(
        20000,
        (OPUS, PCMA),
        Direction.SENDRECV,
        {48_000: 110, 8000: 101},
        noise=13,
        ptime=40,
    )
    assert section.formats == ("107", "8", "13", "110", "101")
    values = [value for name, value in section.attributes if name == "rtpmap"]
    assert values == [
        "107 opus/48000/2",
        "8 PCMA/8000",
        "13 CN/8000",
        "110 telephone-event/48000",
        "101 telephone-event/8000",
    ]
    assert section.fmtp(107) == "useinbandfec=1"
    assert section.fmtp(8) is None
    assert section.ptime == 40


def test_opus_as_the_peer_wants_it() -> None:
    media = audio(
        "rtpmap:111 opus/48000/2",
        "fmtp:111 minptime=10; useinbandfec=0;x-secret=1",
        "rtpmap:102 telephone-event/48000",
        "rtpmap:101 telephone-event/8000",
        formats="111 101 102 13",
    )
    opus = first_of_ours(media, (PCMA, OPUS))
    assert opus == Codec("opus", 111, 48_000, 2, "minptime=10;useinbandfec=0")
    assert those_offered(media, (PCMA, OPUS)) == (opus,)
    assert (event_in(media, OPUS), event_in(media, PCMA)) == (102, 101)
    assert (noise_in(media, PCMA), noise_in(media, OPUS)) == (13, None)


@pytest.mark.parametrize(
    "rtpmap",
    ["rtpmap:111 opus/48000", "rtpmap:111 opus/48000/1", "rtpmap:111 opus/8000/2"],
)
def test_what_only_looks_like_opus_is_none(rtpmap: str) -> None:
    assert first_of_ours(audio(rtpmap, formats="111"), (OPUS,)) is None


@pytest.mark.parametrize(
    ("text", "passed"),
    [
        (None, ""),
        ("", ""),
        ("stereo=1", "stereo=1"),
        (" STEREO=1 ;cbr=0", "stereo=1;cbr=0"),
        ("maxplaybackrate=16000; sprop-stereo=x; usedtx", "maxplaybackrate=16000"),
        ("maxaveragebitrate=9999999", ""),
        ("cbr=\u0661", ""),
        (";".join(["cbr=1"] * 20), ";".join(["cbr=1"] * 16)),
    ],
)
def test_only_what_the_rfc_names_passes(text: str | None, passed: str) -> None:
    assert opus_parameters(text) == passed
