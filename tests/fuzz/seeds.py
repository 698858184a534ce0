"""Where fuzzing begins: whole messages of our own, and other people's if present."""

import itertools
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Final

from agent.access.requests import Request, RequestedAct, Rule
from agent.archive.record_state import (
    Hold,
    HoldKind,
    RecordState,
    encode_state,
    hold,
)
from agent.formats.audit import GENESIS, Act, Page, make_row, sign_page
from agent.formats.blind_index import IndexKeys
from agent.formats.canonical import canonical
from agent.formats.command import sign_command
from agent.formats.day_keys import DayKey, DayKeyList
from agent.formats.rtp.packet import RtpPacket
from agent.formats.rtp.rtcp import (
    Bye,
    ReportBlock,
    SdesChunk,
    SenderReport,
    SourceDescription,
    compound,
)
from agent.formats.seal import (
    FIRST,
    Addressees,
    SealedFile,
    Statement,
    sign_seal,
)
from agent.formats.signed import sign_document
from agent.formats.sshsig import Namespace, SigningKey
from agent.model.media import CODECS, Address
from agent.signalling.offer_answer import OfferAnswer
from tests.captures import read_capture, read_streams
from tests.corpora import ROOT
from tests.formats.rosters import recipient, roster
from tests.fuzz.agents import METHODS, PIECES
from tests.fuzz.siprec import WORDS, own_bodies, own_documents
from tests.fuzz.siprec_parties import own_tellings
from tests.fuzz.targets import COMMAND, COMMANDER

_REQUEST: Final = b"\r\n".join(
    (
        b"%s sip:201@192.0.2.2:5060;transport=udp SIP/2.0",
        b"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;rport, SIP/2.0/TCP [::1]",
        b"Max-Forwards: 70",
        b'f: "A \\" B" <sip:%%41@example.com;user=phone>;tag=1',
        b"To: <tel:+358-9;x=y>",
        b"Call-ID: 1@a",
        b"CSeq: 1 %s",
        b"m: <sip:a@192.0.2.1?x=y>;q=0.5;expires=60",
        b"Record-Route: <sip:192.0.2.9;lr>, <sip:192.0.2.8;lr>",
        b"Route: <sip:192.0.2.7>",
        b"Privacy: id",
        b"P-Asserted-Identity: <sip:1@a>",
        b"History-Info: <sip:2@a>;index=1",
        b"Diversion: <sip:3@a>;privacy=full",
        b"Supported: timer, 100rel",
        b"Require: x",
        b'Authorization: Digest username="u", realm="r", nonce="n", uri="sip:a",'
        b' response="00000000000000000000000000000000", qop=auth, nc=00000001,'
        b' cnonce="c"',
        b"Replaces: a;to-tag=b;from-tag=c;early-only",
        b"Timestamp: 1",
        b'Content-Type: multipart/mixed;boundary="x"',
        b"Content-Length: 66",
        b"",
        b"--x",
        b"Content-Type: application/sdp",
        b"",
        b"v=0",
        b"o=- 1 1 IN IP4 a",
        b"",
        b"--x--",
    )
)
_RESPONSE: Final = b"\r\n".join(
    (
        b"SIP/2.0 401 No",
        b"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1;received=192.0.2.9",
        b"From: <sip:a@b>;tag=1",
        b"To: <sip:c@d>;tag=2",
        b"Call-ID: 1@a",
        b"CSeq: 1 INVITE",
        b'WWW-Authenticate: Digest realm="r", nonce="n", algorithm=SHA-256,'
        b' qop="auth", stale=true',
        b"Content-Length: 0",
        b"",
        b"",
    )
)


def _own_sip() -> Iterator[bytes]:
    for method in METHODS:
        yield _REQUEST % (method, method)
    yield _RESPONSE
    yield b"\r\n\r\n" + _RESPONSE + _REQUEST % (b"INVITE", b"INVITE")


