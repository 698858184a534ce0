import pytest
from hypothesis import given, strategies as st

from agent.signalling.siprec.body import (
    METADATA_TYPE,
    RecordingBody,
    Tolerated,
    read_body,
    snapshot_request,
)
from agent.signalling.siprec.xml_tree import read_tree

MIXED = "multipart/mixed;boundary=b"
SDP = b"v=0\r\ns=-\r\n"
XML = b"<recording/>"
OFFER = b"Content-Type: application/sdp\r\n\r\n" + SDP[:-2]
METADATA = (
    b"Content-Type: application/rs-metadata+xml\r\n"
    b"Content-Disposition: recording-session\r\n\r\n" + XML
)


def mixed(*parts: bytes) -> bytes:
    return b"".join(b"--b\r\n" + part + b"\r\n" for part in parts) + b"--b--\r\n"


@pytest.mark.parametrize("parts", [(OFFER, METADATA), (METADATA, OFFER)])
def test_description_and_metadata_in_either_order(parts: tuple[bytes, ...]) -> None:
    assert read_body(MIXED, mixed(*parts)) == RecordingBody(SDP, XML)


@pytest.mark.parametrize(
    ("content_type", "body", "expected"),
    [
        ("application/sdp", SDP, RecordingBody(SDP, b"")),
        ("Application/SDP ; x=y", SDP, RecordingBody(SDP, b"")),
        (METADATA_TYPE, XML, RecordingBody(b"", XML)),
        (
            "application/rs-metadata;charset=utf-8",
            XML,
            RecordingBody(b"", XML, (Tolerated.METADATA_TYPE,)),
        ),
        ("text/plain", b"hello", RecordingBody(b"", b"")),
        ("", b"hello", RecordingBody(b"", b"")),
        ("multipart/mixed", mixed(OFFER), RecordingBody(b"", b"")),
        (MIXED, mixed(METADATA), RecordingBody(b"", XML)),
        (MIXED, mixed(OFFER), RecordingBody(SDP, b"")),
        (MIXED, b"", RecordingBody(b"", b"")),
    ],
)
def test_one_of_both_or_neither(
    content_type: str, body: bytes, expected: RecordingBody
) -> None:
    assert read_body(content_type, body) == expected


@pytest.mark.parametrize(
    ("metadata", "tolerated"),
    [
        (METADATA.replace(b"+xml", b""), Tolerated.METADATA_TYPE),
        (METADATA.replace(b": ", b":"), Tolerated.HEADER_WITHOUT_BLANK),
        (METADATA.replace(b"rs-metadata+xml", b" +xml"), Tolerated.UNKNOWN_TYPE),
        (METADATA.replace(b"recording-session", b"session"), Tolerated.NO_DISPOSITION),
        (b"Content-Length: 9\r\n" + METADATA, Tolerated.PART_LENGTH),
    ],
)
def test_what_is_tolerated_of_metadata(metadata: bytes, tolerated: Tolerated) -> None:
    read = read_body(MIXED, mixed(OFFER, metadata))
    assert read == RecordingBody(SDP, XML, (tolerated,))


def test_the_first_of_several_is_taken() -> None:
    second = METADATA.replace(b"recording/", b"other/")
    read = read_body(MIXED, mixed(METADATA, OFFER, second, OFFER))
    assert read == RecordingBody(SDP, XML, (Tolerated.SEVERAL,))


def test_a_description_of_the_recording_session_is_no_metadata() -> None:
    offer = b"Content-Disposition: recording-session\r\n" + OFFER
    assert read_body(MIXED, mixed(offer)) == RecordingBody(SDP, b"")


def test_nothing_of_it_shows() -> None:
    read = RecordingBody(SDP, XML)
    assert repr(read) == "RecordingBody(10 octets of SDP, 12 of metadata)"


def test_a_snapshot_is_asked_for_with_a_reason() -> None:
    root, flaws = read_tree(snapshot_request("<state> & all lost"))
    assert (root.namespace, root.name) == (
        "urn:ietf:params:xml:ns:recording:1",
        "requestsnapshot",
    )
    assert [(one.name, one.text) for one in root.children] == [
        ("requestreason", "<state> & all lost")
    ]
    assert flaws == ()


@given(st.binary(max_size=200))
def test_any_octets_are_a_body(octets: bytes) -> None:
    read = read_body(MIXED, b"--b\r\n" + octets)
    assert len(read.description) + len(read.metadata) <= len(octets) + 2
