import pytest

from agent.signalling.abilities import codecs_in, read_description

HEAD = "v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\n"


@pytest.mark.parametrize(
    ("media", "found"),
    [
        ("", ()),
        ("m=audio 4000 RTP/AVP 0 8 101\r\n", ("PCMU", "PCMA")),
        ("m=audio 4000 RTP/AVP 9 18 8\r\n", ("G722", "PCMA")),
        ("m=audio 4000 RTP/AVP 96\r\na=rtpmap:96 OPUS/48000/2\r\n", ("opus",)),
        ("m=audio 0 RTP/AVP 8\r\nm=video 4000 RTP/AVP 9\r\n", ()),
        ("m=audio 4 RTP/SAVP 8\r\nm=audio 4 RTP/AVP 8 9\r\n", ("PCMA", "G722")),
    ],
)
def test_what_a_description_names(media: str, found: tuple[str, ...]) -> None:
    assert codecs_in(read_description((HEAD + media).encode())) == found


@pytest.mark.parametrize("body", [b"", b"v=1", b"nothing"])
def test_what_is_no_description_says_nothing(body: bytes) -> None:
    assert read_description(body) is None
    assert codecs_in(None) is None
