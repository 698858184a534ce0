"""The pieces of RFC 3261 section 25.1 that several headers share.

Every pattern is possessive or walks forward only, so that the time is linear in
the length of the text, whatever the text.
"""

import re
from ipaddress import AddressValueError, IPv6Address
from typing import Final

from agent.signalling.sip.errors import SipParseError

Params = tuple[tuple[str, str | None], ...]
"Parameters in their order; None where a name stands alone."

MAX_PARAMS: Final = 64
"Of one header element or URI: a Contact with all its feature tags has some twenty."

WHITESPACE: Final = " \t"
"Folding is undone before anything here is called."

# Possessive where a single character repeats, so that nothing is tried twice; not
# on groups, which the re module of Python 3.11.4 and older gets wrong.
TOKEN: Final = r"[A-Za-z0-9\-.!%*_+`'~]++"  # noqa: S105
QUOTED: Final = r'"(?:[^"\\]++|\\.)*"'
HOST: Final = r"\[[0-9A-Fa-f:.]++\]|[A-Za-z0-9_.\-]++"
"Underscores are no part of the grammar, but of many a host's name."

_TOKEN = re.compile(TOKEN)
_QUOTED_STRING = re.compile(QUOTED)
_QUOTED_PAIR = re.compile(r"\\(.)")
_LIST_PIECE = re.compile(rf'{QUOTED}|<[^>]*+>|[,"<]')
_PARAM = re.compile(
    rf"[ \t]*+;[ \t]*+({TOKEN})(?:[ \t]*+=[ \t]*+({QUOTED}|[^ \t;,\"<>]++))?"
)


def is_token(text: str) -> bool:
    """Whether `text` is a token: a method, an option tag, a header's name."""
    return _TOKEN.fullmatch(text) is not None


def quote(text: str) -> str:
    """Write `text` as a quoted-string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def unquote(text: str) -> str:
    """Read a quoted-string; anything else is returned as it is."""
    if _QUOTED_STRING.fullmatch(text) is None:
        return text
    return _QUOTED_PAIR.sub(r"\1", text[1:-1]) if "\\" in text else text[1:-1]


def match_quoted(text: str) -> int:
    """The end of the quoted-string that `text` begins with.

    Raises SipParseError if its closing quote is missing.
    """
    match = _QUOTED_STRING.match(text)
    if match is None:
        raise SipParseError("A quoted string does not end.")
    return match.end()


def split_list(text: str) -> list[str]:
    """Split at the commas that stand outside quotes and angle brackets.

    A blank text has no elements; empty elements between commas are kept.
    Raises SipParseError where a quote or bracket does not close.
    """
    if "," not in text:
        text = text.strip(WHITESPACE)
        return [text] if text else []
    if '"' not in text and "<" not in text:
        return [part.strip(WHITESPACE) for part in text.split(",")]
    parts = []
    start = 0
    for match in _LIST_PIECE.finditer(text):
        piece = match[0]
        if piece == ",":
            parts.append(text[start : match.start()].strip(WHITESPACE))
            start = match.end()
        elif len(piece) == 1:
            raise SipParseError("A quote or bracket in a list does not close.")
    parts.append(text[start:].strip(WHITESPACE))
    return parts


def parse_params(text: str) -> Params:
    """Parse `;name=value;name…`, the parameters that end a header's value.

    Values stay as on the wire, quotes included; see `unquote`. Raises
    SipParseError for empty parameters and trailing text.
    """
    params: list[tuple[str, str | None]] = []
    position = 0
    while (match := _PARAM.match(text, position)) is not None:
        params.append((match[1], match[2]))
        if len(params) > MAX_PARAMS:
            raise SipParseError("A header has too many parameters.")
        position = match.end()
    if text[position:].strip(WHITESPACE):
        raise SipParseError("The parameters of a header are malformed.")
    return tuple(params)


def find_param(params: Params, name: str) -> tuple[str, str | None] | None:
    """The first parameter of that name, in whatever case it was written."""
    wanted = name.lower()
    for param in params:
        if param[0].lower() == wanted:
            return param
    return None


def format_params(params: Params) -> str:
    """Write parameters as they end a header's value; the twin of `parse_params`."""
    return "".join(
        f";{name}" if value is None else f";{name}={value}" for name, value in params
    )


def parse_host(text: str) -> str:
    """Take the brackets off an IPv6 reference; `text` must match HOST.

    Raises SipParseError for an impossible IPv6 address.
    """
    if not text.startswith("["):
        return text
    # The grammar of RFC 3261 had a bug which made `:::` before an embedded IPv4
    # address; RFC 5118 section 4.10 asks to be lenient with it.
    host = text[1:-1].replace(":::", "::", 1) if "." in text else text[1:-1]
    try:
        IPv6Address(host)
    except AddressValueError:
        raise SipParseError("An IPv6 address is malformed.") from None
    return host


def format_host(host: str, port: int | None) -> str:
    """Write `host:port`, with brackets where the host is an IPv6 address."""
    text = f"[{host}]" if ":" in host else host
    return text if port is None else f"{text}:{port}"


def parse_port(text: str | None) -> int | None:
    """The port in `text`; raises SipParseError unless it is in 1 to 65535."""
    return None if text is None else parse_number(text, maximum=65535, minimum=1)


def parse_number(text: str, *, maximum: int, minimum: int = 0) -> int:
    """A decimal number; raises SipParseError if it is none or out of range."""
    # isdigit() alone would let other scripts' digits through; twenty digits are
    # enough for leading zeros and too few for int() to take long.
    if not (text.isascii() and text.isdigit() and len(text) <= 20):
        raise SipParseError("A number is malformed.")
    number = int(text)
    if not minimum <= number <= maximum:
        raise SipParseError("A number is out of its range.")
    return number
