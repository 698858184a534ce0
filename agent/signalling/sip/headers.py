"""The headers of a message, in order, and the typed values of Via and CSeq."""

import re
from collections.abc import Callable, Container, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

import msgspec

from agent.signalling.sip.errors import LocalSipError, SipParseError
from agent.signalling.sip.grammar import (
    HOST,
    TOKEN,
    WHITESPACE,
    format_host,
    is_token,
    parse_host,
    parse_number,
    parse_params,
    parse_port,
    split_list,
)

__all__ = [
    "CSeq",
    "Headers",
    "Via",
    "header_key",
    "parse_cseq",
    "parse_delta_seconds",
    "parse_max_forwards",
    "parse_via",
    "parse_via_list",
    "split_list",
]

T = TypeVar("T")

MAX_CSEQ: Final = 2**31 - 1
"RFC 3261 section 8.1.1.5."
MAX_DELTA_SECONDS: Final = 2**32 - 1
"RFC 3261 section 20.19; what is larger means the same."

# The IANA registry of compact forms (RFC 3261 section 7.3.3 and its successors).
COMPACT: Final = {
    "a": "accept-contact",
    "b": "referred-by",
    "c": "content-type",
    "d": "request-disposition",
    "e": "content-encoding",
    "f": "from",
    "i": "call-id",
    "j": "reject-contact",
    "k": "supported",
    "l": "content-length",
    "m": "contact",
    "n": "identity-info",
    "o": "event",
    "r": "refer-to",
    "s": "subject",
    "t": "to",
    "u": "allow-events",
    "v": "via",
    "x": "session-expires",
    "y": "identity",
}
_NAMES: Final = """
    Accept Accept-Contact Accept-Encoding Accept-Language Alert-Info Allow
    Allow-Events Authentication-Info Authorization Call-ID Call-Info Contact
    Content-Disposition Content-Encoding Content-ID Content-Language
    Content-Length Content-Type CSeq Date Diversion Error-Info Event Expires From
    Geolocation History-Info Identity Identity-Info In-Reply-To Join Max-Forwards
    MIME-Version Min-Expires Min-SE Organization P-Access-Network-Info
    P-Asserted-Identity P-Called-Party-ID P-Charging-Vector P-Early-Media
    P-Preferred-Identity Path Priority Privacy Proxy-Authenticate
    Proxy-Authorization Proxy-Require RAck Reason Record-Route Recording-Session
    Refer-To Referred-By Reject-Contact Remote-Party-ID Replaces Reply-To
    Request-Disposition Require Retry-After Route RSeq Server Service-Route
    Session-Expires Session-ID SIP-ETag SIP-If-Match Subject Subscription-State
    Supported Timestamp To Unsupported User-Agent User-to-User Via Warning
    WWW-Authenticate
"""
_CANONICAL: Final = {name.lower(): name for name in _NAMES.split()}
# From a name as peers commonly spell it to its key, sparing them case folding.
_KEYS: Final = {
    **{name: name.lower() for name in _CANONICAL.values()},
    **COMPACT,
    **{short.upper(): key for short, key in COMPACT.items()},
}

Line = tuple[str, str, str]
"Key, name as it is written, value."


def header_key(name: str) -> str:
    """The name that identifies a header: long form, lower case."""
    key = _KEYS.get(name)
    if key is not None:
        return key
    lower = name.lower()
    return COMPACT.get(lower, lower)


