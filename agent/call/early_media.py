"""Whether a caller can hear us before it is answered: sans-IO.

The rule: its INVITE holds an offer, for without one there is no address to send to;
and its peer is not known to cut audio before the answer. With 100rel the 183 is sent
reliably, and the notice begins once its PRACK has come; where the peer is configured
to need that, a caller without 100rel is answered first. A PRACK that never comes is
a caller that never hears us: the user agent core refuses the call with 504.
"""

from enum import Enum, auto
from typing import Final

from agent.signalling.sip.message import Request

RELIABLE: Final = "100rel"
"The option tag of RFC 3262."


class EarlyMedia(Enum):
    """What a path can do."""

    NONE = auto()
    PLAIN = auto()
    "A 183 that nobody acknowledges, and that may be lost."
    RELIABLE = auto()


def early_media(invite: Request, policy: str) -> EarlyMedia:
    """What the path of `invite` can do, as far as can be known.

    `policy` is the peer's: `any`, `reliable`, `never`.
    """
    if policy == "never" or not invite.body:
        return EarlyMedia.NONE
    if RELIABLE in (*invite.supported, *invite.require):
        return EarlyMedia.RELIABLE
    return EarlyMedia.NONE if policy == "reliable" else EarlyMedia.PLAIN
