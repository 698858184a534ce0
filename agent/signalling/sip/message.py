"""Requests and responses: RFC 3261 section 7, and section 8.2.6 for answering."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from agent.signalling.sip.errors import LocalSipError, SipParseError
from agent.signalling.sip.grammar import is_token
from agent.signalling.sip.headers import (
    CSeq,
    Headers,
    Via,
    parse_cseq,
    parse_max_forwards,
    parse_via,
    split_list,
)
from agent.signalling.sip.uri import (
    NameAddr,
    Uri,
    parse_name_addr,
    parse_name_addr_list,
)

REASONS: Final = {
    100: "Trying",
    180: "Ringing",
    181: "Call Is Being Forwarded",
    182: "Queued",
    183: "Session Progress",
    199: "Early Dialog Terminated",
    200: "OK",
    202: "Accepted",
    204: "No Notification",
    300: "Multiple Choices",
    301: "Moved Permanently",
    302: "Moved Temporarily",
    305: "Use Proxy",
    380: "Alternative Service",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    410: "Gone",
    412: "Conditional Request Failed",
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    417: "Unknown Resource-Priority",
    420: "Bad Extension",
    421: "Extension Required",
    422: "Session Interval Too Small",
    423: "Interval Too Brief",
    424: "Bad Location Information",
    428: "Use Identity Header",
    429: "Provide Referrer Identity",
    430: "Flow Failed",
    433: "Anonymity Disallowed",
    436: "Bad Identity Info",
    437: "Unsupported Credential",
    438: "Invalid Identity Header",
    439: "First Hop Lacks Outbound Support",
    440: "Max-Breadth Exceeded",
    469: "Bad Info Package",
    470: "Consent Needed",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    484: "Address Incomplete",
    485: "Ambiguous",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    489: "Bad Event",
    491: "Request Pending",
    493: "Undecipherable",
    494: "Security Agreement Required",
    500: "Server Internal Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Server Time-out",
    505: "Version Not Supported",
    513: "Message Too Large",
    555: "Push Notification Service Not Supported",
    580: "Precondition Failure",
    600: "Busy Everywhere",
    603: "Decline",
    604: "Does Not Exist Anywhere",
    606: "Not Acceptable",
    607: "Unwanted",
    608: "Rejected",
}
"The IANA registry of response codes."

_DIALOG_FORMING: Final = frozenset({"INVITE", "SUBSCRIBE", "REFER", "NOTIFY"})


_FRAME: Final = len("\r\nContent-Length: 1234\r\n\r\n")


class Message:
    """What requests and responses share.

    The properties read the headers anew after each change of them. On a message
    from `parse_message` none of them raises; on one made here they raise
    SipParseError where the header is missing or malformed.
    """

    # Not fields: what is saved of a session for the next process has the metadata
    # elsewhere, and once.
    __slots__ = ("recording_metadata", "tolerated")

    headers: Headers
    body: bytes
    recording_metadata: bytes
    """What the body of a recording session's message said of it, as XML; RFC 7866.

    `multipart.with_description_only` takes it out of the body. It is not sent.
    """
    tolerated: tuple[str, ...]
    "What was not as demanded of a body that brought metadata; of `parts.Tolerated`."

    def __post_init__(self) -> None:
        self.keep_apart(b"", ())

    def keep_apart(self, metadata: bytes, tolerated: tuple[str, ...]) -> None:
        """What of the body is no session description."""
        self.recording_metadata = metadata
        self.tolerated = tolerated

    def start_line(self) -> str:
        """The Request-Line or Status-Line, without its line end."""
        raise NotImplementedError

    def to_bytes(self) -> bytes:
        """Serialise, with the Content-Length that the body has.

        Raises LocalSipError if the start line would not stay one line or a text
        has no UTF-8 form.
        """
        start = self.start_line()
        if "\r" in start or "\n" in start or "\0" in start:
            raise LocalSipError("The start line holds a line end or NUL.")
        lines = [start]
        lines += [
            f"{name}: {value}"
            for name, value in self.headers.items()
            if name != "Content-Length"
        ]
        lines.append(f"Content-Length: {len(self.body)}\r\n\r\n")
        try:
            return "\r\n".join(lines).encode() + self.body
        except UnicodeEncodeError:
            raise LocalSipError("A header has no UTF-8 form.") from None

    @property
    def size(self) -> int:
        """How many octets `to_bytes` makes, characters of headers counted as one."""
        lines = sum(len(name) + len(value) + 4 for name, value in self.headers.items())
        return len(self.start_line()) + lines + len(self.body) + _FRAME

    @property
    def hops(self) -> tuple[Via, ...]:
        """All Vias, the latest first; shared by all who ask, and not to be changed."""
        return self.headers.memo("via", _parse_vias)

    @property
    def vias(self) -> list[Via]:
        """All hops, the latest first; fresh values, to be written back if changed."""
        return [via.copy() for via in self.hops]

    @property
    def top_via(self) -> Via:
        """The latest hop; a fresh value, to be written back if changed."""
        known: tuple[Via, ...] | None = self.headers.known("via")
        if known:
            return known[0].copy()
        elements = split_list(_required(self.headers, "Via"))
        if not elements:
            raise SipParseError("The Via is empty.")
        return parse_via(elements[0])

    @property
    def from_(self) -> NameAddr:
        return self.headers.memo("from", _parse_from)

    @property
    def to(self) -> NameAddr:
        return self.headers.memo("to", _parse_to)

    @property
    def call_id(self) -> str:
        return _required(self.headers, "Call-ID")

    @property
    def cseq(self) -> CSeq:
        return self.headers.memo("cseq", _parse_cseq)

    @property
    def contacts(self) -> list[NameAddr]:
        """All contacts; none for `*`, which means all bindings of a REGISTER."""
        return list(self.headers.memo("contact", _parse_contacts))

    @property
    def contact(self) -> NameAddr | None:
        """The first contact."""
        contacts = self.headers.memo("contact", _parse_contacts)
        return contacts[0] if contacts else None

    @property
    def max_forwards(self) -> int | None:
        value = self.headers.get("Max-Forwards")
        return None if value is None else parse_max_forwards(value)

    @property
    def route(self) -> list[NameAddr]:
        return list(self.headers.memo("route", _parse_route))

    @property
    def record_route(self) -> list[NameAddr]:
        return list(self.headers.memo("record-route", _parse_record_route))

    @property
    def require(self) -> list[str]:
        """Option tags the peer insists on."""
        return _option_tags(self.headers, "Require")

    @property
    def supported(self) -> list[str]:
        """Option tags the peer understands."""
        return _option_tags(self.headers, "Supported")

    @property
    def content_type(self) -> str | None:
        """The media type in lower case, without its parameters."""
        value = self.headers.get("Content-Type")
        return None if value is None else value.partition(";")[0].strip(" \t").lower()


@dataclass(slots=True)
class Request(Message):
    """A request; RFC 3261 section 7.1."""

    method: str
    uri: Uri
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""
    octets: int = field(default=0, compare=False)
    "Of the datagram that it came in; 0 for one that was made here."

    def start_line(self) -> str:
        if not is_token(self.method):
            raise LocalSipError("The method is not a token.")
        uri = str(self.uri)
        if " " in uri or "\t" in uri:
            raise LocalSipError("The Request-URI holds white space.")
        return f"{self.method} {uri} SIP/2.0"

    def copy(self) -> "Request":
        """A copy that may be changed without changing this one."""
        made = Request(self.method, self.uri, self.headers.copy(), self.body)
        made.keep_apart(self.recording_metadata, self.tolerated)
        return made

    def __repr__(self) -> str:
        return f"Request({self.method}, {len(self.body)} octets of body)"


@dataclass(slots=True)
class Response(Message):
    """A response; RFC 3261 section 7.2."""

    status: int
    reason: str
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""

    def start_line(self) -> str:
        return f"SIP/2.0 {self.status} {self.reason}"

    def copy(self) -> "Response":
        """A copy that may be changed without changing this one."""
        made = Response(self.status, self.reason, self.headers.copy(), self.body)
        made.keep_apart(self.recording_metadata, self.tolerated)
        return made

    def __repr__(self) -> str:
        return f"Response({self.status}, {len(self.body)} octets of body)"


def outweighs(response: Response, request: Request, times: int = 1) -> bool:
    """Whether an answer has more octets than its request, or more than `times` as many.

    To who forges a source by UDP that is a gain. Short names of headers count.
    """
    return response.size > times * (request.octets or request.size)


def response_to(
    request: Request,
    status: int,
    reason: str | None = None,
    *,
    to_tag: str | None = None,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    content_type: str | None = None,
) -> Response:
    """Build the response to `request` by RFC 3261 section 8.2.6.

    `to_tag` is added unless the request's To has a tag. Record-Route is copied
    where a dialog may begin (section 12.1.1), Timestamp into a 100. Works on the
    partial request of a SipParseError. Raises LocalSipError for a header that
    would not stay one line.
    """
    made = Headers()
    made.add_from(request.headers, "Via")
    made.add_from(request.headers, "From")
    if (to := request.headers.get("To")) is not None:
        made.add("To", _tagged(to, to_tag))
    made.add_from(request.headers, "Call-ID")
    made.add_from(request.headers, "CSeq")
    if 100 < status < 300 and request.method in _DIALOG_FORMING:
        made.add_from(request.headers, "Record-Route")
    if status == 100:
        made.add_from(request.headers, "Timestamp")
    for name, value in headers:
        made.add(name, value)
    if content_type is not None:
        made.set("Content-Type", content_type)
    if reason is None:
        reason = REASONS.get(status, "Unknown")
    return Response(status, reason, made, body)


def _tagged(to: str, tag: str | None) -> str:
    if tag is None:
        return to
    try:
        present = parse_name_addr(to).tag is not None
    except SipParseError:
        # Answering a broken request: its To goes back as it came.
        return to
    return to if present else f"{to};tag={tag}"


def _required(headers: Headers, name: str) -> str:
    value = headers.get(name)
    if value is None:
        raise SipParseError(f"The message has no {name}.")
    return value


def _parse_vias(headers: Headers) -> tuple[Via, ...]:
    return tuple(parse_via(element) for element in headers.split("Via"))


def _parse_from(headers: Headers) -> NameAddr:
    return parse_name_addr(_required(headers, "From"))


def _parse_to(headers: Headers) -> NameAddr:
    return parse_name_addr(_required(headers, "To"))


def _parse_cseq(headers: Headers) -> CSeq:
    return parse_cseq(_required(headers, "CSeq"))


def _parse_contacts(headers: Headers) -> tuple[NameAddr, ...]:
    values = headers.get_all("Contact")
    return () if values == ["*"] else _name_addrs(values)


def _parse_route(headers: Headers) -> tuple[NameAddr, ...]:
    return _name_addrs(headers.get_all("Route"))


def _parse_record_route(headers: Headers) -> tuple[NameAddr, ...]:
    return _name_addrs(headers.get_all("Record-Route"))


def _name_addrs(values: list[str]) -> tuple[NameAddr, ...]:
    return tuple(one for value in values for one in parse_name_addr_list(value))


def _option_tags(headers: Headers, name: str) -> list[str]:
    values = headers.get_all(name)
    if not values:
        return []
    tags = ",".join(values).split(",")
    return [tag for part in tags if (tag := part.strip(" \t").lower())]