class Headers:
    """Header lines in their order; names in any case or compact form.

    Names come out canonical where they are known, else as they were given.
    """

    __slots__ = ("_lines", "_memo", "_values")

    def __init__(self, lines: Iterable[tuple[str, str]] = ()) -> None:
        self._lines: list[Line] = []
        # Kept beside the lines, because far more is asked than is changed.
        self._values: dict[str, tuple[str, ...]] = {}
        self._memo: dict[str, Any] = {}
        for name, value in lines:
            self.add(name, value)

    def add_received(self, text: str, *, once: Container[str]) -> None:
        """Append a line as it was received, its end undone and its folding too.

        Raises SipParseError, also for the second line of a key that is in `once`.
        """
        name, colon, value = text.partition(":")
        key = _KEYS.get(name)
        if key is None or not colon:
            name = name.rstrip(WHITESPACE)
            if not (colon and is_token(name)):
                raise SipParseError("A header line is malformed.")
            key = header_key(name)
        value = value.strip(WHITESPACE)
        before = self._values.get(key)
        if before is None:
            self._values[key] = (value,)
        elif key in once:
            raise SipParseError("A header must not come twice.")
        else:
            self._values[key] = (*before, value)
        self._lines.append((key, _CANONICAL.get(key, name), value))

    def __contains__(self, name: str) -> bool:
        return self.get(name) is not None

    def __len__(self) -> int:
        return len(self._lines)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return self.items()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Headers):
            return NotImplemented
        return [(key, value) for key, _, value in self._lines] == [
            (key, value) for key, _, value in other._lines
        ]

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        # Values are numbers and names of people.
        return f"Headers({', '.join(line[1] for line in self._lines)})"

    def items(self) -> Iterator[tuple[str, str]]:
        """The lines as (name, value), in order."""
        for _, name, value in self._lines:
            yield name, value

    def get(self, name: str) -> str | None:
        """The value of the first such header line, or None."""
        values = self._values.get(_KEYS.get(name) or header_key(name))
        return None if values is None else values[0]

    def get_all(self, name: str) -> list[str]:
        """The values of all such header lines; commas are not looked at."""
        return list(self._values.get(_KEYS.get(name) or header_key(name), ()))

    def split(self, name: str) -> list[str]:
        """All elements of a comma-separated header, over all its lines.

        Raises SipParseError where a quote or bracket does not close.
        """
        return [
            element for value in self.get_all(name) for element in split_list(value)
        ]

    def add(self, name: str, value: str) -> None:
        """Append a line; raises LocalSipError if it would not stay one line."""
        line = self._line(name, value)
        self._lines.append(line)
        self._values[line[0]] = (*self._values.get(line[0], ()), value)

    def add_from(self, other: "Headers", name: str) -> None:
        """Append all lines of that name that `other` has."""
        key = _KEYS.get(name) or header_key(name)
        values = other._values.get(key)  # noqa: SLF001 - another one of us
        if values is None:
            return
        lines = other._lines  # noqa: SLF001 - likewise
        self._memo.pop(key, None)
        self._lines += [line for line in lines if line[0] == key]
        self._values[key] = (*self._values.get(key, ()), *values)

    def prepend(self, name: str, value: str) -> None:
        """Put a line before all others, as Via and Route need it.

        Raises LocalSipError if it would not stay one line.
        """
        line = self._line(name, value)
        self._lines.insert(0, line)
        self._values[line[0]] = (value, *self._values.get(line[0], ()))

    def set(self, name: str, value: str) -> None:
        """Replace all such lines by this one, at the place of the first.

        Raises LocalSipError if it would not stay one line.
        """
        line = self._line(name, value)
        key = line[0]
        if key in self._values:
            index = next(n for n, old in enumerate(self._lines) if old[0] == key)
            rest = [kept for kept in self._lines[index:] if kept[0] != key]
            self._lines[index:] = [line, *rest]
        else:
            self._lines.append(line)
        self._values[key] = (value,)

    def remove(self, name: str) -> None:
        """Remove all such lines, if there are any."""
        key = header_key(name)
        if self._values.pop(key, None) is not None:
            self._memo.pop(key, None)
            self._lines = [line for line in self._lines if line[0] != key]

    def remove_first(self, name: str) -> None:
        """Remove the first element: of a list the first, else the first line.

        Raises SipParseError where a quote or bracket does not close.
        """
        key = header_key(name)
        if key not in self._values:
            return
        first, *values = self._values[key]
        rest = split_list(first)[1:]
        self._memo.pop(key, None)
        index = next(n for n, line in enumerate(self._lines) if line[0] == key)
        if rest:
            values.insert(0, ", ".join(rest))
            self._lines[index] = (key, self._lines[index][1], values[0])
        else:
            del self._lines[index]
        if values:
            self._values[key] = tuple(values)
        else:
            del self._values[key]

    def copy(self) -> "Headers":
        """A copy that may be changed without changing this one."""
        other = Headers()
        other._lines = self._lines.copy()
        other._values = self._values.copy()
        other._memo = self._memo.copy()
        return other

    def memo(self, key: str, parse: Callable[["Headers"], T]) -> T:
        """What `parse` makes of the header `key`, kept until that header changes.

        `key` is a `header_key`; what `parse` returns must be immutable.
        """
        if key not in self._memo:
            self._memo[key] = parse(self)
        value: T = self._memo[key]
        return value

    def known(self, key: str) -> Any | None:
        """What `memo` keeps of the header `key` at the moment, if anything."""
        return self._memo.get(key)

    def _line(self, name: str, value: str) -> Line:
        # A line end in a value would begin a header of someone else's choosing.
        if "\r" in value or "\n" in value or "\0" in value:
            raise LocalSipError("A header's value holds a line end or NUL.")
        key = header_key(name)
        canonical = _CANONICAL.get(key)
        if canonical is None:
            if not is_token(name):
                raise LocalSipError("A header's name is not a token.")
            canonical = name
        self._memo.pop(key, None)
        return key, canonical, value


