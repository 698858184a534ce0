from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from agent.model.media import Direction
from agent.signalling.sdp import (
    MAX_FORMATS,
    MAX_LINE,
    MAX_LINES,
    MAX_MEDIA,
    MAX_SDP,
    Connection,
    Media,
    Origin,
    RtpMap,
    SdpError,
    SessionDescription,
    parse_sdp,
)
from tests.corpora import corpus, corpus_files

MINIMAL = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\n"

PHONE = b"""\
v=0
o=bob 2808844564 2808844565 IN IP4 192.0.2.7
s=Call to J\xf6rg
i=ignored
u=http://www.example.com/
e=bob@example.com
p=+1 617 555-6011
c=IN IP4 192.0.2.7
b=CT:128
t=0 0
z=0 0
k=clear:none
a=recvonly
m=audio 49170/2 RTP/AVP 8 97 0 101 200 x
i=ignored
c=IN IP4 192.0.2.8/127
b=AS:64
a=rtpmap:97 iLBC/8000
a=rtpmap:101 telephone-event/8000/1
a=rtpmap:nonsense
a=fmtp:97 mode=20
a=fmtp:101  0-16
a=ptime:20\x20
a=maxptime:30.5
a=rtcp:53020 IN IP4 192.0.2.9
a=label:1
a=sendonly
m=video 0 RTP/AVP 31
a=inactive
"""


def test_a_telephones_offer_is_read_whole() -> None:
    description = parse_sdp(PHONE)
    assert description.origin == Origin(
        "bob", "2808844564", "2808844565", "IP4", "192.0.2.7"
    )
    assert description.connection == Connection("IP4", "192.0.2.7")
    assert description.times == ("0 0",)
    audio, video = description.media
    assert (audio.kind, audio.port, audio.port_count) == ("audio", 49170, 2)
    assert audio.protocol == "RTP/AVP"
    assert audio.formats == ("8", "97", "0", "101", "200", "x")
    connection = description.connection_of(audio)
    assert connection is not None
    assert connection.host == "192.0.2.8"
    assert description.connection_of(video) == description.connection
    assert audio.rtpmaps == {
        8: RtpMap("PCMA", 8000),
        97: RtpMap("iLBC", 8000),
        0: RtpMap("PCMU", 8000),
        101: RtpMap("telephone-event", 8000),
    }
    assert list(audio.rtpmaps) == [8, 97, 0, 101]
    assert audio.fmtp(97) == "mode=20"
    assert audio.fmtp(101) == "0-16"
    assert audio.fmtp(8) is None
    assert (audio.ptime, audio.maxptime) == (20, 30)
    assert audio.rtcp == (53020, "192.0.2.9")
    assert audio.label == "1"
    assert audio.direction is Direction.SENDONLY
    assert video.port == 0
    assert video.label is None


def test_a_name_in_another_encoding_passes_unharmed() -> None:
    assert b"s=Call to J\xf6rg\r\n" in parse_sdp(PHONE).to_bytes()


def test_addresses_and_names_do_not_show_in_repr() -> None:
    assert repr(parse_sdp(PHONE)) == "SessionDescription(audio, video)"


@pytest.mark.parametrize(
    ("session", "media", "expected"),
    [
        ("", "", Direction.SENDRECV),
        ("a=inactive\r\n", "", Direction.INACTIVE),
        ("a=inactive\r\n", "a=sendrecv\r\n", Direction.SENDRECV),
        ("", "a=recvonly \r\n", Direction.RECVONLY),
        ("", "a=sendonly\r\na=recvonly\r\n", Direction.SENDONLY),
    ],
)
def test_direction_is_the_medias_else_the_sessions(
    session: str, media: str, expected: Direction
) -> None:
    text = MINIMAL.decode() + session + "m=audio 9 RTP/AVP 0\r\n" + media
    description = parse_sdp(text.encode())
    assert description.direction_of(description.media[0]) is expected


