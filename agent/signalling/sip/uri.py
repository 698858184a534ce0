"""URIs and the name-addr around them: RFC 3261 sections 19.1 and 20.10, RFC 3966."""

import re
from typing import Any, Final
from urllib.parse import quote as percent_encode, unquote_to_bytes

import msgspec

from agent.signalling.sip.errors import SipParseError
from agent.signalling.sip.grammar import (
    HOST,
    MAX_PARAMS,
    TOKEN,
    WHITESPACE,
    Params,
    find_param,
    format_host,
    format_params,
    match_quoted,
    parse_host,
    parse_params,
    parse_port,
    quote,
    split_list,
    unquote,
)

MAX_URI: Final = 2048
"Characters. RFC 4475's longest is a tenth of it; 414 exists for what is longer."

# What nearly every URI in a call looks like, and the From, To or Contact around it:
# nothing to unescape, no parameter of the header but a tag.
_PLAIN_URI: Final = (
    rf"(sips?):(?:([\w\-.+*#]++)@)?({HOST})(?::([0-9]{{1,5}}+))?"
    r"((?:;[\w\-.]++(?:=[\w\-.]++)?)*)"
)
_PLAIN = re.compile(_PLAIN_URI, re.ASCII)
_PLAIN_ADDR = re.compile(rf"<({_PLAIN_URI})>(?:;tag=({TOKEN}))?", re.ASCII)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*+")
_SIP_PART = re.compile(
    rf"(?:([^@]*+)@)?({HOST})(?::([0-9]{{1,5}}+))?((?:;[^?]*+)?)(?:\?(.*+))?"
)
# `#` is no part of the grammar, but of the star codes telephones send.
_USER_INFO = re.compile(
    r"([\w\-.!~*'()&=+$,;?/%#]++)(?::([\w\-.!~*'()&=+$,%]*+))?", re.ASCII
)
_URI_PARAM = re.compile(
    r"([\w\-.!~*'()\[\]/:&+$%]++)(?:=([\w\-.!~*'()\[\]/:&+$%=]*+))?", re.ASCII
)
_URI_HEADERS = re.compile(
    r"[\w\-.!~*'()\[\]/?:+$%]++=[\w\-.!~*'()\[\]/?:+$%=]*+", re.ASCII
)
_OPAQUE = re.compile(r"[!#-;=?-Z\[\]_a-z~]++")
_TEL_NUMBER = re.compile(r"\+?[0-9A-Fa-f*#\-.()]++")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_VISUAL_SEPARATORS: Final = str.maketrans("", "", "-.()")

_USER_SAFE: Final = "!*'()&=+$,;?/"
_PASSWORD_SAFE: Final = "!*'()&=+$,"  # noqa: S105
_PARAM_SAFE: Final = "!*'()[]/:&+$"
_HEADER_SAFE: Final = "!*'()[]/?:+$"

# RFC 3261 section 19.1.4: these count even where only one URI has them.
_PARAMS_THAT_COUNT: Final = ("user", "ttl", "method", "maddr", "transport")


class Uri(msgspec.Struct, frozen=True, eq=False):
    """A SIP, SIPS or TEL URI, its parts unescaped; others are kept opaque.

    `==` compares the parts as they are; `matches` as RFC 3261 section 19.1.4 says.
    """

    scheme: str
    "In lower case."
    user: str | None
    "Unescaped, so it may hold any character; the number of a TEL URI."
    host: str
    "Without brackets; empty for TEL and opaque URIs."
    port: int | None = None
    params: Params = ()
    headers: tuple[tuple[str, str], ...] = ()
    password: str | None = None
    opaque: str | None = None
    "All after the colon, for schemes other than SIP, SIPS and TEL."
    wire: str | None = None
    "As received, to the letter; no part of what it is."

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Uri):
            return NotImplemented
        return self._parts == other._parts

    def __ne__(self, other: object) -> bool:
        # A struct's own would tell by identity.
        return not self == other

    def __hash__(self) -> int:
        return hash(self._parts)

    @property
    def _parts(self) -> tuple[object, ...]:
        return (
            *(self.scheme, self.user, self.host, self.port),
            *(self.params, self.headers, self.password, self.opaque),
        )

    def __str__(self) -> str:
        # A remote target or route belongs to the peer, who may attach meaning to
        # an escape.
        if self.wire is not None:
            return self.wire
        if self.opaque is not None:
            return f"{self.scheme}:{self.opaque}"
        params = "".join(
            f";{_escape(name, _PARAM_SAFE)}"
            if value is None
            else f";{_escape(name, _PARAM_SAFE)}={_escape(value, _PARAM_SAFE)}"
            for name, value in self.params
        )
        if self.scheme == "tel":
            return f"tel:{_escape(self.user or '', '+*#()')}{params}"
        user = ""
        if self.user is not None:
            user = _escape(self.user, _USER_SAFE)
            if self.password is not None:
                user += f":{_escape(self.password, _PASSWORD_SAFE)}"
            user += "@"
        headers = "&".join(
            f"{_escape(name, _HEADER_SAFE)}={_escape(value, _HEADER_SAFE)}"
            for name, value in self.headers
        )
        host = format_host(self.host, self.port)
        query = f"?{headers}" if headers else ""
        return f"{self.scheme}:{user}{host}{params}{query}"

    def __repr__(self) -> str:
        # The user part is a telephone number or a name.
        return f"Uri({self.scheme}:…@{self.host})"

    def param(self, name: str) -> str | None:
        """The value of a parameter; empty if it has none; None if it is absent."""
        found = find_param(self.params, name)
        return None if found is None else found[1] or ""

    def with_(self, **changes: Any) -> "Uri":
        """The same URI with some of its fields changed."""
        return msgspec.structs.replace(self, wire=None, **changes)

    def with_param(self, name: str, value: str | None = None) -> "Uri":
        """The same URI with that parameter set, whatever it was before."""
        return self.with_(params=(*self.without_param(name).params, (name, value)))

    def without_param(self, name: str) -> "Uri":
        """The same URI less that parameter."""
        wanted = name.lower()
        kept = tuple(param for param in self.params if param[0].lower() != wanted)
        return self if len(kept) == len(self.params) else self.with_(params=kept)

    def matches(self, other: "Uri") -> bool:
        """Equality by RFC 3261 section 19.1.4, by RFC 3966 section 4 for TEL."""
        if self.scheme != other.scheme or self.opaque != other.opaque:
            return False
        if self.scheme == "tel":
            return _tel_key(self) == _tel_key(other)
        return (
            (self.user, self.password, self.host.lower(), self.port)
            == (other.user, other.password, other.host.lower(), other.port)
            and _params_match(self.params, other.params)
            and _headers_key(self) == _headers_key(other)
        )


