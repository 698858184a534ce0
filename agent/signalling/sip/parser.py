"""Bytes to messages: RFC 3261 sections 7 and 18.3, with limits.

Lines end in CRLF. A lone CR or LF is refused and not taken for a line end: what
one parser sees as one header another would see as two.
"""

import re
from typing import Final

from agent.signalling.sip.errors import SipParseError
from agent.signalling.sip.grammar import is_token, parse_number, unquote
from agent.signalling.sip.headers import Headers, header_key
from agent.signalling.sip.message import Message, Request, Response
from agent.signalling.sip.uri import Uri, parse_uri

MAX_MESSAGE: Final = 65535
"Octets: what fits a datagram, RFC 3261 section 18.1.1."
MAX_BODY: Final = MAX_MESSAGE
"Octets. An emergency call's location or a recording's metadata take 20 kB."
MAX_HEADER_COUNT: Final = 256
"Lines, far above any message seen: who needs more is broken or hostile."
MAX_HEADER_LENGTH: Final = 8192
"Characters of one line, unfolded; an Identity with its token takes some 1000."
MAX_ELEMENTS: Final = 71
"""Of Via, Route, Record-Route and Contact each, commas counted wherever they are.

Max-Forwards begins at 70, and each hop adds one. Each element costs some ten
microseconds, and 64 kB hold thousands.
"""
MAX_METHOD: Final = 64
"Characters of a method; the longest registered has nine."

_FOLD = re.compile(r"\r\n[ \t]++")
_VERSION = re.compile(r"SIP/[0-9]+\.[0-9]+", re.IGNORECASE | re.ASCII)
_STATUS = re.compile(r"[1-6][0-9]{2}", re.ASCII)
_STAND_IN: Final = Uri("sip", None, "unparsable.invalid")

# What the grammar allows once and we would act on: of two such headers another
# element might believe the other one.
_SINGLE: Final = frozenset(
    header_key(name)
    for name in (
        "Call-ID",
        "Content-Disposition",
        "Content-Length",
        "Content-Type",
        "CSeq",
        "Event",
        "Expires",
        "From",
        "Max-Forwards",
        "Min-SE",
        "RAck",
        "Refer-To",
        "Replaces",
        "RSeq",
        "Session-Expires",
        "Subject",
        "To",
    )
)
_MANDATORY: Final = ("Via", "From", "To", "Call-ID", "CSeq")
_LISTS: Final = ("Via", "Contact", "Route", "Record-Route")


def parse_message(data: bytes, *, stream: bool = False) -> Request | Response:
    """Parse one message. Raises SipParseError and nothing else.

    A datagram (section 18.3) may be longer than its Content-Length says, and the
    excess is dropped; it may have none, and the body reaches to the end. From a
    stream it must be exactly as long as it says. No typed property of what is
    returned raises.
    """
    if len(data) > MAX_MESSAGE:
        raise SipParseError("The message is too large.", status=513)
    message, start = parse_head(data)
    try:
        message.body = _body(message.headers, data, start, stream=stream)
    except SipParseError as error:
        error.partial = _answerable(message)
        raise
    return message


def parse_head(data: bytes) -> tuple[Request | Response, int]:
    """Parse start line and headers; returns also where the body begins.

    Empty lines before the start line are skipped (section 7.5). Raises
    SipParseError.
    """
    begin = 0
    while data.startswith(b"\r\n", begin):
        begin += 2
    # STUN, DTLS and keep-alives come to this port too; SIP begins with a letter.
    if not 0x21 <= (data[begin] if begin < len(data) else 0) <= 0x7E:
        raise SipParseError("This is not SIP.")
    end = data.find(b"\r\n\r\n", begin)
    if end < 0:
        # Cut short on its way, most likely: its sender had better be told.
        lines = _unfolded_lines(data[begin:].removesuffix(b"\r\n"))
        _parse_lines(lines, SipParseError("The headers do not end."))
    return _parse_lines(_unfolded_lines(data[begin:end])), end + 4


def _unfolded_lines(head: bytes) -> list[str]:
    line_ends = head.count(b"\r\n")
    if line_ends != head.count(b"\n") or line_ends != head.count(b"\r"):
        raise SipParseError("A line end is not CRLF.")
    if b"\0" in head:
        raise SipParseError("There is a NUL in the headers.")
    try:
        text = head.decode()
    except UnicodeDecodeError:
        # Older PBXs write display names in Latin 1; the rest of a head is ASCII.
        text = head.decode("latin-1")
    if "\r\n " in text or "\r\n\t" in text:
        text = _FOLD.sub(" ", text)
    return text.split("\r\n")


