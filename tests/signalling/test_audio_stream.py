"""One m-line by itself; what `OfferAnswer` makes of it stands in its own tests."""

import random

import msgspec
import pytest

from agent.model.media import OPUS, PCMA, PCMU, Address, Codec, Direction
from agent.signalling.audio_stream import AudioStream
from agent.signalling.negotiation_state import StreamState
from agent.signalling.not_acceptable import NotAcceptableError
from agent.signalling.sdp import Media, SessionDescription, parse_sdp
from tests.signalling.offers import description

OURS = Address("192.0.2.1", 20000)


def stream(
    *, codecs: tuple[Codec, ...] = (PCMA, PCMU), all_codecs: bool = False
) -> AudioStream:
    return AudioStream(
        address=OURS,
        codecs=codecs,
        secure=True,
        all_codecs=all_codecs,
        random_bytes=random.Random(1).randbytes,
    )


def line(*attributes: str, formats: str = "0 8") -> tuple[SessionDescription, Media]:
    text = "".join(f"\r\na={one}" for one in attributes)
    found = parse_sdp(description(f"audio 4000 RTP/AVP {formats}{text}"))
    return found, found.media[0]


def test_one_codec_is_answered_and_it_is_ours() -> None:
    section, audio = stream().answer(*line(), Direction.SENDRECV)
    assert (section.port, section.formats) == (20000, ("8",))
    assert (audio.codec, audio.others) == (PCMA, ())


def test_all_codecs_are_answered_in_the_peers_order() -> None:
    section, audio = stream(all_codecs=True).answer(*line(), Direction.RECVONLY)
    assert section.formats == ("0", "8")
    assert (audio.codec, audio.others) == (PCMU, (PCMA,))
    assert section.direction is Direction.RECVONLY


def test_a_check_changes_nothing_and_refuses_what_an_answer_would() -> None:
    one = stream()
    before = one.state
    assert one.check(*line()).codec == PCMA
    assert one.state == before
    for refused in (line(formats="18"), line(formats="8")):
        found, media = refused
        bare = SessionDescription(found.origin, media=(media,))
        with pytest.raises(NotAcceptableError):
            one.check(bare, media)
    assert one.state == before


def test_the_next_process_goes_on_with_it() -> None:
    one = stream()
    offered = one.offer(None, Direction.RECVONLY)
    document = msgspec.msgpack.encode(one.state)
    state = msgspec.msgpack.decode(document, type=StreamState)
    assert state == one.state
    assert repr(state) == "StreamState(…)"
    other = AudioStream.restore(state, random_bytes=random.Random(2).randbytes)
    assert other.receive_answer(*line()) == one.receive_answer(*line())
    assert offered.formats == ("8", "0", "101")
    assert other.current == one.current
    assert not other.keys_spent


def test_what_another_leg_asks_of_a_codec_is_asked_of_that_codec_alone() -> None:
    lines = "rtpmap:111 opus/48000/2", "fmtp:111 useinbandfec=1"
    asked = stream(codecs=(OPUS,))
    _, audio = asked.answer(*line(*lines, formats="111"), Direction.SENDRECV)
    one = stream(codecs=(OPUS, PCMA))
    one.pass_on(audio)
    section = one.offer(None, Direction.SENDRECV)
    wishes = [value for name, value in section.attributes if name == "fmtp" and value]
    told = [text for text in wishes if "useinbandfec" in text]
    assert len(told) == 1
    number = told[0].split()[0]
    assert section.rtpmaps[int(number)].name == "opus"
