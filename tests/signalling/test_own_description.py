import msgspec
import pytest

from agent.signalling.audio_media import refused_section
from agent.signalling.negotiation_state import DescriptionState
from agent.signalling.not_acceptable import NotAcceptableError
from agent.signalling.own_description import OwnDescription, connection_of, parsed
from agent.signalling.sdp import parse_sdp

ENDED = (refused_section("audio", "RTP/AVP", ("8",)),)


def test_the_version_goes_up_with_each_change() -> None:
    own = OwnDescription(host="192.0.2.1", session_id=7, username="me")
    first = own.write(ENDED)
    assert (
        parse_sdp(first).origin == parse_sdp(b"v=0\no=me 7 1 IN IP4 192.0.2.1").origin
    )
    assert own.write(ENDED) == first
    told = own.write(ENDED, (("record", "on"),))
    assert parse_sdp(told).origin.version == "2"
    assert parse_sdp(told).attribute("record") == "on"
    assert parse_sdp(own.write(ENDED)).origin.version == "3"


def test_what_was_refused_comes_under_a_new_version() -> None:
    own = OwnDescription(host="192.0.2.1", session_id=7)
    own.write(ENDED)
    own.forget()
    assert parse_sdp(own.write(ENDED)).origin.version == "2"


def test_only_another_address_than_the_sessions_is_said() -> None:
    own = OwnDescription(session_id=7)
    own.host = "2001:db8::1"
    assert own.connection_to("2001:db8::1") is None
    assert own.connection_to("2001:db8::2") == connection_of("2001:db8::2")
    assert str(connection_of("2001:db8::2")) == "IN IP6 2001:db8::2"
    assert b"c=IN IP6 2001:db8::1\r\n" in own.write(ENDED)


def test_the_next_process_goes_on_with_the_version() -> None:
    own = OwnDescription(host="192.0.2.1", session_id=7)
    first = own.write(ENDED)
    document = msgspec.msgpack.encode(own.state)
    state = msgspec.msgpack.decode(document, type=DescriptionState)
    assert repr(state) == "DescriptionState(…)"
    other = OwnDescription.restore(state)
    assert other.write(ENDED) == first
    assert other.write(()) == own.write(())


def test_what_is_no_description_is_not_acceptable() -> None:
    description = parse_sdp(OwnDescription(host="::1", session_id=1).write(ENDED))
    assert parsed(description) is description
    assert parsed(description.to_bytes()) == description
    with pytest.raises(NotAcceptableError):
        parsed(b"x")
