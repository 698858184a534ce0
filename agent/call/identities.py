"""Who is at the other end of an officer's leg, as its peer says while the call lasts.

RFC 4916: a PBX tells of a queue that hands the call to an agent, of a transfer inside
it, of a call taken elsewhere, in the P-Asserted-Identity of a 200, a re-INVITE or an
UPDATE, or by another From. Only a trusted peer is believed (RFC 3325 section 5).
"""

from collections import deque
from typing import Final

from agent.call.joint import Joint
from agent.call.leg import Leg
from agent.call.routing import Plan
from agent.identity.tags import asserted_number
from agent.signalling.sip.message import Request, Response

MAX_CHANGES: Final = 10
CHANGES_WITHIN: Final = 60.0
"""So many changes in so many seconds are followed, each by a segment of its own: more
is a peer gone wrong, and would cost a key pair, a journal and two objects each."""


class Identities:
    """Takes note of what peers say of their officers."""

    def __init__(self, joint: Joint, *, call_id: str, plan: Plan) -> None:
        self._joint = joint
        self._follows = plan.route.officer_answer == "connected-identity"
        self._changes: deque[float] = deque(maxlen=MAX_CHANGES)
        "When the last ones were."
        self._too_many = False
        self._log = joint.log.bind(call_id=call_id)

    def answered(self, leg: Leg, response: Response) -> bool:
        """A leg has been answered: is an officer there?

        Whoever answers is one, unless the route waits for the peer to say so.
        """
        if (number := self._news(leg, response)) is not None:
            leg.number = number
        return not self._follows or self._joint.is_officer(leg.number)

    def changed(self, leg: Leg, message: Request | Response) -> bool | None:
        """Whether somebody else is there now, and an officer; None: nobody new.

        Nor is anybody if the peer says so too often: the segment goes on as it is.
        """
        number = self._news(leg, message)
        if number is None or not self._may_follow():
            return None
        leg.number = number
        officer = self._joint.is_officer(leg.number)
        self._log.info("identity_changed", leg=leg.name, officer=officer)
        return officer

    def _said(self, leg: Leg, message: Request | Response) -> str | None:
        """The number a message gives; None if it says nothing of it."""
        if not leg.trusted:
            return None
        config = self._joint.identity
        number = asserted_number(message, config=config)
        if isinstance(message, Request):
            user = message.from_.uri.user or ""
            if user and user != leg.from_user:
                leg.from_user = user
                number = number or user
        return number

    def _may_follow(self) -> bool:
        """Count one more change; alarms once if there are too many."""
        now = self._joint.user_agent.now
        if len(self._changes) < MAX_CHANGES or now - self._changes[0] > CHANGES_WITHIN:
            self._changes.append(now)
            return True
        if not self._too_many:
            self._too_many = True
            self._log.error("identity_changes_too_often", limit=MAX_CHANGES)
        return False

    def _news(self, leg: Leg, message: Request | Response) -> str | None:
        """The number of who is there now, if it is news.

        A peer that asserts its own trunk or queue number does not thereby say that
        the officer has gone, unless the route says that it does.
        """
        number = self._said(leg, message)
        if number is None or (not self._follows and not self._joint.is_officer(number)):
            return None
        return None if self._same(number, leg.number) else number

    def _same(self, one: str, other: str) -> bool:
        lookup = self._joint.directory().lookup
        entry = lookup(one)
        return one == other or (entry is not None and entry == lookup(other))
