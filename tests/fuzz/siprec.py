"""What a recording client may send: bodies of several parts, and documents in a row."""

import contextlib
from collections.abc import Iterator
from typing import Final

import msgspec

from agent.call.siprec.knowledge import Knowledge
from agent.call.siprec.state import KnowledgeState
from agent.formats.layout import valid_id
from agent.identity.numbers import FINLAND
from agent.model.recording import Channel
from agent.signalling.sip.errors import LocalSipError
from agent.signalling.sip.headers import Headers
from agent.signalling.sip.message import Request
from agent.signalling.sip.multipart import with_description_only
from agent.signalling.sip.uri import parse_uri
from agent.signalling.siprec.body import METADATA_TYPE, read_body
from agent.signalling.siprec.metadata import MetadataError
from agent.signalling.siprec.metadata_state import MAX_STATE, MetadataState
from agent.signalling.siprec.metadata_xml import parse_metadata
from tests.call.siprec.sites import rules
from tests.call.siprec.situations import stream
from tests.corpora import ROOT

MAX_BEGUN: Final = 60_000
"Octets of what a recording session says in the first note of a segment."
SEPARATOR: Final = b"\0\0"
"Between documents that follow each other: no XML has it."
WORDS: Final = (
    *(b"<recording xmlns='urn:ietf:params:xml:ns:recording:1'>", b"</recording>"),
    *(
        b"<datamode>partial</datamode>",
        b"<session session_id='a'/>",
        b"<group id='a'/>",
    ),
    *(b"<participant participant_id='a'/>", b"<stream stream_id='a' session_id='a'/>"),
    *(
        b"<participantsessionassoc participant_id='a' session_id='a'/>",
        b"<label>1</label>",
    ),
    *(
        b"<participantstreamassoc participant_id='a'/>",
        b"<send>a</send>",
        b"<recv>a</recv>",
    ),
    *(
        b"<stop-time>2020-01-01T00:00:00Z</stop-time>",
        b"<!DOCTYPE a [",
        b"<!ENTITY a '",
    ),
    *(b"<?xml version='1.0' encoding='utf-16'?>", b"xmlns:a='", b"<![CDATA[", b"]]>"),
    *(b"&#x41;", b"&amp;", b"\xff\xfe", b"\xef\xbb\xbf", SEPARATOR),
    *(
        b"Content-Type: application/rs-metadata+xml\r\n",
        b"multipart/mixed;boundary=b\n",
    ),
    *(b"Content-Disposition: recording-session\r\n", b"--b\r\n", b"\r\n--b--"),
)
_DOCUMENT: Final = b"".join(
    (
        b"<recording xmlns='urn:ietf:params:xml:ns:recording:1'>",
        b"<datamode>%s</datamode><group group_id='g'/>",
        b"<session session_id='s'><group-ref>g</group-ref></session>",
        b"<participant participant_id='p'><nameID aor='sip:a@b'/></participant>",
        b"<stream stream_id='t' session_id='s'><label>1</label></stream>",
        b"<participantsessionassoc participant_id='p' session_id='s'/>",
        b"<participantstreamassoc participant_id='p'><send>t</send>",
        b"</participantstreamassoc></recording>",
    )
)


_INVITE: Final = Request(
    "INVITE",
    parse_uri("sip:srs@192.0.2.9"),
    Headers((("From", "<sip:src@192.0.2.1>;tag=1"), ("To", "<sip:srs@192.0.2.9>"))),
)
_AGENCY: Final = {
    "is_officer": lambda number: number.startswith("2"),
    "is_exempt": lambda number: number == "112",
    "identity": FINLAND,
}


def siprec_body(data: bytes) -> None:
    """A Content-Type, a line feed, and the body that it is of."""
    head, _, body = data.partition(b"\n")
    kind = head.decode("latin-1").strip()
    read = read_body(kind, body)
    assert len(read.description) + len(read.metadata) <= len(body) + 2
    assert len(set(read.tolerated)) == len(read.tolerated)
    message = Request("INVITE", parse_uri("sip:srs@192.0.2.9"), body=body)
    with contextlib.suppress(LocalSipError):
        message.headers.set("Content-Type", kind)
    single = with_description_only(message)
    assert single is message or len(single.body) <= len(body) + 2
    if single is not message and single.recording_metadata:
        assert single.recording_metadata in body
    with contextlib.suppress(MetadataError):
        parse_metadata(read.metadata)


