"""Session timers: RFC 4028.

Both ends agree on an interval and on who refreshes the session within it. We like to
do that ourselves, also towards a peer that knows no session timers: it answers, or is
gone.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import auto
from typing import Final

import msgspec

from agent.signalling.sip.errors import SipParseError
from agent.signalling.sip.grammar import find_param, parse_params
from agent.signalling.sip.headers import Headers, parse_delta_seconds
from agent.signalling.sip.message import Request, Response
from agent.signalling.sip.symbol import Symbol
from agent.signalling.sip.timers import earliest

TIMER: Final = "timer"
"The option tag."
MIN_SE: Final = 90
"Seconds; nobody may ask for less (section 5)."
MAX_INTERVAL: Final = 24 * 3600
"Seconds. Who asks for more wants no timer, and gets this one."

MAX_RAISED: Final = 4
"422s in a row: one of each proxy on the way, and of the peer."

Lines = tuple[tuple[str, str], ...]


class State(Symbol):
    """Who refreshes the session."""

    OFF = auto()
    "Nobody, nor does it expire."
    REFRESHER = auto()
    "We do."
    WATCHER = auto()
    "The peer does."


class Input(Symbol):
    """What can happen."""

    WE_REFRESH = auto()
    "That was agreed in a 2xx."
    PEER_REFRESHES = auto()
    NO_TIMER = auto()
    REFRESH_DUE = auto()
    EXPIRED = auto()


class Action(Symbol):
    """What to do about it."""

    NOTHING = auto()
    START = auto()
    REFRESH = auto()
    EXPIRE = auto()


# What is not in this table changes nothing.
TRANSITIONS: Final[Mapping[tuple[State, Input], tuple[Action, State]]] = {
    **{(state, Input.WE_REFRESH): (Action.START, State.REFRESHER) for state in State},
    **{(state, Input.PEER_REFRESHES): (Action.START, State.WATCHER) for state in State},
    **{(state, Input.NO_TIMER): (Action.NOTHING, State.OFF) for state in State},
    (State.REFRESHER, Input.REFRESH_DUE): (Action.REFRESH, State.REFRESHER),
    # Section 10: a refresh that got no answer is as good as none.
    (State.REFRESHER, Input.EXPIRED): (Action.EXPIRE, State.OFF),
    (State.WATCHER, Input.EXPIRED): (Action.EXPIRE, State.OFF),
}


@dataclass(frozen=True, slots=True)
class SessionExpires:
    """The header of that name (section 4)."""

    seconds: int
    refresher: str | None
    "`uac` or `uas` of the message's transaction."

    def __str__(self) -> str:
        if self.refresher is None:
            return str(self.seconds)
        return f"{self.seconds};refresher={self.refresher}"


def parse_session_expires(text: str) -> SessionExpires:
    """Parse the header's value; raises SipParseError."""
    seconds, semicolon, rest = text.partition(";")
    found = find_param(parse_params(semicolon + rest), "refresher")
    refresher = None if found is None else (found[1] or "").lower()
    if refresher not in {None, "uac", "uas"}:
        raise SipParseError("A session has no such refresher.")
    return SessionExpires(parse_delta_seconds(seconds), refresher)


class SavedTimer(msgspec.Struct, frozen=True, kw_only=True):
    """A timer of another process; times are monotonic."""

    state: State
    interval: int
    min_se: int
    raised: int
    refresh_at: float | None
    expires_at: float | None


