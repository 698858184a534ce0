"""The life of one call as a table: from the offer until two parties talk.

What happens while they talk stands in `agent.call.conversation`.
"""

from collections.abc import Mapping
from enum import auto
from typing import Final

from agent.signalling.sip.symbol import Symbol


class Phase(Symbol):
    """Where a call stands."""

    OFFERED = auto()
    ANSWERING = auto()
    "The first party has our 2xx; its ACK is awaited."
    OPENING = auto()
    "Early media is being opened, for a notice before the answer."
    ANNOUNCING = auto()
    CONNECTING = auto()
    TALKING = auto()
    "The conversation has its own states."
    CLEARING = auto()
    "Nobody answered: the first party hears a tone that says so."
    ENDED = auto()


class Input(Symbol):
    """What can happen to a call before its parties talk."""

    BEGIN = auto()
    ACKNOWLEDGED = auto()
    EARLY_OPENED = auto()
    EARLY_UNAVAILABLE = auto()
    NOTICE_PLAYED = auto()
    NOTICE_FAILED = auto()
    TARGET_RINGING = auto()
    TARGET_ANSWERED = auto()
    TIMER = auto()
    FIRST_LEFT = auto()
    PARTNER_LEFT = auto()
    STOP = auto()


# What is not in this table changes nothing; refusals of targets are the hunt's business
# until none is left. scripts/draw-states reads it: the names
# are those of Setup's private methods, without the underscore.
TRANSITIONS: Final[Mapping[tuple[Phase, Input], str]] = {
    (Phase.OFFERED, Input.BEGIN): "advance",
    (Phase.OFFERED, Input.FIRST_LEFT): "abandon",
    (Phase.OFFERED, Input.STOP): "stopped",
    (Phase.ANSWERING, Input.ACKNOWLEDGED): "answered",
    (Phase.ANSWERING, Input.FIRST_LEFT): "abandon",
    (Phase.ANSWERING, Input.PARTNER_LEFT): "partner_left_early",
    (Phase.ANSWERING, Input.STOP): "stopped",
    (Phase.OPENING, Input.EARLY_OPENED): "announce",
    (Phase.OPENING, Input.EARLY_UNAVAILABLE): "answer_instead",
    (Phase.OPENING, Input.FIRST_LEFT): "abandon",
    (Phase.OPENING, Input.STOP): "stopped",
    (Phase.ANNOUNCING, Input.NOTICE_PLAYED): "notice_played",
    (Phase.ANNOUNCING, Input.NOTICE_FAILED): "notice_failed",
    (Phase.ANNOUNCING, Input.FIRST_LEFT): "abandon",
    (Phase.ANNOUNCING, Input.PARTNER_LEFT): "partner_left_early",
    (Phase.ANNOUNCING, Input.TIMER): "notice_stalled",
    (Phase.ANNOUNCING, Input.STOP): "stopped",
    (Phase.CONNECTING, Input.TARGET_RINGING): "target_ringing",
    (Phase.CONNECTING, Input.TARGET_ANSWERED): "target_answered",
    (Phase.CONNECTING, Input.FIRST_LEFT): "abandon",
    (Phase.CONNECTING, Input.STOP): "stopped",
    (Phase.CLEARING, Input.TIMER): "cleared",
    (Phase.CLEARING, Input.FIRST_LEFT): "cleared",
    (Phase.CLEARING, Input.STOP): "cleared",
}