def _parse_lines(
    lines: list[str], error: SipParseError | None = None
) -> Request | Response:
    """Parse a head's lines; raises SipParseError, at the latest `error`."""
    start_line = lines[0]
    headers, header_error = _parse_headers(lines)
    error = error or header_error
    message: Request | Response
    if start_line[:4].upper() == "SIP/":
        message = _parse_status_line(start_line, headers)
    else:
        message, line_error = _parse_request_line(start_line, headers)
        error = line_error or error
    try:
        if error is not None:
            raise error
        _validate(message, lines)
    except SipParseError as reason:
        reason.partial = _answerable(message)
        raise
    return message


def _parse_headers(lines: list[str]) -> tuple[Headers, SipParseError | None]:
    """All headers that can be read, and what is wrong with the first that cannot."""
    if len(lines) > MAX_HEADER_COUNT + 1:
        return Headers(), SipParseError("There are too many headers.", status=513)
    error = None
    headers = Headers()
    for line in lines[1:]:
        if len(line) > MAX_HEADER_LENGTH:
            error = error or SipParseError("A header is too long.", status=513)
            continue
        try:
            headers.add_received(line, once=_SINGLE)
        except SipParseError as reason:
            error = error or reason
    return headers, error


def _parse_status_line(line: str, headers: Headers) -> Response:
    version, _, rest = line.partition(" ")
    status, _, reason = rest.partition(" ")
    if version.upper() != "SIP/2.0":
        raise SipParseError("The version is not SIP/2.0.", status=505)
    if _STATUS.fullmatch(status) is None:
        raise SipParseError("The status is not in 100-699.")
    return Response(int(status), reason.strip(" \t"), headers)


def _parse_request_line(
    line: str, headers: Headers
) -> tuple[Request, SipParseError | None]:
    """The request, as far as it goes, and what is wrong with it."""
    parts = line.split(" ")
    method = parts[0]
    if len(method) > MAX_METHOD or not is_token(method):
        raise SipParseError("This is not SIP.")
    request = Request(method, _STAND_IN, headers)
    version = parts[-1]
    if version.upper() != "SIP/2.0":
        if _VERSION.fullmatch(version) is not None:
            return request, SipParseError("The version is unknown.", status=505)
        return request, SipParseError("The request line has no version.")
    if len(parts) != 3:
        return request, SipParseError("The request line is malformed.")
    try:
        request.uri = parse_uri(parts[1])
    except SipParseError as error:
        return request, error
    if request.uri.headers:
        # Section 19.1.1, table 1: not allowed there, and a way to smuggle.
        return request, SipParseError("The Request-URI has headers.")
    return request, None


def _validate(message: Message, lines: list[str]) -> None:
    headers = message.headers
    for name in _MANDATORY:
        if not headers.get(name):
            raise SipParseError(f"The message has no {name}.")
    # Most heads have fewer commas, and lines, in all.
    if ",".join(lines).count(",") >= MAX_ELEMENTS:
        _limit_lists(headers)
    if message.hops[0].branch == "z9hG4bK":
        # The magic cookie promises a unique id, and there is none.
        raise SipParseError("The branch is empty.")
    for party in (message.from_, message.to):
        tags = [value for name, value in party.params if name.lower() == "tag"]
        if len(tags) > 1 or (tags and not unquote(tags[0] or "")):
            raise SipParseError("A tag is malformed.")
    cseq = message.cseq
    if isinstance(message, Request) and cseq.method != message.method:
        raise SipParseError("The CSeq names another method.")
    # Reading them once proves them; the next reader need not fear.
    _ = message.max_forwards, message.contact
    if "Route" in headers or "Record-Route" in headers:
        _ = message.route, message.record_route


def _limit_lists(headers: Headers) -> None:
    for name in _LISTS:
        values = headers.get_all(name)
        if values and ",".join(values).count(",") >= MAX_ELEMENTS:
            raise SipParseError("A list is too long.")


def _body(headers: Headers, data: bytes, start: int, *, stream: bool) -> bytes:
    rest = data[start:]
    value = headers.get("Content-Length")
    if value is None:
        if stream:
            raise SipParseError("There is no Content-Length.")
        length = len(rest)
    else:
        length = parse_number(value, maximum=10**9)
    if length > MAX_BODY - (start if stream else 0):
        raise SipParseError("The body is too large.", status=513)
    if length > len(rest):
        raise SipParseError("The body is shorter than its Content-Length.")
    if stream and length < len(rest):
        raise SipParseError("The body is longer than its Content-Length.")
    return rest[:length]


def _answerable(message: Message) -> Request | None:
    """The request, if an answer to it is allowed and would find its way back."""
    if not isinstance(message, Request) or message.method == "ACK":
        return None
    if not all(message.headers.get(name) for name in _MANDATORY):
        return None
    try:
        _ = message.top_via
    except SipParseError:
        return None
    return message