@pytest.mark.parametrize(
    ("attribute", "expected"),
    [
        ("rtcp:53020", (53020, None)),
        ("rtcp:53020 IN IP6 2001:db8::1", (53020, "2001:db8::1")),
        ("rtcp:0", None),
        ("rtcp:65536", None),
        ("rtcp:1 IN IP7 X", None),
        ("rtcp", None),
        ("rtcp-mux", None),
    ],
)
def test_rtcp_port(attribute: str, expected: tuple[int, str | None] | None) -> None:
    media = parse_sdp(MINIMAL + f"m=audio 9 RTP/AVP 0\na={attribute}".encode())
    assert media.media[0].rtcp == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [("20", 20), ("0.125", None), ("30.0", 30), ("-1", None), ("99999", None)],
)
def test_packet_time(value: str, expected: int | None) -> None:
    media = parse_sdp(MINIMAL + f"m=audio 9 RTP/AVP 0\na=ptime:{value}".encode())
    assert media.media[0].ptime == expected
    assert media.media[0].maxptime is None


def test_an_encoding_is_compared_without_regard_to_case() -> None:
    assert RtpMap("pcma", 8000).is_("PCMA", 8000)
    assert not RtpMap("PCMA", 16000).is_("PCMA", 8000)
    assert not RtpMap("PCMA", 8000, 2).is_("PCMA", 8000)


def test_what_gateways_forget_is_forgiven() -> None:
    description = parse_sdp(
        b"v=0\n\no=Cisco SIP UA  1 1 IN IP4 192.0.2.1 \nm=audio 0 RTP/AVP\n\n"
    )
    assert description.origin.username == "Cisco SIP UA"
    assert description.name == "-"
    assert description.times == ("0 0",)
    assert description.connection is None
    assert description.media[0].formats == ()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\r\n",
        b"v=1\r\no=- 1 1 IN IP4 192.0.2.1\r\n",
        b"o=- 1 1 IN IP4 192.0.2.1\r\nv=0\r\n",
        b"v=0\r\n",
        b"v=0\r\nm=audio 9 RTP/AVP 0\r\no=- 1 1 IN IP4 192.0.2.1\r\n",
        b"v=0\r\no=1 1 IN IP4 192.0.2.1\r\n",
        b"v=0\r\no=\r\n",
        b"v=0\r\no=- 1 1 ATM IP4 192.0.2.1\r\n",
        b"v=0\r\no=- \x01 1 IN IP4 192.0.2.1\r\n",
        MINIMAL + b"no line\r\n",
        MINIMAL + b"A=upper\r\n",
        MINIMAL + b"a=carriage\rreturn\r\n",
        MINIMAL + b"a=nul\0\r\n",
        MINIMAL + b"c=IN IP4\r\n",
        MINIMAL + b"c=ATM IP4 192.0.2.1\r\n",
        MINIMAL + "c=IN IP4 192.0.2.\u0661\r\n".encode(),
        MINIMAL + b"m=audio\r\n",
        MINIMAL + b"m=audio x RTP/AVP 0\r\n",
        MINIMAL + b"m=audio -1 RTP/AVP 0\r\n",
        MINIMAL + b"m=audio 65536 RTP/AVP 0\r\n",
        MINIMAL + b"m=audio 9/x RTP/AVP 0\r\n",
        MINIMAL + b"m=audio " + b"9" * 1000 + b" RTP/AVP 0\r\n",
        MINIMAL + b"m=audio 9 RTP/AVP" + b" 0" * (MAX_FORMATS + 1),
        MINIMAL + b"m=audio 9 RTP/AVP 0\r\n" * (MAX_MEDIA + 1),
        MINIMAL + b"a=x\r\n" * MAX_LINES,
        MINIMAL + b"a=" + b"x" * MAX_LINE,
        MINIMAL + b"\n" * MAX_SDP,
    ],
)
def test_what_is_no_description_is_refused(data: bytes) -> None:
    with pytest.raises(SdpError):
        parse_sdp(data)


