"""The Replaces header: which dialog a new one takes the place of (RFC 3891)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from agent.signalling.sip.errors import SipParseError
from agent.signalling.sip.grammar import find_param, parse_params
from agent.signalling.sip.session_states import State
from agent.signalling.sip.uri import Uri

REPLACES: Final = "replaces"
"The option tag."


@dataclass(frozen=True, slots=True)
class Replaces:
    """A dialog as the one who is asked to replace it sees it (section 6.1)."""

    call_id: str
    to_tag: str
    "Our own."
    from_tag: str
    "The peer's; `0` also stands for none at all, as before RFC 3261."
    early_only: bool = False
    "Not if it was answered."


# Section 3: what an INVITE that replaces a session in that state deserves; None for
# a session that may be replaced.
_VERDICTS: Final[Mapping[State, int | None]] = {
    State.CALLING: None,
    State.ANSWERED: None,
    State.ACCEPTED: None,
    State.CONFIRMED: None,
    # An early dialog that we did not begin.
    State.INCOMING: 481,
    State.AWAITING_PRACK: 481,
    State.CANCELLING: 603,
    State.LEAVING: 603,
    State.ENDING: 603,
    State.CLEARING: 603,
    State.TERMINATED: 603,
}


def parse_replaces(text: str) -> Replaces:
    """Parse the header's value; raises SipParseError."""
    call_id, semicolon, rest = text.strip(" \t").partition(";")
    call_id = call_id.rstrip(" \t")
    if not call_id or "," in text:
        raise SipParseError("A Replaces names no one dialog.")
    params = parse_params(semicolon + rest)
    tags = []
    for name in ("to-tag", "from-tag"):
        found = find_param(params, name)
        if found is None or not found[1]:
            raise SipParseError(f"A Replaces has no {name}.")
        tags.append(found[1])
    early_only = find_param(params, "early-only") is not None
    return Replaces(call_id, tags[0], tags[1], early_only=early_only)


def replaces_in(uri: Uri) -> Replaces | None:
    """The Replaces that a Refer-To carries (RFC 3891 section 6.2).

    Raises SipParseError if it is malformed or there are two.
    """
    found = [value for name, value in uri.headers if name.lower() == REPLACES]
    if not found:
        return None
    if len(found) > 1:
        raise SipParseError("A Refer-To has two Replaces.")
    return parse_replaces(found[0])


def verdict(replaces: Replaces, state: State) -> int | None:
    """The status for an INVITE that replaces a session in `state`; None: it may."""
    status = _VERDICTS[state]
    if status is None and replaces.early_only and state is not State.CALLING:
        return 486
    return status
