"""What passes from one leg to the other, and what a failure there means here.

A back-to-back user agent answers for every header it sends (RFC 7092): what is not
named here does not pass.
"""

from collections.abc import Mapping
from typing import Final

from agent.common.errors import AgentError
from agent.signalling.sip.errors import SipParseError
from agent.signalling.sip.headers import Headers
from agent.signalling.sip.message import REASONS, Request, Response
from agent.signalling.sip.uri import NameAddr, Uri, parse_name_addr

MAX_FORWARDS: Final = 70
"RFC 3261 section 8.1.1.6."
MAX_REDIRECTIONS: Final = 10
"Contacts of one 3xx that are looked at."
MAX_PASSED: Final = 4096
"Octets of passed headers; more would not leave room for a description in UDP."

_PASSED_FREELY: Final = ("User-to-User", "Session-ID")
_PASSED_IN_RESPONSES: Final = ("User-to-User", "Session-ID", "Reason")
# RFC 7044 section 10.1.2, with RFC 4244 section 3.2 for the wider two.
_HIDES_HISTORY: Final = frozenset({"history", "header", "session"})
_HIDES_DIVERSION: Final = frozenset({"header", "history", "session", "user"})

# What another hop's trouble is to the caller. What is missing is our own trouble: the
# caller can do nothing about our credentials, our syntax or our route.
_FAILURES: Final = {
    **{status: status for status in (403, 404, 408, 410, 480, 482, 483, 484, 485)},
    **{status: status for status in (486, 488, 502, 504)},
    **{status: status for status in (600, 603, 604, 606, 607, 608)},
    # The callee's phone was told to be silent, not by our caller.
    487: 480,
}

_Q850: Final = {
    1: "Unallocated number",
    16: "Normal call clearing",
    17: "User busy",
    18: "No user responding",
    19: "No answer from user",
    21: "Call rejected",
    31: "Normal, unspecified",
    38: "Network out of order",
    41: "Temporary failure",
    65: "Bearer capability not implemented",
    88: "Incompatible destination",
    102: "Recovery on timer expiry",
    127: "Interworking, unspecified",
}
_Q850_MAX: Final = 127
_SIP_CAUSES: Final = {200: "Call completed elsewhere"}
"RFC 3326 section 3.1 says more of it than the status does."


class TooManyHopsError(AgentError):
    """The request has used up its Max-Forwards: most likely it goes in circles."""

    status = 483


def pass_headers(
    request: Request, *, from_trusted: bool, to_trusted: bool
) -> list[tuple[str, str]]:
    """The headers of `request` that go into the one on the other leg.

    P-Asserted-Identity goes from trusted to trusted peers only (RFC 3325 section 5),
    whatever Privacy says. History-Info and Diversion go everywhere, but to a peer
    that is not trusted less the entries that are marked as private.
    """
    headers = request.headers
    passed = _identity(headers, from_trusted=from_trusted, to_trusted=to_trusted)
    passed += _history(headers, to_trusted=to_trusted)
    passed += _diversion(headers, to_trusted=to_trusted)
    passed += _lines(headers, _PASSED_FREELY)
    return _bounded(passed)


def pass_response_headers(
    response: Response, *, from_trusted: bool, to_trusted: bool
) -> list[tuple[str, str]]:
    """The headers of `response` that go into the one on the other leg."""
    headers = response.headers
    passed = _identity(headers, from_trusted=from_trusted, to_trusted=to_trusted)
    passed += _history(headers, to_trusted=to_trusted)
    passed += _lines(headers, _PASSED_IN_RESPONSES)
    return _bounded(passed)


def privacy_of(message: Request | Response) -> frozenset[str]:
    """The priv-values of RFC 3323 section 4.2, in lower case."""
    return _privacy(message.headers)


def next_max_forwards(request: Request) -> int:
    """The Max-Forwards for the other leg (RFC 7332 section 4).

    Raises TooManyHopsError if nothing is left.
    """
    left = request.max_forwards
    if left is None:
        return MAX_FORWARDS
    if left == 0:
        raise TooManyHopsError("The request has no hop left.")
    return left - 1


