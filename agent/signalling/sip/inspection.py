"""What a user agent server checks before it takes a request: RFC 3261 section 8.2."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from agent.signalling.sip.dialog import SDP
from agent.signalling.sip.message import Request

KNOWN_METHODS: Final = frozenset(
    {
        "ACK",
        "BYE",
        "CANCEL",
        "INFO",
        "INVITE",
        "MESSAGE",
        "NOTIFY",
        "OPTIONS",
        "PRACK",
        "PUBLISH",
        "REFER",
        "REGISTER",
        "SUBSCRIBE",
        "UPDATE",
    }
)
"The IANA registry of methods: 405 for these, 501 for others (section 8.2.1)."

_SCHEMES: Final = frozenset({"sip", "sips", "tel"})
_WITH_OFFER: Final = frozenset({"INVITE", "UPDATE"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """The status that a request deserves, and headers for the response."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()


def inspect_new(
    request: Request, *, allow: tuple[str, str], supported: Collection[str]
) -> Refusal | None:
    """What is wrong with a request outside dialogs; None if we may go on.

    `allow` is the whole header. Who was admitted is for others to say, and whether
    the request has been here before.
    """
    method = request.method
    if request.to.tag is not None:
        return Refusal(481)
    if (refusal := _inspect_method(method, allow)) is not None:
        return refusal
    if method not in {"INVITE", "OPTIONS"}:
        return Refusal(481)
    if request.uri.scheme not in _SCHEMES:
        return Refusal(416)
    if (refusal := _inspect_extensions(request, supported)) is not None:
        return refusal
    if method == "OPTIONS":
        return None
    # Section 8.2 leaves it to proxies, but what we do with a call is to forward
    # it (RFC 7332 section 4).
    if request.max_forwards == 0:
        return Refusal(483)
    if request.contact is None:
        return Refusal(400)
    return _inspect_body(request)


def inspect_in_dialog(
    request: Request, *, allow: tuple[str, str], supported: Collection[str]
) -> Refusal | None:
    """What is wrong with a request within a dialog; None if we may go on."""
    method = request.method
    if method == "PRACK":
        # None of our provisional responses was reliable (RFC 3262 section 3).
        return Refusal(481)
    if (refusal := _inspect_method(method, allow)) is not None:
        return refusal
    if (refusal := _inspect_extensions(request, supported)) is not None:
        return refusal
    return _inspect_body(request) if method in _WITH_OFFER else None


def _inspect_method(method: str, allow: tuple[str, str]) -> Refusal | None:
    if method in allow[1].split(", "):
        return None
    return Refusal(405 if method in KNOWN_METHODS else 501, (allow,))


def _inspect_extensions(request: Request, supported: Collection[str]) -> Refusal | None:
    unknown = [tag for tag in request.require if tag not in supported]
    if not unknown:
        return None
    return Refusal(420, (("Unsupported", ", ".join(unknown)),))


def _inspect_body(request: Request) -> Refusal | None:
    if not request.body:
        return None
    if request.content_type != SDP:
        return Refusal(415, (("Accept", SDP),))
    coding = (request.headers.get("Content-Encoding") or "identity").strip().lower()
    if coding != "identity":
        return Refusal(415, (("Accept-Encoding", "identity"),))
    return None
