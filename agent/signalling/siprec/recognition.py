"""Whether an INVITE asks us to record: RFC 7866 section 6.2, and what the field sends.

A session recording client says it twice: by the feature tag in its Contact and by the
option tag. Many a one says it once, or in a way of its own.
"""

from enum import StrEnum
from typing import Final

from agent.signalling.sip.message import Request
from agent.signalling.sip.uri import NameAddr

SIPREC: Final = "siprec"
"The option tag. It may be required of us, and stands in no Supported of ours."
CLIENT: Final = "+sip.src"
"The feature tag of a session recording client (section 11.2.1), …"
SERVER: Final = "+sip.srs"
"… and that of a session recording server, which is what we are."
_BARE: Final = "src"
"What some write instead, as a parameter of the Contact or of the URI in it."


class Recognition(StrEnum):
    """How an INVITE says that it begins a recording session."""

    NONE = "none"
    "It does not: it is a call. Only the peer's configuration could tell otherwise."
    STRICT = "strict"
    "By the feature tag and the option tag."
    LEGACY = "legacy"
    "By one of the two, by a bare `src`, or by bringing metadata."


def recognise(invite: Request) -> Recognition:
    """Tell a recording session from a call."""
    contact = invite.contact
    feature = contact is not None and _has(contact, CLIENT)
    option = SIPREC in invite.require or SIPREC in invite.supported
    if feature and option:
        return Recognition.STRICT
    bare = contact is not None and (
        _has(contact, _BARE) or contact.uri.param(_BARE) is not None
    )
    if feature or option or bare or invite.recording_metadata:
        return Recognition.LEGACY
    return Recognition.NONE


def _has(contact: NameAddr, feature: str) -> bool:
    # RFC 3840 section 9: a boolean one is true by being there, and may say so.
    value = contact.param(feature)
    return value is not None and value.upper() != "FALSE"