def _own_sdp() -> Iterator[bytes]:
    for secure in (False, True):
        leg = OfferAnswer(
            address=Address("192.0.2.1", 4000),
            session_id=1,
            codecs=tuple(CODECS.values()),
            secure=secure,
            random_bytes=bytes,
        )
        offer = leg.offer()
        yield offer
        yield offer + b"a=rtcp:53020 IN IP4 192.0.2.9\r\na=ptime:30\r\na=sendonly\r\n"
        yield offer + b"a=rtcp-mux\r\na=label:1\r\nm=video 0 RTP/AVP 31\r\n"


def _own_rtp() -> Iterator[bytes]:
    def piece(number: int, **more: int) -> bytes:
        fields = {"payload_type": 8, "ssrc": 1} | more
        packet = RtpPacket(
            marker=number == 0,
            sequence_number=number & 0xFFFF,
            timestamp=number * 160 & 0xFFFFFFFF,
            payload=bytes(160),
            **fields,
        ).to_bytes()
        return len(packet).to_bytes(2, "big") + b"\x14" + packet

    yield b"".join(piece(n) for n in range(8))
    yield b"".join(piece(n) for n in range(65533, 65540))
    yield b"".join(piece(n, ssrc=1 + n // 3) for n in range(9))
    yield b"".join(piece(n, payload_type=(8, 0, 9, 13, 101)[n % 5]) for n in range(8))


def _own_rtcp() -> Iterator[bytes]:
    block = ReportBlock(
        ssrc=2,
        fraction_lost=1,
        cumulative_lost=-1,
        highest_sequence=9,
        jitter=3,
        last_sr=4,
        delay_since_last_sr=5,
    )
    report = SenderReport(
        ssrc=1,
        ntp_time=1 << 40,
        rtp_timestamp=160,
        packet_count=1,
        octet_count=160,
        reports=(block,),
    )
    description = SourceDescription((SdesChunk(1, ((1, b"cname"),)),))
    yield compound([report, description])
    yield compound([report, description, Bye((1,), b"bye")])


def _own_scripts() -> Iterator[bytes]:
    # A call, delivered; then both hang up, re-offer, and everything is mangled a bit.
    setting_up = bytes((0, 0, 0, 6, 6, 6, 6, 6))
    for change in range(16):
        yield setting_up + bytes((6, 11, change, 1, 2, 3)) * 6
        yield setting_up + bytes((change % 4, 0, change, 6, 4, change % 4)) * 6


def _own_signed() -> Iterator[bytes]:
    keys = [SigningKey.from_seed(bytes([n]) * 32) for n in range(2)]
    for count in (1, 2):
        yield sign_document(canonical({"version": 1}), keys[:count], Namespace.ROSTER)
    yield roster().to_bytes()
    day = DayKey(day="2026-11-23", generation=1, recipient=recipient("day"))
    moment = "2026-11-23T08:00:00Z"
    yield DayKeyList(serial=1, issued=moment, keys=(day,)).to_bytes()
    yield Request(
        id="00000000-0000-4000-8000-000000000000",
        act=RequestedAct.REWRAP,
        rule=Rule(first="2026-11-22", last="2026-11-22", person="p-otso"),
        reason="leaver",
        gains=("p-meri",),
        issued=moment,
        expires="2026-11-30T08:00:00Z",
    ).to_bytes()


def _own_commands() -> Iterator[bytes]:
    yield sign_command(COMMAND, COMMANDER)
    yield sign_document(canonical(COMMAND), [COMMANDER] * 2, Namespace.COMMAND)
    yield canonical(COMMAND)


def _own_stored() -> Iterator[bytes]:
    some = "00000000-0000-4000-8000-000000000000"
    key = f"keys/2026/11/23/{some}.key.age"
    yield from (key.encode(), f"state/{some}/000001.json".encode())
    yield f"index/2026-11/caller/{'a' * 64}/{some}".encode()
    yield b"audit/gate/2026/11/23/000000000017.json"
    line = b'{"bucket":"b","object":"%s","time":"2026-11-23T08:00:00.123456Z",'
    line += b'"user":"gate","operation":"get_obj","uri":"GET /b","http_status":"200"}'
    yield 2 * (line % key.encode()) + b",\n"
    yield (
        f"o b [23/Nov/2026:08:00:00 +0000] 192.0.2.1 gate 3E REST.GET.OBJECT {key}"
        ' "GET /b HTTP/1.1" 200 - 1 1 7 - "-" "agent" -'
    ).encode()
    given = Hold(
        kind=HoldKind.LEGAL_CLAIM, owner="p-meri", since=date(2026, 11, 23),
        review=date(2027, 1, 1),
    )  # fmt: skip
    yield encode_state(hold(RecordState(id=some, number=1), "h-1", given))
    row = make_row(1, 1_795_953_600 * 10**9, "p-meri", Act.RELEASE, recording_id=some)
    page = Page(writer="gate", first=1, previous=GENESIS, rows=(row,))
    yield sign_page(page, SigningKey.from_seed(bytes(32)))
    said = Addressees.of("age1segment", ["age1quality", "age1recovery"])
    yield said.to_bytes()
    statement = Statement(
        id=some, day="2026-11-23", host="host-a", chain=some, sequence=1,
        previous=FIRST, segment_key=said.segment_key, recipients=said.recipients,
        objects=(SealedFile(key=f"audio/2026/11/23/{some}.wav.age", sha256="a" * 64,
                            size=1),),
        sealed_at="2026-11-23T08:00:00.000Z",
    )  # fmt: skip
    yield sign_seal(statement, SigningKey.from_seed(bytes(32)))
    yield IndexKeys({"2026-11": bytes(32)}).to_bytes()


_OWN: Final = {
    "signed": _own_signed,
    "stored": _own_stored,
    "command": _own_commands,
    "sip": _own_sip,
    "sdp": _own_sdp,
    "rtp": _own_rtp,
    "rtcp": _own_rtcp,
    "useragent": _own_scripts,
    "siprec-body": own_bodies,
    "siprec-metadata": own_documents,
    "siprec-parties": own_tellings,
    "siprec-call": own_documents,
}


def _corpus(target: str) -> Iterator[bytes]:
    if not ROOT.exists():
        return
    if target == "sdp":
        yield from _files("sdp/*/*")
    elif target == "sip":
        yield from _files("rfc4475/*", "rfc5118/*", "sip/*/*")
        for path in sorted(ROOT.glob("pcap/*/*.pcap")):
            yield from (datagram.payload for datagram in read_capture(path))
            yield from read_streams(path)
    elif target == "rtcp":
        for path in sorted(ROOT.glob("rtp/rtpproxy-misc/*.pcap")):
            captured = itertools.islice(read_capture(path), 20)
            yield from (datagram.payload for datagram in captured)
    elif target == "rtp":
        for path in sorted(ROOT.glob("pcap/tcpdump/*")):
            for datagram in read_capture(path):
                size = len(datagram.payload).to_bytes(2, "big")
                yield size + b"\x14" + datagram.payload


def _files(*patterns: str) -> Iterator[bytes]:
    for pattern in patterns:
        for path in sorted(ROOT.glob(pattern)):
            if path.is_file():
                yield path.read_bytes()


def seeds(target: str) -> list[bytes]:
    """Where fuzzing of a target begins, each once."""
    return list(dict.fromkeys((*_OWN[target](), *_corpus(target))))


def write_dictionary(path: Path) -> None:
    """The words of SIP and of its bodies, for a fuzzer to put in."""
    words = {piece.strip() for piece in (*PIECES, *METHODS, *WORDS)} - {b""}
    lines = ["".join(f"\\x{octet:02x}" for octet in word) for word in sorted(words)]
    path.write_text("".join(f'"{line}"\n' for line in lines))