def parse_uri(text: str) -> Uri:
    """Parse a URI of any scheme.

    Raises SipParseError, with status 414 where the URI is longer than MAX_URI.
    """
    if len(text) > MAX_URI:
        raise SipParseError("A URI is too long.", status=414)
    plain = _PLAIN.fullmatch(text)
    return _parse_any(text) if plain is None else _plain_uri(text, *plain.groups())


def _plain_uri(  # noqa: PLR0917 - the groups of one pattern
    wire: str, scheme: str, user: str | None, host: str, port: str | None, params: str
) -> Uri:
    found = _parse_uri_params(params) if params else ()
    return Uri(scheme, user, parse_host(host), parse_port(port), found, wire=wire)


def _parse_any(text: str) -> Uri:
    scheme, colon, rest = text.partition(":")
    if not colon or _SCHEME.fullmatch(scheme) is None:
        raise SipParseError("A URI has no scheme.")
    if "%" in rest and _BAD_ESCAPE.search(rest) is not None:
        raise SipParseError("A URI has a malformed escape.")
    scheme = scheme.lower()
    if scheme in {"sip", "sips"}:
        return _parse_sip(text, scheme, rest)
    if scheme == "tel":
        return _parse_tel(text, rest)
    if _OPAQUE.fullmatch(rest) is not None:
        return Uri(scheme, None, "", opaque=rest, wire=text)
    raise SipParseError("A URI holds what no URI may hold.")


def _parse_sip(wire: str, scheme: str, rest: str) -> Uri:
    match = _SIP_PART.fullmatch(rest)
    if match is None:
        raise SipParseError("A SIP URI is malformed.")
    user_info, host, port, params, headers = match.groups()
    user = password = None
    if user_info is not None:
        parts = _USER_INFO.fullmatch(user_info)
        if parts is None:
            raise SipParseError("The user part of a SIP URI is malformed.")
        user = _unescape(parts[1])
        password = None if parts[2] is None else _unescape(parts[2])
    return Uri(
        scheme,
        user,
        parse_host(host),
        parse_port(port),
        _parse_uri_params(params) if params else (),
        () if headers is None else _parse_uri_headers(headers),
        password,
        wire=wire,
    )


def _parse_tel(wire: str, rest: str) -> Uri:
    number, semicolon, params = rest.partition(";")
    if _TEL_NUMBER.fullmatch(number) is None:
        raise SipParseError("A TEL URI has no number.")
    found = _parse_uri_params(semicolon + params)
    return Uri("tel", number, "", params=found, wire=wire)


def _parse_uri_params(text: str) -> Params:
    if text.count(";") > MAX_PARAMS:
        raise SipParseError("A URI has too many parameters.")
    params: list[tuple[str, str | None]] = []
    for piece in text.split(";")[1:]:
        match = _URI_PARAM.fullmatch(piece)
        if match is None:
            raise SipParseError("A parameter of a URI is malformed.")
        value = match[2]
        params.append(
            (_unescape(match[1]), None if value is None else _unescape(value))
        )
    return tuple(params)


