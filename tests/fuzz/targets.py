"""What is fuzzed: each target takes octets, and raises what must never be raised.

Besides "nothing but the one error" each says what must hold of what was understood.
"""

import contextlib
from array import array
from collections.abc import Callable, Sequence
from typing import Final

from agent.access.requests import RequestError, parse_request
from agent.archive.access_log import AccessLogError, parse_aws_line, parse_rgw_line
from agent.archive.record_state import (
    StateError,
    encode_state,
    parse_state_document,
)
from agent.formats.audit import AuditError, open_page, sign_page
from agent.formats.blind_index import IndexKeyError, IndexKeys
from agent.formats.canonical import canonical
from agent.formats.command import Command, CommandError, judge
from agent.formats.day_keys import DayKeysError, parse_day_keys
from agent.formats.layout import (
    LayoutError,
    parse_audit,
    parse_dated,
    parse_index,
    parse_state,
)
from agent.formats.roster import Person, Role, RosterError
from agent.formats.roster_reading import parse_roster
from agent.formats.rtp.headers import parse_headers
from agent.formats.rtp.packet import RtpError, is_rtcp, parse_rtp
from agent.formats.rtp.rtcp import RtcpError, UnknownRtcp, compound, parse_compound
from agent.formats.seal import SealError, parse_addressees, parse_seal, verify_seal
from agent.formats.signed import join_document, split_document, verify_document
from agent.formats.sshsig import Namespace, SignatureError, SigningKey, parse_signature
from agent.media.reception import Reception
from agent.model.media import CODECS, Address, Latch
from agent.signalling import b2bua
from agent.signalling.not_acceptable import NotAcceptableError
from agent.signalling.offer_answer import OfferAnswer
from agent.signalling.sdp import SdpError, parse_sdp
from agent.signalling.sip import digest
from agent.signalling.sip.errors import SipParseError
from agent.signalling.sip.framing import Broken, Complete, Deframer, Frame
from agent.signalling.sip.message import Message, Request, response_to
from agent.signalling.sip.multipart import with_description_only
from agent.signalling.sip.parser import parse_message
from agent.signalling.sip.replaces import parse_replaces
from tests.formats.streams import Leg
from tests.fuzz.agents import user_agents
from tests.fuzz.siprec import siprec_body, siprec_call, siprec_metadata
from tests.fuzz.siprec_parties import siprec_parties

MS: Final = 1_000_000


def sip(data: bytes) -> None:
    """A datagram, and the same octets as a stream, in pieces of several sizes."""
    try:
        message = parse_message(data)
    except SipParseError as error:
        if error.partial is not None:
            response_to(error.partial, error.status, to_tag="t").to_bytes()
    else:
        _read(message)
        again = parse_message(message.to_bytes())
        assert again.to_bytes() == message.to_bytes()
        if isinstance(message, Request):
            _pass_on(message)
            response_to(message, 200, to_tag="t").to_bytes()
    whole = _frames(data, len(data) or 1)
    assert _frames(data, 7) == whole
    for frame in whole:
        if isinstance(frame, Complete):
            with contextlib.suppress(SipParseError):
                parse_message(frame.data, stream=True)


def _read(message: Message) -> None:
    """No typed property of a parsed message raises."""
    _ = message.vias, message.top_via, message.from_.tag, message.to.tag
    _ = message.call_id, message.cseq, message.contacts, message.max_forwards
    _ = message.route, message.record_route, message.require, message.supported
    _ = message.content_type, repr(message)
    for contact in message.contacts:
        assert contact.uri.matches(contact.uri)
    for name, parse in _HEADERS.items():
        for value in message.headers.get_all(name):
            with contextlib.suppress(SipParseError):
                parse(value)


_HEADERS: Final[dict[str, Callable[[str], object]]] = {
    "WWW-Authenticate": digest.parse_challenge,
    "Proxy-Authenticate": digest.parse_challenge,
    "Authorization": digest.parse_authorization,
    "Proxy-Authorization": digest.parse_authorization,
    "Authentication-Info": digest.parse_authentication_info,
    "Replaces": parse_replaces,
}


