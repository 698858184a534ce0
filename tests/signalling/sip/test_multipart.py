import re

import pytest
from hypothesis import given, strategies as st

from agent.signalling.sdp import parse_sdp
from agent.signalling.sip import core as sip
from agent.signalling.sip.message import Request, response_to
from agent.signalling.sip.multipart import with_description_only
from agent.signalling.sip.parser import parse_message
from tests.corpora import corpus
from tests.signalling.sip.pair import ALICE, calling_peer

SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n"


def invite(content_type: str, body: bytes) -> Request:
    text = (
        "INVITE sip:112@192.0.2.9 SIP/2.0\r\n"
        "Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1\r\n"
        "From: <sip:201@192.0.2.1>;tag=1\r\n"
        "To: <sip:112@192.0.2.9>\r\n"
        "Call-ID: c\r\nCSeq: 1 INVITE\r\nContact: <sip:201@192.0.2.1>\r\n"
        f"Content-Type: {content_type}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    message = parse_message(text.encode() + body)
    assert isinstance(message, Request)
    return message


def mixed(*parts: bytes, end: bytes = b"\r\n--b--\r\n") -> bytes:
    return b"".join(b"\r\n--b\r\n" + part for part in parts) + end


LOCATION = b"Content-Type: application/pidf+xml\r\nContent-ID: <l>\r\n\r\n<presence/>"
OFFER = b"content-type:application/SDP;x=y\r\n\r\n" + SDP[:-2]


@pytest.mark.parametrize(
    "body",
    [
        mixed(LOCATION, OFFER),
        mixed(OFFER, LOCATION),
        mixed(OFFER)[2:],  # no preamble
        mixed(OFFER, end=b"\r\n"),  # no closing delimiter
        mixed(LOCATION, OFFER).replace(b"\r\n", b"\n"),
    ],
)
@pytest.mark.parametrize(
    "kind", ["multipart/mixed;boundary=b", 'Multipart/Mixed; boundary="b"']
)
def test_the_description_is_found_among_the_parts(kind: str, body: bytes) -> None:
    single = with_description_only(invite(kind, body))
    assert single.content_type == "application/sdp"
    assert parse_sdp(single.body) == parse_sdp(SDP)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/mixed", mixed(OFFER)),
        ("multipart/mixed;boundary=other", mixed(OFFER)),
        ("multipart/mixed;boundary=b", mixed(LOCATION)),
        ("multipart/mixed;boundary=b", mixed(b"no blank line")),
        ("multipart/mixed;boundary=b", b"--b--\r\n" + mixed(OFFER)),
    ],
)
def test_without_a_description_there_is_no_body(kind: str, body: bytes) -> None:
    single = with_description_only(invite(kind, body))
    assert single.body == b""
    assert single.content_type is None


def test_a_single_part_is_left_as_it_is() -> None:
    request = invite("application/sdp", SDP)
    assert with_description_only(request) is request


@given(st.binary(max_size=300))
def test_garbage_harms_nothing(body: bytes) -> None:
    with_description_only(invite("multipart/mixed;boundary=b", b"--b\r\n" + body))


def test_emergency_invites_of_other_makes() -> None:
    found = 0
    for path in sorted(corpus("sip/phrsite").iterdir()):
        # Some were kept with bare line feeds, and so with a wrong length.
        data = re.sub(rb"\r?\n", b"\r\n", path.read_bytes())
        data = re.sub(rb"(?mi)^content-length:.*\r\n", b"", data, count=1)
        if data.startswith(b"INVITE") and b"multipart/mixed" in data:
            message = parse_message(data)
            assert isinstance(message, Request)
            parse_sdp(with_description_only(message).body)
            found += 1
    assert found


def test_the_description_in_a_response_is_found_too() -> None:
    alice, peer, session, invited = calling_peer()
    lines = [("Content-Type", "multipart/mixed;boundary=b")]
    response = response_to(invited, 200, to_tag="peer", headers=lines)
    response.headers.add("Contact", "<sip:peer@192.0.2.2>")
    response.body = mixed(LOCATION, OFFER)
    peer.send(response, ALICE)
    assert alice.last.response.content_type == "application/sdp"
    parse_sdp(alice.last.response.body)
    kind = [("Content-Type", lines[0][1])]
    change = peer.in_dialog(
        "INVITE", invited, cseq=1, body=mixed(LOCATION, OFFER), headers=kind
    )
    peer.send(change, ALICE)
    assert isinstance(alice.last, sip.OfferReceived)
    assert alice.last.session == session
    parse_sdp(alice.last.body)


METADATA = (
    b"Content-Type:application/rs-metadata+xml\r\n"
    b"Content-Disposition: recording-session\r\n\r\n<recording/>"
)


def test_metadata_is_kept_apart_from_the_description() -> None:
    kind = "multipart/mixed;boundary=b"
    single = with_description_only(invite(kind, mixed(METADATA, OFFER)))
    assert parse_sdp(single.body) == parse_sdp(SDP)
    assert single.content_type == "application/sdp"
    assert single.recording_metadata == b"<recording/>"
    assert single.tolerated == ("header-without-blank",)
    again = single.copy()
    assert again == single
    assert again.recording_metadata == single.recording_metadata
    assert b"recording" not in again.to_bytes()


@pytest.mark.parametrize(
    ("kind", "body", "tolerated"),
    [
        ("multipart/mixed;boundary=b", mixed(METADATA), ("header-without-blank",)),
        ("application/rs-metadata+xml", b"<recording/>", ()),
        ("Application/RS-metadata ;x=y", b"<recording/>", ("metadata-type",)),
    ],
)
def test_metadata_alone_is_no_body(
    kind: str, body: bytes, tolerated: tuple[str, ...]
) -> None:
    single = with_description_only(invite(kind, body))
    assert (single.body, single.content_type) == (b"", None)
    assert single.recording_metadata == b"<recording/>"
    assert single.tolerated == tolerated


def test_what_is_no_recording_session_tolerates_in_silence() -> None:
    body = mixed(OFFER, LOCATION).replace(b"\r\n", b"\n")
    single = with_description_only(invite("multipart/mixed;boundary=b", body))
    assert (single.recording_metadata, single.tolerated) == (b"", ())


@pytest.mark.parametrize("method", ["INVITE", "UPDATE", "BYE"])
def test_metadata_within_a_dialog_is_no_offer(method: str) -> None:
    alice, peer, session, invited = calling_peer()
    response = response_to(invited, 200, to_tag="peer")
    response.headers.add("Contact", "<sip:peer@192.0.2.2>")
    response.headers.set("Content-Type", "multipart/mixed;boundary=b")
    response.body = mixed(METADATA, OFFER)
    peer.send(response, ALICE)
    assert isinstance(alice.last, sip.Accepted)
    assert alice.last.response.recording_metadata == b"<recording/>"
    assert alice.last.response.tolerated == ("header-without-blank",)
    request = peer.in_dialog(
        method,
        invited,
        cseq=1,
        body=b"<recording/>",
        headers=[("Content-Type", "application/rs-metadata+xml")],
    )
    peer.send(request, ALICE)
    event = alice.last
    assert isinstance(event, sip.OfferReceived | sip.TargetRefreshed | sip.Ended)
    assert event.session == session
    assert event.request is not None
    assert event.request.recording_metadata == b"<recording/>"
    assert event.request.body == b""
    if isinstance(event, sip.OfferReceived):
        assert event.body is None