def test_limits_are_reached_exactly() -> None:
    parse_sdp(MINIMAL + b"a=x\r\n" * (MAX_LINES - 2))
    parse_sdp(MINIMAL + b"a=" + b"x" * (MAX_LINE - 2))
    parse_sdp(MINIMAL + b"m=audio 9 RTP/AVP" + b" 0" * MAX_FORMATS)
    parse_sdp(MINIMAL + b"m=audio 9 RTP/AVP 0\r\n" * MAX_MEDIA)


def test_the_error_does_not_quote_the_description() -> None:
    with pytest.raises(SdpError) as caught:
        parse_sdp(MINIMAL + b"+358401234567\r\n")
    assert "358" not in str(caught.value)


@pytest.mark.parametrize(
    "path", corpus_files("sdp/rfc", "*.sdp"), ids=lambda path: path.stem
)
def test_every_example_of_the_rfcs_parses_and_comes_back(path: Path) -> None:
    # Some are printed from the attributes onwards, without any media.
    data = path.read_bytes()
    description = parse_sdp(data)
    assert len(description.media) == data.count(b"\nm=")
    assert parse_sdp(description.to_bytes()) == description


def test_the_examples_of_the_rfcs_are_all_there() -> None:
    assert len(list(corpus("sdp/rfc").glob("*.sdp"))) == 77


@pytest.mark.parametrize(
    "path",
    corpus_files("sdp/sdp-transform", "*.sdp") + corpus_files("sdp/drachtio"),
    ids=lambda path: path.stem,
)
def test_descriptions_from_the_field_parse_and_come_back(path: Path) -> None:
    for part in path.read_bytes().split(b"__split_here__"):
        description = parse_sdp(part.strip())
        for media in description.media:
            assert all(0 <= number < 128 for number in media.rtpmaps)
        assert parse_sdp(description.to_bytes()) == description


tokens = st.from_regex(r"\A[!-~]{1,12}\Z")
values = st.binary(max_size=30).map(
    lambda raw: raw.translate(None, b"\r\n\0").decode(errors="surrogateescape")
)
attributes = st.lists(
    st.tuples(st.from_regex(r"\A[a-z-]{1,8}\Z"), st.none() | values), max_size=4
).map(tuple)
connections = st.none() | st.builds(Connection, tokens, tokens)
descriptions = st.builds(
    SessionDescription,
    origin=st.builds(Origin, tokens, tokens, tokens, tokens, tokens),
    name=values,
    connection=connections,
    times=st.lists(values, min_size=1, max_size=2).map(tuple),
    attributes=attributes,
    media=st.lists(
        st.builds(
            Media,
            kind=tokens,
            port=st.integers(0, 65535),
            protocol=tokens,
            formats=st.lists(tokens, max_size=3).map(tuple),
            connection=connections,
            attributes=attributes,
            port_count=st.integers(0, 65535),
        ),
        max_size=3,
    ).map(tuple),
)


@settings(max_examples=100)
@given(descriptions)
def test_parse_and_serialise_are_twins(description: SessionDescription) -> None:
    assert parse_sdp(description.to_bytes()) == description


def attempt(data: bytes) -> None:
    try:
        description = parse_sdp(data)
    except SdpError:
        return
    for media in description.media:
        description.direction_of(media)
        assert media.rtpmaps is not None
        assert media.rtcp is None or media.rtcp[0] > 0
        assert media.ptime is None or media.ptime > 0
    assert parse_sdp(description.to_bytes()) == description


@settings(max_examples=200)
@given(st.binary(max_size=300).map(lambda tail: MINIMAL + tail) | st.binary())
def test_garbage_parses_or_raises_the_one_error(data: bytes) -> None:
    attempt(data)


@settings(max_examples=300)
@given(st.integers(0, len(PHONE) - 1), st.integers(0, 255), st.integers(0, 20))
def test_mutations_parse_or_raise_the_one_error(
    position: int, octet: int, cut: int
) -> None:
    attempt(PHONE[:position] + bytes([octet]) + PHONE[position + cut :])