_VIA = re.compile(
    rf"SIP[ \t]*+/[ \t]*+([0-9]\.[0-9])[ \t]*+/[ \t]*+({TOKEN})[ \t]++({HOST})"
    r"(?:[ \t]*+:[ \t]*+([0-9]{1,5}+))?",
    re.IGNORECASE | re.ASCII,
)
_CSEQ = re.compile(rf"([0-9]++)[ \t]++({TOKEN})")


@dataclass(slots=True)
class Via:
    """One hop of RFC 3261 section 20.42; a value to change and write back."""

    transport: str
    "In upper case."
    host: str
    "The sent-by host, without brackets."
    port: int | None
    params: dict[str, str | None] = field(default_factory=dict)
    "Names in lower case, values as on the wire."
    version: str = "2.0"
    "Another one stands in requests that are answered with 505."

    def copy(self) -> "Via":
        """A copy that may be changed without changing this one."""
        return Via(
            self.transport, self.host, self.port, self.params.copy(), self.version
        )

    def __str__(self) -> str:
        params = "".join(
            f";{name}" if value is None else f";{name}={value}"
            for name, value in self.params.items()
        )
        sent_by = format_host(self.host, self.port)
        return f"SIP/{self.version}/{self.transport} {sent_by}{params}"

    @property
    def branch(self) -> str | None:
        """The transaction's id, if the sender knows RFC 3261."""
        return self.params.get("branch")

    @property
    def received(self) -> str | None:
        """The address the request came from (section 18.2.1), without brackets."""
        value = self.params.get("received")
        return None if value is None else value.strip("[]")

    @property
    def rport(self) -> int | None:
        """The port the request came from (RFC 3581), once it is filled in.

        Whether it was asked for is `"rport" in via.params`.
        """
        return parse_port(self.params.get("rport"))


def parse_via(text: str) -> Via:
    """Parse one hop; raises SipParseError."""
    match = _VIA.match(text)
    if match is None:
        raise SipParseError("A Via is malformed.")
    params: dict[str, str | None] = {}
    for spelling, value in parse_params(text[match.end() :]):
        name = spelling.lower()
        if name in params:
            raise SipParseError("A Via has a parameter twice.")
        params[name] = value
    version, transport, host, port = match.groups()
    parse_port(params.get("rport"))
    return Via(transport.upper(), parse_host(host), parse_port(port), params, version)


def parse_via_list(text: str) -> list[Via]:
    """Parse the comma-separated hops of one line; raises SipParseError."""
    return [parse_via(element) for element in split_list(text)]


class CSeq(msgspec.Struct, frozen=True):
    """A command sequence number with its method (RFC 3261 section 20.16)."""

    number: int
    method: str

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


def parse_cseq(text: str) -> CSeq:
    """Parse a CSeq; raises SipParseError, also for 2**31 and more."""
    match = _CSEQ.fullmatch(text)
    if match is None:
        raise SipParseError("The CSeq is malformed.")
    return CSeq(parse_number(match[1], maximum=MAX_CSEQ), match[2])


def parse_max_forwards(text: str) -> int:
    """Parse a Max-Forwards, 0 to 255; raises SipParseError."""
    return parse_number(text, maximum=255)


def parse_retry_after(text: str) -> int:
    """Parse Retry-After into seconds, less comment and parameters (section 20.33).

    Raises SipParseError.
    """
    return parse_delta_seconds(text.partition("(")[0])


def parse_delta_seconds(text: str) -> int:
    """Parse seconds as in Expires or Session-Expires, less their parameters.

    What is beyond 2**32-1 counts as that. Raises SipParseError.
    """
    seconds = text.partition(";")[0].strip(" \t")
    return min(parse_number(seconds, maximum=10**20), MAX_DELTA_SECONDS)
