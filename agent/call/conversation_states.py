"""The states of a conversation as a table: talking, transfers, and the end."""

from collections.abc import Mapping
from enum import auto
from typing import Final

from agent.signalling.sip.symbol import Symbol


class State(Symbol):
    """Where a conversation stands."""

    TALKING = auto()
    TRANSFERRING = auto()
    "The transferor is still there while its target rings."
    HANDED_OVER = auto()
    "The transferor has left; whoever is left waits for the target."
    CLEARING = auto()
    "No target answered: whoever is left hears a tone that says so."
    OVER = auto()


class Input(Symbol):
    """What can happen to a conversation."""

    TRANSFER = auto()
    "A party wants another to take its place; that one must be rung."
    REPLACED = auto()
    "Another leg, which has answered already, takes a party's place."
    SURRENDERED = auto()
    "A party goes on talking in another call."
    TAKEN_BACK = auto()
    "The transferor wants to talk on itself."
    TARGET_RINGING = auto()
    TARGET_ANSWERED = auto()
    PARTY_LEFT = auto()
    TRANSFEROR_LEFT = auto()
    IDENTIFIED = auto()
    "A party has become, or is no more, an officer; or another one."
    NOTICE_PLAYED = auto()
    NOTICE_FAILED = auto()
    NOTICE_STALLED = auto()
    SEGMENT_FULL = auto()
    RECORDING_FAILED = auto()
    MEDIA_TIMEOUT = auto()
    CLEARED = auto()
    STOP = auto()


_TALK: Final = (State.TALKING, State.TRANSFERRING)
_RINGING: Final = (State.TRANSFERRING, State.HANDED_OVER)

# What is not in this table changes nothing. scripts/draw-states reads it: the names
# are those of Conversation's private methods, without the underscore.
TRANSITIONS: Final[Mapping[tuple[State, Input], str]] = {
    (State.TALKING, Input.TRANSFER): "transfer",
    (State.TALKING, Input.REPLACED): "replace",
    (State.TALKING, Input.SURRENDERED): "surrender",
    (State.TRANSFERRING, Input.TAKEN_BACK): "take_back",
    (State.TRANSFERRING, Input.TRANSFEROR_LEFT): "hand_over",
    **{
        (state, input_): action
        for state in _RINGING
        for input_, action in {
            Input.TARGET_RINGING: "target_ringing",
            Input.TARGET_ANSWERED: "target_answered",
        }.items()
    },
    **{
        (state, input_): action
        for state in _TALK
        for input_, action in {
            Input.PARTY_LEFT: "hung_up",
            Input.IDENTIFIED: "recast",
            Input.NOTICE_PLAYED: "notice_played",
            Input.NOTICE_FAILED: "notice_failed",
            Input.NOTICE_STALLED: "notice_failed",
            Input.SEGMENT_FULL: "segment_full",
            Input.RECORDING_FAILED: "recording_failed",
            Input.MEDIA_TIMEOUT: "media_timed_out",
            Input.STOP: "stopped",
        }.items()
    },
    # RFC 3261 section 15: there may be nobody left to hear a target that answers.
    (State.HANDED_OVER, Input.PARTY_LEFT): "hung_up",
    (State.HANDED_OVER, Input.STOP): "stopped",
    (State.CLEARING, Input.CLEARED): "cleared",
    (State.CLEARING, Input.PARTY_LEFT): "cleared",
    (State.CLEARING, Input.STOP): "cleared",
}
