"""Who may offer when: RFC 3261 section 14, RFC 3262 section 5, RFC 3311, RFC 6141.

Knows nothing of messages: the session sends what this allows.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import auto
from typing import Final

import msgspec

from agent.signalling.sip.errors import LocalSipError
from agent.signalling.sip.symbol import Symbol

MAX_GLARES: Final = 6
"""How often one offer is sent before 491 is taken for an answer.

Two ends that draw their delays honestly need a second attempt; who says 491 for
ever would keep us sending.
"""


class State(Symbol):
    """Where offer and answer stand."""

    EXPECTING = auto()
    "The INVITE had no offer, and none has come since."
    STABLE = auto()
    OFFERING = auto()
    "Our offer in an INVITE or UPDATE has no answer."
    ANSWERING = auto()
    "The peer's offer has none."
    AWAITING_ANSWER = auto()
    "Our offer stands in a response, the answer will come in the ACK or PRACK."


class Input(Symbol):
    """What can happen."""

    OFFER = auto()
    RECV_OFFER = auto()
    RECV_OFFER_IN_RESPONSE = auto()
    "To an INVITE of ours that had none."
    RECV_ANSWER = auto()
    RECV_491 = auto()
    "Or anything else that asks to try again."
    RECV_FAILURE = auto()
    ANSWER = auto()
    "We answer the peer's offer, or refuse it, or it is withdrawn."
    ANSWER_WITH_OFFER = auto()
    RECV_ACK = auto()


class Action(Symbol):
    """What to do about it."""

    NOTHING = auto()
    SEND = auto()
    PASS = auto()
    REFUSE_491 = auto()
    REFUSE_500 = auto()
    BACK_OFF = auto()


# What is not in this table is not allowed and changes nothing.
TRANSITIONS: Final[Mapping[tuple[State, Input], tuple[Action, State]]] = {
    # RFC 3311 section 5.1: an UPDATE cannot hold the first offer.
    (State.EXPECTING, Input.RECV_OFFER): (Action.REFUSE_500, State.EXPECTING),
    (State.EXPECTING, Input.RECV_OFFER_IN_RESPONSE): (Action.PASS, State.ANSWERING),
    (State.EXPECTING, Input.RECV_ANSWER): (Action.PASS, State.STABLE),
    (State.EXPECTING, Input.ANSWER): (Action.NOTHING, State.STABLE),
    (State.EXPECTING, Input.ANSWER_WITH_OFFER): (
        Action.NOTHING,
        State.AWAITING_ANSWER,
    ),
    (State.STABLE, Input.OFFER): (Action.SEND, State.OFFERING),
    (State.STABLE, Input.RECV_OFFER): (Action.PASS, State.ANSWERING),
    (State.OFFERING, Input.RECV_OFFER): (Action.REFUSE_491, State.OFFERING),
    (State.OFFERING, Input.RECV_ANSWER): (Action.PASS, State.STABLE),
    (State.OFFERING, Input.RECV_491): (Action.BACK_OFF, State.STABLE),
    (State.OFFERING, Input.RECV_FAILURE): (Action.PASS, State.STABLE),
    # Section 14.2: a second INVITE before the first is answered.
    (State.ANSWERING, Input.RECV_OFFER): (Action.REFUSE_500, State.ANSWERING),
    (State.ANSWERING, Input.ANSWER): (Action.NOTHING, State.STABLE),
    (State.ANSWERING, Input.ANSWER_WITH_OFFER): (
        Action.NOTHING,
        State.AWAITING_ANSWER,
    ),
    # RFC 5407 section 3.1.5.
    (State.AWAITING_ANSWER, Input.RECV_OFFER): (
        Action.REFUSE_491,
        State.AWAITING_ANSWER,
    ),
    (State.AWAITING_ANSWER, Input.RECV_ACK): (Action.NOTHING, State.STABLE),
}


@dataclass(frozen=True, slots=True)
class Offer:
    """A session description to offer, and headers to go with it."""

    body: bytes
    headers: tuple[tuple[str, str], ...] = ()
    update: bool = False
    "Whether an UPDATE is to carry it where the peer takes any."
    refresh: bool = False
    "It changes nothing, and the application has not asked for it."


@dataclass(frozen=True, slots=True)
class Refresh:
    """What an UPDATE without an offer says."""

    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    "No description."
    content_type: str = ""


class SavedNegotiation(msgspec.Struct, frozen=True, kw_only=True):
    """Where another process stood with its offers."""

    state: State
    wanted: Offer | None
    sent: Offer | None
    glares: int
    not_before: float | None


class Renegotiation:
    """Offers of both ends, one at a time.

    `owns_call_id`: we sent the first INVITE, which decides who of two that offered
    at once tries again first.
    """

    def __init__(
        self, *, owns_call_id: bool, rng: random.Random, state: State = State.STABLE
    ) -> None:
        self.state = state
        self._owns_call_id = owns_call_id
        self._rng = rng
        self._wanted: Offer | None = None
        self._sent: Offer | None = None
        self._glares = 0
        self._not_before: float | None = None

    @property
    def offers(self) -> bool:
        """Whether a change that we want awaits its turn, or its answer."""
        sent = self._sent if self.state is State.OFFERING else None
        return any(one and not one.refresh for one in (self._wanted, sent))

    def want(self, offer: Offer) -> None:
        """Have `offer` sent as soon as it may be, instead of one not yet sent."""
        self._wanted = offer
        self._glares = 0

    def want_with(self, headers: tuple[tuple[str, str], ...], body: bytes) -> None:
        """Have `headers` sent with the offer that waits, or one of `body`.

        That one changes nothing, and the application has not asked for it.
        """
        waiting = self._wanted
        if waiting is None:
            self.want(Offer(body, headers, refresh=True))
        else:
            self._wanted = replace(waiting, headers=(*waiting.headers, *headers))

    def take_due(self, now: float) -> Offer | None:
        """The offer to send now, if there is one and it may go."""
        offer = self._wanted
        if offer is None or self.state is not State.STABLE:
            return None
        if self._not_before is not None and now < self._not_before:
            return None
        self._step(Input.OFFER)
        self._wanted = self._not_before = None
        self._sent = offer
        return offer

    def answered(self) -> None:
        """Our offer has its answer."""
        self._step(Input.RECV_ANSWER)

    def refused(self, status: int, now: float, *, after: float | None = None) -> bool:
        """Our offer failed; tells whether it will be tried again.

        `after`: seconds that the peer has asked us to wait, for it has an offer of
        ours already (section 14.2). 0 for at once, without counting it.
        """
        self._glares += after != 0
        again = (status == 491 or after is not None) and self._glares < MAX_GLARES
        self._step(Input.RECV_491 if again else Input.RECV_FAILURE)
        if not again:
            return False
        if self._wanted is None:
            self._wanted = self._sent
        if after is None:
            # Section 14.1: in units of 10 ms.
            first, last = (210, 400) if self._owns_call_id else (0, 200)
            after = self._rng.randint(first, last) / 100
        self._not_before = now + after
        return True

    def receive_offer(self) -> int | None:
        """The peer offers: None to pass it on, else the status that refuses it."""
        action = self._step(Input.RECV_OFFER)
        return _VERDICTS.get(action)

    def receive_offer_in_response(self) -> None:
        """The peer offers in a response to an INVITE that had no offer."""
        self._step(Input.RECV_OFFER_IN_RESPONSE)

    def answer(self, *, with_offer: bool) -> None:
        """The peer's request is done with; `with_offer`: the ACK must answer."""
        self._step(Input.ANSWER_WITH_OFFER if with_offer else Input.ANSWER)

    def acknowledged(self) -> None:
        """The ACK has come for our latest 2xx, or the PRACK for our 1xx."""
        if self.state is State.AWAITING_ANSWER:
            self._step(Input.RECV_ACK)

    def save(self) -> SavedNegotiation:
        """What another process goes on with."""
        return SavedNegotiation(
            state=self.state,
            wanted=self._wanted,
            sent=self._sent,
            glares=self._glares,
            not_before=self._not_before,
        )

    def restore(self, saved: SavedNegotiation) -> None:
        """Go on with what `save` returned."""
        self.state = saved.state
        self._wanted, self._sent = saved.wanted, saved.sent
        self._glares, self._not_before = saved.glares, saved.not_before

    def get_timer(self) -> float | None:
        """When an offer that met another may be tried again."""
        return self._not_before if self.state is State.STABLE else None

    def _step(self, input_: Input) -> Action:
        entry = TRANSITIONS.get((self.state, input_))
        if entry is None:
            raise LocalSipError(f"{input_.name} is not allowed in {self.state.name}.")
        action, self.state = entry
        return action


_VERDICTS: Final = {Action.REFUSE_491: 491, Action.REFUSE_500: 500}