def _parse_uri_headers(text: str) -> tuple[tuple[str, str], ...]:
    if text.count("&") >= MAX_PARAMS:
        raise SipParseError("A URI has too many headers.")
    headers = []
    for piece in text.split("&"):
        if _URI_HEADERS.fullmatch(piece) is None:
            raise SipParseError("A header in a URI is malformed.")
        name, _, value = piece.partition("=")
        headers.append((_unescape(name), _unescape(value)))
    return tuple(headers)


def _unescape(text: str) -> str:
    if "%" not in text:
        return text
    octets = unquote_to_bytes(text)
    try:
        return octets.decode()
    except UnicodeDecodeError:
        # The escapes are of octets, and old equipment means Latin 1 by them.
        return octets.decode("latin-1")


def _escape(text: str, safe: str) -> str:
    return percent_encode(text, safe=safe, errors="replace")


def _params_match(ours: Params, theirs: Params) -> bool:
    left = _params_key(ours)
    right = _params_key(theirs)
    common = left.keys() & right.keys()
    return all(left[name] == right[name] for name in common) and not any(
        (name in left) != (name in right) for name in _PARAMS_THAT_COUNT
    )


def _params_key(params: Params) -> dict[str, str]:
    return {name.lower(): (value or "").lower() for name, value in params}


def _headers_key(uri: Uri) -> list[tuple[str, str]]:
    return sorted((name.lower(), value) for name, value in uri.headers)


def _tel_key(uri: Uri) -> tuple[str, dict[str, str]]:
    number = (uri.user or "").translate(_VISUAL_SEPARATORS).lower()
    return number, _params_key(uri.params)


class NameAddr(msgspec.Struct, frozen=True):
    """A URI with a display name before it and header parameters after it."""

    display: str | None
    uri: Uri
    params: Params = ()
    "Values as on the wire, quotes included."

    def __str__(self) -> str:
        display = f"{quote(self.display)} " if self.display else ""
        return f"{display}<{self.uri}>{format_params(self.params)}"

    def __repr__(self) -> str:
        return f"NameAddr({self.uri!r})"

    def param(self, name: str) -> str | None:
        """A parameter's value, unquoted; empty if it has none; None if absent."""
        found = find_param(self.params, name)
        return None if found is None else unquote(found[1] or "")

    @property
    def tag(self) -> str | None:
        """The tag parameter, which is half of a dialog's name."""
        return self.param("tag")

    def with_tag(self, tag: str | None) -> "NameAddr":
        """The same with another tag, or with none."""
        params = tuple(param for param in self.params if param[0].lower() != "tag")
        if tag is not None:
            params = (*params, ("tag", tag))
        return NameAddr(self.display, self.uri, params)


def parse_name_addr(text: str) -> NameAddr:
    """Parse one name-addr or addr-spec with its parameters.

    A display name need not be made of tokens: many a PBX sends commas, brackets
    and umlauts without quotes. Raises SipParseError.
    """
    text = text.strip(WHITESPACE)
    plain = _PLAIN_ADDR.fullmatch(text)
    if plain is not None and plain.end(1) <= MAX_URI:
        wire, scheme, user, host, port, uri_params, tag = plain.groups()
        inner = _plain_uri(wire, scheme, user, host, port, uri_params)
        return NameAddr(None, inner, () if tag is None else (("tag", tag),))
    if text.startswith('"'):
        end = match_quoted(text)
        display = unquote(text[:end])
        text = text[end:].lstrip(WHITESPACE)
        if not text.startswith("<"):
            raise SipParseError("A display name has no address after it.")
    elif (start := text.find("<")) >= 0:
        # Phones have been seen to escape the quotes that should have stood there.
        display = text[:start].rstrip(WHITESPACE).replace(r"\"", "")
        if '"' in display or ">" in display:
            raise SipParseError("A display name is malformed.")
        text = text[start:]
    else:
        return _parse_addr_spec(text)
    uri, bracket, params = text[1:].partition(">")
    if not bracket:
        raise SipParseError("An angle bracket does not close.")
    return NameAddr(display or None, _parse_inner_uri(uri), parse_params(params))


def parse_name_addr_list(text: str) -> list[NameAddr]:
    """Parse a comma-separated list, as in Contact and Route; raises SipParseError."""
    return [parse_name_addr(element) for element in split_list(text)]


def _parse_addr_spec(text: str) -> NameAddr:
    uri, semicolon, params = text.partition(";")
    # RFC 3261 section 20: with a comma, question mark or semicolon the URI must
    # stand in brackets; parameters here are therefore the header's.
    if "?" in uri or "," in uri:
        raise SipParseError("A URI that needs angle brackets has none.")
    return NameAddr(
        None,
        _parse_inner_uri(uri.rstrip(WHITESPACE)),
        parse_params(semicolon + params),
    )


def _parse_inner_uri(text: str) -> Uri:
    # 414 speaks of the Request-URI only.
    if len(text) > MAX_URI:
        raise SipParseError("A URI in a header is too long.")
    return parse_uri(text)