def siprec_metadata(data: bytes) -> None:
    """Documents one after the other, and the state on its way in between."""
    state = MetadataState()
    for xml in data.split(SEPARATOR, 20)[:20]:
        try:
            metadata = parse_metadata(xml)
        except MetadataError:
            state.missed()
            continue
        flaws = state.apply(metadata)
        assert set(metadata.flaws) <= set(flaws)
        assert len(set(flaws)) == len(flaws)
        labels = {stream.label for stream in state.streams} - {""}
        for one in state.present:
            assert one.sends | one.receives <= labels
            assert "(…)" in repr(one)
        kept = msgspec.msgpack.encode(state.state)
        assert len(kept) <= MAX_STATE
        other = MetadataState()
        other.restore(msgspec.msgpack.decode(kept, type=type(state.state)))
        assert other.known or not state.known or other.needs_snapshot
        if other.known:
            assert other.present == state.present
            assert other.group == state.group
            assert other.state == state.state


def siprec_call(data: bytes) -> None:
    """The same documents told of a call: who is heard where, and what is kept of it."""
    known = Knowledge(_INVITE, rules(), **_AGENCY)
    streams = (stream("s1", "1"), stream("s2", "2"))
    for xml in data.split(SEPARATOR, 20)[:20]:
        message = Request("UPDATE", _INVITE.uri)
        message.keep_apart(xml, ())
        known.take(message)
        situation = known.situation(streams)
        parties = situation.parties
        assert len({situation.channel(one.label) for one in streams}) <= len(Channel)
        assert valid_id(known.group("5fbe2a08-1c44-4b8e-9f0e-3b4c9d6f7a21"))
        begun = msgspec.json.encode(known.recorded_session(parties))
        assert len(begun) <= MAX_BEGUN
        state = msgspec.json.decode(
            msgspec.json.encode(known.state), type=KnowledgeState
        )
        other = Knowledge(_INVITE, rules(), **_AGENCY)
        other.restore(state)
        if not state.metadata.needs_snapshot:
            assert other.situation(streams) == situation


def own_bodies() -> Iterator[bytes]:
    """Seeds of `siprec_body`."""
    part = b"Content-Type: %s\r\nContent-Disposition: recording-session\r\n\r\n%s\r\n"
    xml = part % (METADATA_TYPE.encode(), _DOCUMENT % b"complete")
    sdp = part % (b"application/sdp", b"v=0\r\ns=-")
    for parts in ((sdp, xml), (xml, sdp), (xml,), (sdp, sdp, xml, xml)):
        joined = b"".join(b"\r\n--b\r\n" + one for one in parts)
        yield b"multipart/mixed;boundary=b\n" + joined + b"--b--\r\n"
    yield METADATA_TYPE.encode() + b"\n" + _DOCUMENT % b"complete"
    if ROOT.exists():
        for path in sorted(ROOT.glob("siprec/drachtio/*.txt")):
            octets = path.read_bytes()
            boundary = octets.lstrip().partition(b"\n")[0].removeprefix(b"--")
            yield b"multipart/mixed;boundary=" + boundary.strip() + b"\n" + octets


def own_documents() -> Iterator[bytes]:
    """Seeds of `siprec_metadata`."""
    both = (_DOCUMENT % b"complete", _DOCUMENT % b"partial")
    yield SEPARATOR.join(both)
    yield SEPARATOR.join(reversed(both))
    yield b"<?xml version='1.0' encoding='utf-16'?>" + both[0]
    yield both[0].decode().encode("utf-16")
    if ROOT.exists():
        documents = [p.read_bytes() for p in sorted(ROOT.glob("siprec/ietf/*.xml"))]
        yield from documents
        yield SEPARATOR.join(documents[4:])
