"""REFERs of the peer, and the subscription each of them makes: RFC 3515, RFC 4488.

The application says how far the reference has come, and the peer hears of it in
NOTIFYs, one at a time so that none overtakes another.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import auto
from typing import Final

from agent.signalling.sip.errors import LocalSipError, SipParseError
from agent.signalling.sip.events import ReferReceived
from agent.signalling.sip.headers import parse_delta_seconds
from agent.signalling.sip.inspection import ALLOW_EVENTS
from agent.signalling.sip.link import Link
from agent.signalling.sip.message import REASONS, Request
from agent.signalling.sip.replaces import replaces_in
from agent.signalling.sip.symbol import Symbol
from agent.signalling.sip.uri import parse_name_addr

SIPFRAG: Final = "message/sipfrag;version=2.0"
EXPIRES: Final = 600.0
"Seconds of a subscription: longer than any target rings."
MAX_REFERRALS: Final = 4
"Open ones of one dialog; a phone has one."


class State(Symbol):
    """Where one REFER stands."""

    PENDING = auto()
    "It has no final response."
    ACTIVE = auto()
    "The peer is subscribed to what becomes of it."
    TERMINATED = auto()


class Input(Symbol):
    """What can happen to it."""

    ACCEPT = auto()
    ACCEPT_UNSUBSCRIBED = auto()
    "The peer has asked not to be notified (RFC 4488)."
    REFUSE = auto()
    PROGRESS = auto()
    FINISH = auto()
    RECV_SUBSCRIBE = auto()
    RECV_UNSUBSCRIBE = auto()
    EXPIRE = auto()
    LOST = auto()
    "The peer has no subscription, or cannot be reached."


class Action(Symbol):
    """What it does about it."""

    NOTHING = auto()
    ACCEPT = auto()
    ACCEPT_UNSUBSCRIBED = auto()
    REFUSE = auto()
    NOTIFY = auto()
    RENEW = auto()
    CLOSE = auto()
    "Notify, with the reason `timeout`."


# What is not in this table is not allowed and changes nothing.
TRANSITIONS: Final[Mapping[tuple[State, Input], tuple[Action, State]]] = {
    (State.PENDING, Input.ACCEPT): (Action.ACCEPT, State.ACTIVE),
    (State.PENDING, Input.ACCEPT_UNSUBSCRIBED): (
        Action.ACCEPT_UNSUBSCRIBED,
        State.TERMINATED,
    ),
    (State.PENDING, Input.REFUSE): (Action.REFUSE, State.TERMINATED),
    (State.PENDING, Input.LOST): (Action.NOTHING, State.TERMINATED),
    (State.ACTIVE, Input.PROGRESS): (Action.NOTIFY, State.ACTIVE),
    (State.ACTIVE, Input.FINISH): (Action.NOTIFY, State.TERMINATED),
    (State.ACTIVE, Input.RECV_SUBSCRIBE): (Action.RENEW, State.ACTIVE),
    (State.ACTIVE, Input.RECV_UNSUBSCRIBE): (Action.CLOSE, State.TERMINATED),
    (State.ACTIVE, Input.EXPIRE): (Action.CLOSE, State.TERMINATED),
    (State.ACTIVE, Input.LOST): (Action.NOTHING, State.TERMINATED),
}


@dataclass(slots=True, eq=False)
class Referral:
    """One REFER, and its subscription."""

    key: str
    request: Request
    event: str
    "The value of Event in its NOTIFYs."
    state: State = State.PENDING
    status: int = 100
    "How far the reference has come."
    reason: str = "noresource"
    "Why it is over, in the words of RFC 6665 section 4.1.3."
    expires: float = 0.0
    notify: str = ""
    "The transaction of a NOTIFY on its way."
    news: bool = False
    "There is something that the peer was not told."

    def step(self, input_: Input) -> Action | None:
        """Go where the table says, and return the action; None: nowhere."""
        entry = TRANSITIONS.get((self.state, input_))
        if entry is None:
            return None
        action, self.state = entry
        return action

    @property
    def open(self) -> bool:
        """Whether something of it is still to be sent or heard."""
        return self.state is not State.TERMINATED or self.news or bool(self.notify)


class Referrals:
    """The REFERs of one session, by the transactions they came in."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._all: dict[str, Referral] = {}
        self._count = 0

    def __len__(self) -> int:
        """How many are not done with; they outlive the call (RFC 5057)."""
        return len(self._all)

    # -- what the peer sends ----------------------------------------------------

    def receive(self, key: str, request: Request, now: float) -> None:
        """A REFER: refuse it, or ask the application."""
        values = request.headers.get_all("Refer-To")
        try:
            # Section 2.4.2: exactly one.
            (value,) = values
            refer_to = parse_name_addr(value)
            replaces = replaces_in(refer_to.uri)
        except (ValueError, SipParseError):
            self._link.respond(key, request, 400, now)
            return
        if len(self._all) >= MAX_REFERRALS:
            self._link.respond(key, request, 500, now)
            return
        # Section 2.4.6: only the first may do without an id.
        event = f"refer;id={request.cseq.number}" if self._count else "refer"
        self._count += 1
        self._all[key] = Referral(key, request, event)
        self._link.take(key)
        referred_by = request.headers.get("Referred-By")
        self._link.emit(
            ReferReceived(self._link.id, key, refer_to, replaces, referred_by, request)
        )

    def receive_subscribe(self, key: str, request: Request, now: float) -> None:
        """A SUBSCRIBE in the dialog: only to what a REFER has begun (section 2.4.4)."""
        event = _normal(request.headers.get("Event") or "")
        if event.partition(";")[0] != "refer":
            self._link.respond(key, request, 489, now, headers=(ALLOW_EVENTS,))
            return
        found = next(
            (
                one
                for one in self._all.values()
                if one.state is State.ACTIVE
                and event in {one.event, f"refer;id={one.request.cseq.number}"}
            ),
            None,
        )
        if found is None:
            self._link.respond(key, request, 403, now)
            return
        seconds = EXPIRES
        if (wish := request.headers.get("Expires")) is not None:
            try:
                seconds = min(seconds, parse_delta_seconds(wish))
            except SipParseError:
                self._link.respond(key, request, 400, now)
                return
        answer = (("Expires", f"{seconds:.0f}"), *self._link.target_lines)
        self._link.respond(key, request, 200, now, headers=answer)
        found.expires = now + seconds
        self._do(
            found, Input.RECV_SUBSCRIBE if seconds else Input.RECV_UNSUBSCRIBE, now
        )

    # -- what the application says ----------------------------------------------

    def accept(self, key: str, now: float) -> None:
        """Answer 202, and say that it is being tried."""
        if (found := self._all.get(key)) is not None:
            wish = found.request.headers.get("Refer-Sub") or ""
            unwanted = wish.partition(";")[0].strip(" \t").lower() == "false"
            self._do(
                found, Input.ACCEPT_UNSUBSCRIBED if unwanted else Input.ACCEPT, now
            )

    def refuse(self, key: str, status: int, now: float) -> None:
        """Answer it with that status. Raises LocalSipError if it is no refusal."""
        if not 300 <= status < 700:
            raise LocalSipError("A refusal is a 300-699.")
        if (found := self._all.get(key)) is not None:
            found.status = status
            self._do(found, Input.REFUSE, now)

    def notify(self, key: str, status: int, now: float) -> None:
        """Tell the peer how far it has come. Raises LocalSipError for no status."""
        if not 100 <= status < 700:
            raise LocalSipError("A status is a 100-699.")
        found = self._all.get(key)
        if found is not None and found.state is State.ACTIVE:
            found.status = status
            self._do(found, Input.PROGRESS if status < 200 else Input.FINISH, now)

    def abandon(self, now: float) -> None:
        """The call is over: what has no answer gets one."""
        for found in list(self._all.values()):
            if found.state is State.PENDING:
                found.status = 487
                self._do(found, Input.REFUSE, now)

    # -- what becomes of our NOTIFYs --------------------------------------------

    def notified(self, key: str, status: int, now: float) -> bool:
        """A final response in a transaction; tells whether it was a NOTIFY's."""
        found = next((one for one in self._all.values() if one.notify == key), None)
        if found is None:
            return False
        found.notify = ""
        if status >= 300:
            # RFC 6665 section 4.2.2: whatever it says, it is of no use to go on.
            found.news = False
            self._do(found, Input.LOST, now)
        self._go_on(found, now)
        return True

    def failed(self, key: str, status: int, now: float) -> bool:
        """A transaction has failed; tells whether it was one of a referral."""
        if self.notified(key, status, now):
            return True
        found = self._all.get(key)
        if found is None or found.state is not State.PENDING:
            return False
        self._do(found, Input.LOST, now)
        return True

    # -- time -------------------------------------------------------------------

    def save(self) -> tuple[tuple[Referral, ...], int]:
        """What another process goes on with: the open ones, and how many there were."""
        return tuple(self._all.values()), self._count

    def restore(self, saved: tuple[tuple[Referral, ...], int]) -> None:
        """Go on with what `save` returned."""
        self._all = {one.key: one for one in saved[0]}
        self._count = saved[1]

    def get_timer(self) -> float | None:
        """When `handle_timer` wants to be called, if at all."""
        return min(
            (one.expires for one in self._all.values() if one.state is State.ACTIVE),
            default=None,
        )

    def handle_timer(self, now: float) -> None:
        """End the subscriptions that have lasted too long."""
        for found in list(self._all.values()):
            if found.state is State.ACTIVE and now >= found.expires:
                self._do(found, Input.EXPIRE, now)

    def _do(self, found: Referral, input_: Input, now: float) -> None:
        action = found.step(input_)
        link = self._link
        if action is Action.ACCEPT:
            found.expires = now + EXPIRES
            link.respond(found.key, found.request, 202, now, headers=link.target_lines)
        elif action is Action.ACCEPT_UNSUBSCRIBED:
            lines = (("Refer-Sub", "false"), *link.target_lines)
            link.respond(found.key, found.request, 202, now, headers=lines)
        elif action is Action.REFUSE:
            link.respond(found.key, found.request, found.status, now)
        elif action is Action.CLOSE:
            found.reason = "timeout"
        found.news |= action in _NOTIFYING
        self._go_on(found, now)

    def _go_on(self, found: Referral, now: float) -> None:
        """Send what is new, as soon as the last NOTIFY has its answer."""
        if found.news and not found.notify:
            found.news = False
            reason = REASONS.get(found.status, "Unknown")
            found.notify = self._link.send(
                "NOTIFY",
                now,
                headers=(("Event", found.event), _subscription_state(found, now)),
                body=f"SIP/2.0 {found.status} {reason}\r\n".encode(),
                content_type=SIPFRAG,
            )
        if not found.open:
            self._all.pop(found.key, None)


_NOTIFYING: Final = frozenset(
    {Action.ACCEPT, Action.NOTIFY, Action.RENEW, Action.CLOSE}
)


def _normal(event: str) -> str:
    return event.replace(" ", "").replace("\t", "").lower()


def _subscription_state(found: Referral, now: float) -> tuple[str, str]:
    if found.state is State.ACTIVE:
        value = f"active;expires={max(found.expires - now, 0):.0f}"
    else:
        value = f"terminated;reason={found.reason}"
    return "Subscription-State", value