def is_loop(request: Request, sent: Mapping[str, str]) -> bool:
    """Whether `request` is one of our own that came back unchanged.

    `sent` has the Call-IDs of the INVITEs we have sent, each with the user part it
    asked for. RFC 5393 section 4 compares the Vias and the Request-URI; we take
    the Via off, and a Call-ID of our own says as much. With another number asked for
    it is a spiral, which is legitimate: an officer may ring the service number.
    """
    return sent.get(request.call_id) == (request.uri.user or "")


def map_failure(status: int) -> tuple[int, str]:
    """What a caller gets for the final `status` of the leg that was rung.

    Redirections are not followed; challenges are meant for us, who have no
    credentials; 503 would make the caller shun this host (RFC 3261 section 16.7).
    """
    mapped = 480 if 300 <= status < 400 else _FAILURES.get(status, 500)
    return mapped, REASONS[mapped]


def redirections(response: Response) -> list[Uri]:
    """Where a 3xx says to try instead: RFC 3261 section 8.1.3.4, the best q first.

    What its header fields would add to the new INVITE is left out: a peer that is
    rung has no say in what we send to others. Empty where it cannot be understood.
    """
    try:
        contacts = response.contacts
    except SipParseError:
        return []
    ordered = sorted(contacts[:MAX_REDIRECTIONS], key=_preference, reverse=True)
    return [contact.uri.with_(headers=()) for contact in ordered]


def _preference(contact: NameAddr) -> float:
    try:
        return min(max(float(contact.param("q") or "1"), 0.0), 1.0)
    except ValueError:
        return 0.0


def reason_header(cause: int, text: str | None = None) -> tuple[str, str]:
    """A Reason header (RFC 3326): Q.850 causes up to 127, SIP statuses above."""
    if cause <= _Q850_MAX:
        protocol, known = "Q.850", _Q850.get(cause)
    else:
        protocol, known = "SIP", _SIP_CAUSES.get(cause, REASONS.get(cause))
    text = text or known
    if text is None:
        return "Reason", f"{protocol};cause={cause}"
    quoted = text.replace("\\", "\\\\").replace('"', '\\"')
    return "Reason", f'{protocol};cause={cause};text="{quoted}"'


def anonymous_from() -> NameAddr:
    """The From of whoever withholds the number (RFC 3323 section 4.1.1.3)."""
    return NameAddr("Anonymous", Uri("sip", "anonymous", "anonymous.invalid"))


def _privacy(headers: Headers) -> frozenset[str]:
    values = ";".join(headers.get_all("Privacy")).replace(",", ";").split(";")
    return frozenset(value.strip(" \t").lower() for value in values) - {""}


def _identity(
    headers: Headers, *, from_trusted: bool, to_trusted: bool
) -> list[tuple[str, str]]:
    passed = _lines(headers, ("Privacy",))
    if from_trusted and to_trusted:
        passed += _lines(headers, ("P-Asserted-Identity",))
    return passed


def _history(headers: Headers, *, to_trusted: bool) -> list[tuple[str, str]]:
    if to_trusted:
        return _lines(headers, ("History-Info",))
    if _privacy(headers) & _HIDES_HISTORY:
        return []
    return [
        ("History-Info", text)
        for text, entry in _entries(headers, "History-Info")
        if not any(
            name.lower() == "privacy" and value.lower() != "none"
            for name, value in entry.uri.headers
        )
    ]


def _diversion(headers: Headers, *, to_trusted: bool) -> list[tuple[str, str]]:
    if to_trusted:
        return _lines(headers, ("Diversion",))
    if _privacy(headers) & _HIDES_DIVERSION:
        return []
    return [
        ("Diversion", text)
        for text, entry in _entries(headers, "Diversion")
        if (entry.param("privacy") or "off").lower() == "off"
    ]


def _entries(headers: Headers, name: str) -> list[tuple[str, NameAddr]]:
    """The elements of a list that can be understood.

    What cannot be understood might be private, so it does not pass.
    """
    try:
        return [(text, parse_name_addr(text)) for text in headers.split(name)]
    except SipParseError:
        return []


def _lines(headers: Headers, names: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(name, value) for name in names for value in headers.get_all(name)]


def _bounded(passed: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """As many as fit; identity and privacy stand first, so they are the last to go."""
    room = MAX_PASSED
    kept = []
    for name, value in passed:
        room -= len(name) + len(value.encode(errors="replace")) + 4
        if room >= 0:
            kept.append((name, value))
    return kept
