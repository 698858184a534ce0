"""What a recording is tagged with: the caller's number, the officer's number.

Of what a SIP request says of its sender only the number is ever taken, never the
display name. Requests are known here by their shape, because this package and
signalling do not import each other.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol
from urllib.parse import unquote

from agent.identity.numbers import FINLAND, IdentityConfig, normalise
from agent.model.recording import WITHHELD

_WITHHOLDING: Final = frozenset({"id", "user", "header"})
"RFC 3325 section 9.3 and RFC 3323 section 4.2."
ANONYMOUS_USERS: Final = frozenset(
    {"anonymous", "restricted", "unavailable", "unknown", "withheld"}
)
"What stands for the user where nobody is to know them."
ANONYMOUS_HOST: Final = "anonymous.invalid"
"RFC 3323 section 4.1."

_QUOTED = re.compile(r'"(?:[^"\\]++|\\.)*"')
_ASSERTED = re.compile(
    r"(?:^|[<,\s])(?:sips?:([^@<>\s,]++)@|tel:([^;<>\s,]++))", re.IGNORECASE
)
_NUMBER = re.compile(r"\+?[0-9*#]+")


class UriLike(Protocol):
    """What is asked of a URI."""

    @property
    def user(self) -> str | None:
        """Unescaped user part, or the number of a TEL URI."""
        ...

    @property
    def host(self) -> str: ...


class NameAddrLike(Protocol):
    """What is asked of a From."""

    @property
    def uri(self) -> UriLike: ...


class HeadersLike(Protocol):
    """What is asked of the headers."""

    def get_all(self, name: str) -> Sequence[str]: ...


class MessageLike(Protocol):
    """What is asked of a request or response."""

    @property
    def headers(self) -> HeadersLike: ...


class RequestLike(MessageLike, Protocol):
    """What is asked of a request."""

    @property
    def from_(self) -> NameAddrLike: ...


@dataclass(frozen=True, slots=True)
class CallerTag:
    """Who rang."""

    number: str
    "E.164, or as sent where it is no such number, or `withheld`."
    source: Literal["pai", "from", "none"]
    "Where the number is from; `none` for a withheld or missing one."

    def __repr__(self) -> str:
        return f"CallerTag(source={self.source!r}, …)"


_WITHHELD: Final = CallerTag(WITHHELD, "none")


def caller_tag(
    request: RequestLike, *, trusted: bool, config: IdentityConfig = FINLAND
) -> CallerTag:
    """Who sent `request`, an INVITE.

    The P-Asserted-Identity of a trusted peer counts first, a number before a name
    (RFC 3325 section 9.1 allows one SIP and one TEL URI), then the From. Privacy is
    honoured whoever asks for it.
    """
    if _privacy(request.headers) & _WITHHOLDING or _is_anonymous(request.from_.uri):
        return _WITHHELD
    if trusted and (asserted := _best_asserted(request.headers, config)):
        return CallerTag(asserted, "pai")
    number = normalise(_bare(request.from_.uri.user or ""), config)
    return CallerTag(number, "from") if number else _WITHHELD


def claimed_numbers(
    request: RequestLike, *, with_from: bool, config: IdentityConfig = FINLAND
) -> list[str]:
    """All numbers that a request claims for its sender, whatever its privacy.

    Those of its P-Asserted-Identity, and that of its From unless it is anonymous.
    """
    users = _asserted(request.headers)
    if with_from and not _is_anonymous(request.from_.uri):
        users.append(_bare(request.from_.uri.user or ""))
    return [normalise(user, config) for user in users]


def asserted_number(
    message: MessageLike, *, config: IdentityConfig = FINLAND
) -> str | None:
    """Who a trusted peer says is at its end; None if it says, or tells, nothing."""
    if _privacy(message.headers) & _WITHHOLDING:
        return None
    return _best_asserted(message.headers, config)


def _best_asserted(headers: HeadersLike, config: IdentityConfig) -> str | None:
    """The asserted identity that counts: a number before a name."""
    asserted = [
        number for user in _asserted(headers) if (number := normalise(user, config))
    ]
    best = next((one for one in asserted if _NUMBER.fullmatch(one)), None)
    return best or next(iter(asserted), None)


def officer_number(uri: UriLike) -> str:
    """The officer's number in the URI that is rung; empty if it has no user part."""
    return _bare(uri.user or "")


def _privacy(headers: HeadersLike) -> frozenset[str]:
    values = ";".join(headers.get_all("Privacy")).replace(",", ";").split(";")
    return frozenset(value.strip(" \t").lower() for value in values)


def _is_anonymous(uri: UriLike) -> bool:
    return (
        uri.host.lower() == ANONYMOUS_HOST
        or (uri.user or "").lower() in ANONYMOUS_USERS
    )


def _asserted(headers: HeadersLike) -> list[str]:
    """The user parts of all asserted identities, anonymous ones left out."""
    users = []
    for value in headers.get_all("P-Asserted-Identity"):
        for match in _ASSERTED.finditer(_QUOTED.sub("", value)):
            user = _bare(unquote(match[1] or match[2]))
            if user.lower() not in ANONYMOUS_USERS:
                users.append(user)
    return users


def _bare(user: str) -> str:
    """A user part without parameters and password."""
    return re.split("[;:]", user, maxsplit=1)[0]