class SessionTimer:
    """The timer of one session.

    `preferred` is the interval we ask for in seconds, 0 for no timers at all;
    `min_se` the smallest we take.
    """

    def __init__(self, *, preferred: int, min_se: int) -> None:
        self.state = State.OFF
        self.interval = 0
        "Seconds; 0 until one is agreed."
        self._preferred = preferred
        self._min_se = max(min_se, MIN_SE)
        self._raised = 0
        self._refresh_at: float | None = None
        self._expires_at: float | None = None

    # -- our requests -------------------------------------------------------------

    def request_lines(self) -> Lines:
        """What goes into an INVITE or UPDATE of ours (sections 7.1 and 7.4)."""
        if not self._preferred:
            return ()
        seconds = max(self.interval or self._preferred, self._min_se)
        refresher = _OURS_AS_UAC.get(self.state)
        lines = [("Session-Expires", str(SessionExpires(seconds, refresher)))]
        if self._raised or self._min_se > MIN_SE:
            lines.append(("Min-SE", str(self._min_se)))
        return tuple(lines)

    def answered(self, response: Response, now: float) -> None:
        """A 2xx to such a request (section 7.2)."""
        if not self._preferred:
            return
        agreed = _session_expires(response.headers)
        if agreed is None:
            # The peer knows no timers, or wants none: we refresh for ourselves.
            seconds = max(self.interval or self._preferred, self._min_se)
            self._step(Input.WE_REFRESH, seconds, now)
        else:
            theirs = agreed.refresher == "uas"
            input_ = Input.PEER_REFRESHES if theirs else Input.WE_REFRESH
            self._step(input_, max(agreed.seconds, MIN_SE), now)

    def too_small(self, response: Response) -> bool:
        """Take the Min-SE of a 422 (section 7.3); tells whether to try again."""
        least = _seconds(response.headers, "Min-SE")
        if least is None or not self._min_se < least <= MAX_INTERVAL:
            return False
        if self._raised >= MAX_RAISED:
            return False
        self._min_se = least
        self._raised += 1
        return True

    # -- the peer's requests ------------------------------------------------------

    def refusal(self, request: Request) -> Lines | None:
        """What a 422 to the peer's INVITE or UPDATE says; None: it deserves none.

        Section 9: only who knows session timers can be told.
        """
        wish = _session_expires(request.headers)
        if not self._preferred or wish is None or wish.seconds >= self._min_se:
            return None
        return (("Min-SE", str(self._min_se)),) if _knows_timers(request) else None

    def answer(self, request: Request, now: float) -> Lines:
        """What goes into our 2xx to the peer's INVITE or UPDATE (section 9).

        Require tells the peer that there is a timer: it must read that where it is
        to refresh itself, and should where it is to hang up when we do not.
        """
        if not self._preferred:
            return ()
        wish = _session_expires(request.headers)
        knows = _knows_timers(request)
        least = max(_seconds(request.headers, "Min-SE") or 0, self._min_se)
        seconds = max(self._preferred, least)
        refresher = "uas"
        if wish is not None and wish.seconds >= self._min_se:
            # Never more than was asked for, for a proxy may have asked.
            seconds = min(seconds, wish.seconds)
            if knows and wish.refresher == "uac":
                refresher = "uac"
        ours = refresher == "uas"
        input_ = Input.WE_REFRESH if ours else Input.PEER_REFRESHES
        self._step(input_, seconds, now)
        line = ("Session-Expires", str(SessionExpires(self.interval, refresher)))
        return (("Require", TIMER), line) if knows else (line,)

    # -- time -----------------------------------------------------------------------

    def stop(self) -> None:
        """The session is over."""
        self._step(Input.NO_TIMER, 0, 0.0)

    def get_timer(self) -> float | None:
        """When `handle_timer` wants to be called, if at all."""
        return earliest(self._refresh_at, self._expires_at)

    def handle_timer(self, now: float) -> Action:
        """What is due: REFRESH, EXPIRE or NOTHING."""
        if self._expires_at is not None and now >= self._expires_at:
            return self._step(Input.EXPIRED, 0, now)
        if self._refresh_at is not None and now >= self._refresh_at:
            return self._step(Input.REFRESH_DUE, self.interval, now)
        return Action.NOTHING

    def save(self) -> SavedTimer:
        """What another process goes on with."""
        return SavedTimer(
            state=self.state,
            interval=self.interval,
            min_se=self._min_se,
            raised=self._raised,
            refresh_at=self._refresh_at,
            expires_at=self._expires_at,
        )

    def restore(self, saved: SavedTimer) -> None:
        """Go on with what `save` returned."""
        self.state, self.interval = saved.state, saved.interval
        self._min_se, self._raised = saved.min_se, saved.raised
        self._refresh_at, self._expires_at = saved.refresh_at, saved.expires_at

    def _step(self, input_: Input, seconds: int, now: float) -> Action:
        action, self.state = TRANSITIONS[self.state, input_]
        if action is Action.START:
            self.interval = min(seconds, MAX_INTERVAL)
            # Section 10: slightly before, so that no proxy has forgotten it.
            margin = min(32.0, self.interval / 3)
            self._expires_at = now + self.interval - margin
            half = now + self.interval / 2
            self._refresh_at = half if self.state is State.REFRESHER else None
        elif action is Action.REFRESH:
            # In case that one fails.
            self._refresh_at = now + self.interval / 8
        else:
            self._refresh_at = self._expires_at = None
        return action


_OURS_AS_UAC: Final = {State.REFRESHER: "uac", State.WATCHER: "uas"}


def _knows_timers(request: Request) -> bool:
    return TIMER in request.supported or TIMER in request.require


def _session_expires(headers: Headers) -> SessionExpires | None:
    """None also for one that makes no sense: a call is worth more than its timer."""
    value = headers.get("Session-Expires")
    if value is None:
        return None
    try:
        return parse_session_expires(value)
    except SipParseError:
        return None


def _seconds(headers: Headers, name: str) -> int | None:
    value = headers.get(name)
    if value is None:
        return None
    try:
        return parse_delta_seconds(value)
    except SipParseError:
        return None
