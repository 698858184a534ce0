import pytest

from agent.signalling.sip.message import Request
from agent.signalling.sip.parser import parse_message
from agent.signalling.siprec.recognition import Recognition, recognise


def invite(*lines: str) -> Request:
    head = (
        "INVITE sip:srs@192.0.2.2 SIP/2.0",
        "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx",
        "From: <sip:src@example.com>;tag=a",
        "To: <sip:srs@example.com>",
        "Call-ID: x",
        "CSeq: 1 INVITE",
        *lines,
    )
    found = parse_message("\r\n".join([*head, "", ""]).encode())
    assert isinstance(found, Request)
    return found


@pytest.mark.parametrize(
    "lines",
    [
        ("Contact: <sip:src@192.0.2.1>;+sip.src", "Require: siprec"),
        ("Contact: <sip:src@192.0.2.1>;+SIP.SRC", "Require: timer, SIPREC"),
        ('Contact: <sip:src@192.0.2.1>;+sip.src="TRUE"', "Supported: siprec"),
        ("m: sip:src@192.0.2.1;+sip.src", "k: replaces,siprec"),
    ],
)
def test_both_marks_make_a_recording_session(lines: tuple[str, ...]) -> None:
    assert recognise(invite(*lines)) is Recognition.STRICT


@pytest.mark.parametrize(
    "lines",
    [
        ("Contact: <sip:src@192.0.2.1>;+sip.src",),
        ("Contact: <sip:src@192.0.2.1>", "Require: siprec"),
        ("Contact: <sip:src@192.0.2.1>", "Supported: siprec"),
        # BroadWorks and Webex.
        ("Contact: <sip:src@192.0.2.1>;src",),
        ("Contact: <sip:src@192.0.2.1;src>", "Supported: 100rel"),
        ("Contact: <sip:src@192.0.2.1>;src", "Require: siprec"),
        ("Require: siprec",),
    ],
)
def test_one_mark_is_for_those_who_are_configured_so(lines: tuple[str, ...]) -> None:
    assert recognise(invite(*lines)) is Recognition.LEGACY


@pytest.mark.parametrize(
    "lines",
    [
        ("Contact: <sip:src@192.0.2.1>", "Supported: timer"),
        ("Contact: <sip:me@192.0.2.1>;+sip.srs",),
        ('Contact: <sip:me@192.0.2.1>;+sip.src="FALSE"',),
        # An officer's name is nobody's business here.
        ("Contact: <sip:src@192.0.2.1>;+sip.instance=src",),
        (),
    ],
)
def test_a_call_is_a_call(lines: tuple[str, ...]) -> None:
    assert recognise(invite(*lines)) is Recognition.NONE