def _pass_on(request: Request) -> None:
    """What a call does with an INVITE: the parts that go to the other leg."""
    for trusted in (False, True):
        b2bua.pass_headers(request, from_trusted=trusted, to_trusted=not trusted)
    with contextlib.suppress(b2bua.TooManyHopsError):
        b2bua.next_max_forwards(request)
    body = with_description_only(request).body
    assert len(body) <= len(request.body) + 2


def _frames(data: bytes, step: int) -> Sequence[Frame]:
    deframer = Deframer()
    frames = []
    for at in range(0, len(data), step):
        frames += deframer.receive(data[at : at + step])
    kept = [frame for frame in frames if isinstance(frame, Complete | Broken)]
    assert all(len(frame.data) for frame in kept if isinstance(frame, Complete))
    return kept


def sdp(data: bytes) -> None:
    """A description: read, written again, answered, and taken as an answer."""
    try:
        description = parse_sdp(data)
    except SdpError:
        return
    assert parse_sdp(description.to_bytes()) == description
    for media in description.media:
        _ = media.rtpmaps, media.ptime, media.maxptime, media.rtcp, media.label
        _ = description.connection_of(media), description.direction_of(media)
    for host in ("192.0.2.1", "2001:db8::1"):
        for secure in (False, True):
            _negotiate(data, host, secure=secure)


def _negotiate(data: bytes, host: str, *, secure: bool) -> None:
    def leg() -> OfferAnswer:
        return OfferAnswer(
            address=Address(host, 4000),
            session_id=1,
            codecs=tuple(CODECS.values()),
            secure=secure,
            random_bytes=bytes,
        )

    called = leg()
    with contextlib.suppress(NotAcceptableError):
        answer, audio = called.answer(data)
        assert parse_sdp(answer).media
        assert audio.remote.port
        # What was agreed once is agreed again, and the leg may offer in its turn.
        assert called.answer(data)[1].codec == audio.codec
        parse_sdp(called.offer())
    caller = leg()
    caller.offer()
    with contextlib.suppress(NotAcceptableError):
        caller.receive_answer(data)
        caller.offer()


def rtp(data: bytes) -> None:
    """Packets, each after two octets of length and one of milliseconds' delay."""
    packets = _pieces(data)
    reception = Reception()
    source = ("192.0.2.1", 4000)
    reception.expect(Address(*source), Latch.ADDRESS, 0)
    leg = Leg({8: "PCMA", 0: "PCMU", 9: "G722", 13: "CN", 101: "x"}, 0)
    now_ns = 0
    valid = []
    for delay, packet in packets:
        now_ns += delay * MS
        try:
            parsed = parse_rtp(packet)
        except RtpError:
            valid.append(False)
            continue
        valid.append(True)
        again = parse_rtp(parsed.to_bytes())
        assert again == parsed
        if is_rtcp(packet):
            continue
        ssrc, sequence = parsed.ssrc, parsed.sequence_number
        if reception.advance(ssrc, sequence, parsed.timestamp, now_ns):
            believed = [(now_ns, packet)]
        else:
            believed = reception.examine(packet, ssrc, sequence, now_ns, source)
        for at, one in believed:
            leg.take(at, one)
    assert reception.lost >= 0
    assert len(reception._candidates) <= 4
    whole = [packet for _, packet in packets if len(packet) >= 12]
    headers = parse_headers(
        bytearray(b"".join(whole)), array("i", [len(packet) for packet in whole])
    )
    long_enough = [v for v, (_, p) in zip(valid, packets, strict=True) if len(p) >= 12]
    assert headers.valid.tolist() == long_enough
    result = leg.finish(now_ns + 100 * MS)
    end = 0
    for frame in result.frames:
        assert frame.position >= end
        end = frame.position + frame.length
    assert sum(gap.samples for gap in result.gaps) <= max(result.total, 0)


def _pieces(data: bytes) -> list[tuple[int, bytes]]:
    pieces = []
    at = 0
    while at + 3 <= len(data) and len(pieces) < 200:
        length = int.from_bytes(data[at : at + 2], "big") % 1600
        pieces.append((data[at + 2], data[at + 3 : at + 3 + length]))
        at += 3 + length
    return pieces


