"""What a user agent server checks before it takes a request: RFC 3261 section 8.2."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Final

from agent.signalling.sip.dialog import SDP
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.message import Request
from agent.signalling.sip.replaces import REPLACES

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

OUTSIDE: Final = {
    # There is nothing to receive it for us (RFC 6665 section 4.1.3).
    "NOTIFY": 481,
    # RFC 6086 section 4.1: only in a dialog; as are the others.
    "INFO": 481,
    "PRACK": 481,
    "UPDATE": 481,
    "BYE": 481,
    # We call nobody for who has no call with us.
    "REFER": 403,
}
"Methods that make sense in a dialog only, and what they deserve outside one."
ALLOW_EVENTS: Final = ("Allow-Events", "refer")

WITH_OFFER: Final = frozenset({"INVITE", "PRACK", "UPDATE"})
"Requests in a dialog that may hold an offer."

_SCHEMES: Final = frozenset({"sip", "sips", "tel"})
_SIPS_NOT_ALLOWED: Final = 380
"Warn-code of RFC 5630."


@dataclass(frozen=True, slots=True)
class Refusal:
    """The status that a request deserves, and headers for the response."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()


def inspect_new(
    request: Request,
    *,
    allow: tuple[str, str],
    accept: tuple[str, str],
    supported: Collection[str],
) -> Refusal | None:
    """What is wrong with a request outside dialogs; None if we may go on.

    `allow` and `accept` are whole headers. Who was admitted is for others to say, and
    whether the request has been here before.
    """
    method = request.method
    if request.to.tag is not None:
        return Refusal(481)
    if (status := OUTSIDE.get(method)) is not None:
        return Refusal(status)
    if method == "SUBSCRIBE":
        return _inspect_subscribe(request)
    if (refusal := _inspect_method(method, allow)) is not None:
        return refusal
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
    return _inspect_body(request, accept)


def inspect_security(request: Request, flow: Flow) -> Refusal | None:
    """What is wrong with how a new request came; None if we may go on.

    A SIPS URI wants TLS on every hop (RFC 3261 section 26.2.2), the last one too since
    RFC 5630. Where there was none on ours, its sender relies on what is not so: there
    we cannot be reached by SIPS, for which that RFC has the 480 with this warning; 416
    would mean that we do not know the scheme.
    """
    if request.uri.scheme != "sips" or flow.transport == "tls":
        return None
    value = f'{_SIPS_NOT_ALLOWED} {flow.local} "SIPS Not Allowed"'
    return Refusal(480, (("Warning", value),))


def inspect_in_dialog(
    request: Request,
    *,
    allow: tuple[str, str],
    accept: tuple[str, str],
    supported: Collection[str],
) -> Refusal | None:
    """What is wrong with a request within a dialog; None if we may go on."""
    method = request.method
    if method == "NOTIFY" and _inspect_method(method, allow) is not None:
        return Refusal(OUTSIDE[method])
    if (refusal := _inspect_method(method, allow)) is not None:
        return refusal
    if (refusal := _inspect_extensions(request, supported)) is not None:
        return refusal
    if method == "INFO" and "Info-Package" in request.headers:
        # RFC 6086 section 4.2.2: we have asked for none.
        return Refusal(469, (("Recv-Info", ""),))
    return _inspect_body(request, accept) if method in WITH_OFFER else None


def _inspect_subscribe(request: Request) -> Refusal:
    event = (request.headers.get("Event") or "").partition(";")[0].strip(" \t")
    if event.lower() == "refer":
        # RFC 3515 section 3.4: only a REFER may begin one.
        return Refusal(403)
    return Refusal(489, (ALLOW_EVENTS,))


def _inspect_method(method: str, allow: tuple[str, str]) -> Refusal | None:
    if method in allow[1].split(", "):
        return None
    return Refusal(405 if method in KNOWN_METHODS else 501, (allow,))


def _inspect_extensions(request: Request, supported: Collection[str]) -> Refusal | None:
    if (
        REPLACES in supported
        and request.method != "INVITE"
        and "Replaces" in request.headers
    ):
        return Refusal(400)  # RFC 3891 section 3
    unknown = [tag for tag in request.require if tag not in supported]
    if not unknown:
        return None
    return Refusal(420, (("Unsupported", ", ".join(unknown)),))


def _inspect_body(request: Request, accept: tuple[str, str]) -> Refusal | None:
    if not request.body:
        return None
    if request.content_type != SDP:
        return Refusal(415, (accept,))
    coding = (request.headers.get("Content-Encoding") or "identity").strip().lower()
    if coding != "identity":
        return Refusal(415, (("Accept-Encoding", "identity"),))
    return None
