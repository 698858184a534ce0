"""Digest access authentication on the wire: RFC 3261 section 22, RFC 7616, RFC 8760.

Quoted values are kept as they stand between their quotes, escapes included, because
so they are hashed (RFC 7616 section 3.4).
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from agent.signalling.sip.errors import SipParseError
from agent.signalling.sip.grammar import QUOTED, TOKEN, WHITESPACE

MAX_PARAMETERS: Final = 32
"Of one challenge; the RFCs know a dozen."

_SCHEME = re.compile(r"[ \t]*+([A-Za-z]++)[ \t]++")
# An unquoted value need not be a token: peers forget the quotes of a URI.
_PARAMETER = re.compile(
    rf"({TOKEN})[ \t]*+=[ \t]*+({QUOTED}|[^\s,\"]++)?[ \t]*+(?:,[ \t]*+|$)"
)
_NC = re.compile(r"[0-9a-fA-F]{8}")
_UNQUOTABLE = re.compile(r'["\\\x00-\x1f\x7f]')


class Algorithm(StrEnum):
    """The hash functions that SIP knows (RFC 8760), the strongest first."""

    SHA_512_256 = "SHA-512-256"
    SHA_256 = "SHA-256"
    MD5 = "MD5"

    def hash(self, text: str) -> str:
        """The digest of `text`, in lower-case hexadecimal."""
        return hashlib.new(
            _HASHES[self], text.encode(), usedforsecurity=False
        ).hexdigest()

    @property
    def length(self) -> int:
        """Characters of such a digest."""
        return 32 if self is Algorithm.MD5 else 64


_HASHES: Final = {
    Algorithm.SHA_512_256: "sha512_256",
    Algorithm.SHA_256: "sha256",
    Algorithm.MD5: "md5",
}
_ALGORITHMS: Final = {str(algorithm).lower(): algorithm for algorithm in Algorithm}
STRENGTH: Final = tuple(Algorithm)


@dataclass(frozen=True, slots=True)
class Challenge:
    """One WWW-Authenticate or Proxy-Authenticate, of a scheme and hash we know."""

    realm: str
    nonce: str = field(repr=False)
    algorithm: Algorithm = Algorithm.MD5
    named: bool = True
    "Whether the algorithm was spelt out; a peer of RFC 2069 may not know the word."
    qop: tuple[str, ...] = ()
    "Lower case; none from a peer of RFC 2069."
    opaque: str | None = field(default=None, repr=False)
    stale: bool = False
    "Only the nonce was refused, and not the password."

    def __str__(self) -> str:
        return _format(
            ("realm", self.realm, True),
            ("nonce", self.nonce, True),
            ("opaque", self.opaque, True),
            ("stale", "true" if self.stale else None, False),
            ("algorithm", self.algorithm if self.named else None, False),
            ("qop", ",".join(self.qop) or None, True),
        )

    @property
    def answerable(self) -> bool:
        """Whether qop `auth`, or none, is among what it takes."""
        return not self.qop or "auth" in self.qop


@dataclass(frozen=True, slots=True)
class Authorization:
    """One Authorization or Proxy-Authorization."""

    username: str = field(repr=False)
    realm: str
    nonce: str = field(repr=False)
    uri: str = field(repr=False)
    response: str = field(repr=False)
    algorithm: Algorithm = Algorithm.MD5
    named: bool = True
    opaque: str | None = field(default=None, repr=False)
    qop: str | None = None
    "Lower case."
    cnonce: str | None = field(default=None, repr=False)
    nc: int | None = None

    def __str__(self) -> str:
        return _format(
            ("username", self.username, True),
            ("realm", self.realm, True),
            ("nonce", self.nonce, True),
            ("uri", self.uri, True),
            ("response", self.response, True),
            ("algorithm", self.algorithm if self.named else None, False),
            ("opaque", self.opaque, True),
            ("cnonce", self.cnonce, True),
            ("qop", self.qop, False),
            ("nc", None if self.nc is None else f"{self.nc:08x}", False),
        )


@dataclass(frozen=True, slots=True)
class AuthenticationInfo:
    """One Authentication-Info or Proxy-Authentication-Info (RFC 7615)."""

    nextnonce: str | None = field(default=None, repr=False)
    qop: str | None = None
    rspauth: str | None = field(default=None, repr=False)
    cnonce: str | None = field(default=None, repr=False)
    nc: int | None = None

    def __str__(self) -> str:
        return _format(
            ("nextnonce", self.nextnonce, True),
            ("qop", self.qop, False),
            ("rspauth", self.rspauth, True),
            ("cnonce", self.cnonce, True),
            ("nc", None if self.nc is None else f"{self.nc:08x}", False),
            scheme="",
        )


def parse_challenge(text: str) -> Challenge | None:
    """Parse one challenge; None for a scheme or an algorithm that we do not know.

    RFC 7616 section 3.3: such a challenge is to be ignored. Raises SipParseError.
    """
    found = _parse_digest(text)
    if found is None:
        return None
    algorithm = _ALGORITHMS.get(found.get("algorithm", "md5").lower())
    if algorithm is None:
        return None
    return Challenge(
        realm=_need(found, "realm"),
        nonce=_need(found, "nonce"),
        algorithm=algorithm,
        named="algorithm" in found,
        qop=tuple(
            option
            for part in found.get("qop", "").split(",")
            if (option := part.strip(WHITESPACE).lower())
        ),
        opaque=found.get("opaque"),
        stale=found.get("stale", "").lower() == "true",
    )


def parse_authorization(text: str) -> Authorization | None:
    """Parse one set of credentials; None for a scheme or algorithm we do not know.

    Raises SipParseError.
    """
    found = _parse_digest(text)
    if found is None:
        return None
    algorithm = _ALGORITHMS.get(found.get("algorithm", "md5").lower())
    if algorithm is None:
        return None
    qop = found.get("qop")
    if qop is not None and not ("cnonce" in found and "nc" in found):
        raise SipParseError("Credentials with qop lack cnonce or nc.")
    return Authorization(
        username=_need(found, "username"),
        realm=_need(found, "realm"),
        nonce=_need(found, "nonce"),
        uri=_need(found, "uri"),
        response=_need(found, "response"),
        algorithm=algorithm,
        named="algorithm" in found,
        opaque=found.get("opaque"),
        qop=None if qop is None else qop.lower(),
        cnonce=found.get("cnonce"),
        nc=_parse_nc(found.get("nc")),
    )


def parse_authentication_info(text: str) -> AuthenticationInfo:
    """Parse what a server says of credentials that it took; raises SipParseError."""
    found = _parse_parameters(text.strip(WHITESPACE))
    qop = found.get("qop")
    return AuthenticationInfo(
        nextnonce=found.get("nextnonce"),
        qop=None if qop is None else qop.lower(),
        rspauth=found.get("rspauth"),
        cnonce=found.get("cnonce"),
        nc=_parse_nc(found.get("nc")),
    )


def is_quotable(text: str) -> bool:
    """Whether `text` may stand between quotes as it is: a user's or realm's name."""
    return bool(text) and _UNQUOTABLE.search(text) is None


def hash_password(algorithm: Algorithm, user: str, realm: str, password: str) -> str:
    """What is kept instead of a password, and is as good as it: H(A1).

    RFC 7616 section 3.4.2.
    """
    return algorithm.hash(f"{user}:{realm}:{password}")


def digest_response(ha1: str, credentials: Authorization, method: str) -> str:
    """The `response` that `credentials` must hold; the one they hold is not looked at.

    RFC 7616 section 3.4.1, and RFC 2069 where there is no qop. `ha1` is from
    `hash_password` of the same algorithm.
    """
    algorithm = credentials.algorithm
    ha2 = algorithm.hash(f"{method}:{credentials.uri}")
    if credentials.qop is None:
        return algorithm.hash(f"{ha1}:{credentials.nonce}:{ha2}")
    middle = f"{credentials.nc or 0:08x}:{credentials.cnonce}:{credentials.qop}"
    return algorithm.hash(f"{ha1}:{credentials.nonce}:{middle}:{ha2}")


def strongest(challenges: Iterable[Challenge]) -> Challenge | None:
    """Of one realm's challenges the one to answer; None if there is none.

    RFC 8760 section 2.4 leaves the choice to whoever answers; the first of equals.
    """
    usable = [one for one in challenges if one.answerable]
    return min(usable, key=lambda one: STRENGTH.index(one.algorithm), default=None)


def _parse_digest(text: str) -> dict[str, str] | None:
    match = _SCHEME.match(text)
    if match is None or match[1].lower() != "digest":
        return None
    return _parse_parameters(text[match.end() :].rstrip(WHITESPACE))


def _parse_parameters(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    position = 0
    while position < len(text):
        match = _PARAMETER.match(text, position)
        if match is None:
            raise SipParseError("The parameters of a digest are malformed.")
        name, value = match[1].lower(), match[2] or ""
        if name in found or len(found) >= MAX_PARAMETERS:
            raise SipParseError("A digest has a parameter twice, or too many.")
        found[name] = value[1:-1] if value.startswith('"') else value
        position = match.end()
    return found


def _need(found: dict[str, str], name: str) -> str:
    value = found.get(name)
    if value is None:
        raise SipParseError(f"A digest has no {name}.")
    return value


def _parse_nc(text: str | None) -> int | None:
    if text is None:
        return None
    if _NC.fullmatch(text) is None:
        raise SipParseError("The nonce count of a digest is malformed.")
    return int(text, 16)


def _format(*parameters: tuple[str, str | None, bool], scheme: str = "Digest ") -> str:
    """Write those that have a value; the flag says whether in quotes."""
    return scheme + ", ".join(
        f'{name}="{value}"' if quoted else f"{name}={value}"
        for name, value, quoted in parameters
        if value is not None
    )