def rtcp(data: bytes) -> None:
    """A compound packet: read, written again, read again."""
    try:
        packets = parse_compound(data)
    except RtcpError:
        return
    known = [packet for packet in packets if not isinstance(packet, UnknownRtcp)]
    with contextlib.suppress(RtcpError):
        written = compound(known)
        if known:
            assert parse_compound(written) == known


_SIGNERS: Final = [SigningKey.from_seed(bytes([n]) * 32).public for n in range(2)]


def signed(data: bytes) -> None:
    """A signed document: cut into its parts, each signature and what is signed read."""
    with contextlib.suppress(RosterError):
        assert parse_roster(data).to_bytes() == data
    with contextlib.suppress(RequestError):
        assert parse_request(data).to_bytes() == data
    with contextlib.suppress(DayKeysError):
        assert parse_day_keys(data).to_bytes() == data
    try:
        payload, armored = split_document(data)
    except SignatureError:
        return
    assert join_document(payload, armored) == data
    for one in armored:
        with contextlib.suppress(SignatureError):
            parse_signature(one.encode()).verify(payload, Namespace.ROSTER)
    with contextlib.suppress(SignatureError):
        verified = verify_document(data, Namespace.ROSTER, _SIGNERS)
        # Nobody signs here: what is believed is one of the seeds.
        assert verified.payload == b'{"version":1}\n'


NOW_NS: Final = 1_800_000_000_000_000_000
COMMAND: Final = Command(
    host="h",
    id="00000000-0000-4000-8000-000000000000",
    expires_utc_ns=NOW_NS + 1,
    request={"type": "status"},
)
"The one command that anybody has signed, for `seeds` to begin with."
COMMANDER: Final = SigningKey.from_seed(bytes(32))
_COMMANDERS: Final = {
    COMMANDER.public: Person(id="p-1", name="", roles=(Role.ADMIN,)),
}


def command(data: bytes) -> None:
    """What anybody may publish to a host: nobody's command, and never another error."""
    with contextlib.suppress(CommandError):
        judged = judge(
            data, host="h", kind="status", signers=_COMMANDERS, now_utc_ns=NOW_NS
        )
        # Nobody signs here: what is believed is the seed, to the letter.
        assert canonical(judged.command) == canonical(COMMAND)


def stored(data: bytes) -> None:
    """What central storage holds beside sealed recordings, and lists of it."""
    for parse in (parse_rgw_line, parse_aws_line):
        with contextlib.suppress(AccessLogError):
            for access in parse(data):
                assert access.at.tzinfo is not None
    with contextlib.suppress(StateError):
        state = parse_state_document(data, _STATE_ID, 1)
        assert encode_state(state) == data
        assert set(state.stops_clock) <= {"hold", "restriction", "request"}
    text = data.decode(errors="replace")
    for read in (parse_dated, parse_index, parse_state, parse_audit):
        with contextlib.suppress(LayoutError):
            read(text)
    with contextlib.suppress(SealError):
        statement = parse_seal(data)
        assert data.startswith(canonical(statement))
        assert verify_seal(data, {statement.host: _SIGNERS}) == statement
    with contextlib.suppress(SealError):
        assert parse_addressees(data).to_bytes() == data
    with contextlib.suppress(IndexKeyError):
        held = IndexKeys.parse(data)
        assert IndexKeys.parse(held.to_bytes()) == held
    with contextlib.suppress(AuditError):
        page = open_page(data, _SIGNERS)
        assert sign_page(page, SigningKey.from_seed(bytes(32))) == data


_STATE_ID: Final = "00000000-0000-4000-8000-000000000000"


TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    "sip": sip,
    "sdp": sdp,
    "rtp": rtp,
    "rtcp": rtcp,
    "signed": signed,
    "stored": stored,
    "command": command,
    "useragent": user_agents,
    "siprec-body": siprec_body,
    "siprec-metadata": siprec_metadata,
    "siprec-parties": siprec_parties,
    "siprec-call": siprec_call,
}
