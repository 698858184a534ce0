"""Requests outside dialogs: who may send them, and what they are answered.

RFC 3261 section 8.2.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from agent.signalling.sip.errors import SipParseError
from agent.signalling.sip.events import InviteReceived, SessionId
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.inspection import Refusal, inspect_new, inspect_security
from agent.signalling.sip.merged import RecentRequests
from agent.signalling.sip.message import Request, outweighs, response_to
from agent.signalling.sip.multipart import with_description_only
from agent.signalling.sip.replaces import REPLACES, parse_replaces, verdict
from agent.signalling.sip.session_table import SessionTable
from agent.signalling.sip.session_timer import SessionTimer
from agent.signalling.sip.transaction import layer as transaction
from agent.signalling.sip.transaction_user import Lines, TransactionUser
from agent.signalling.sip.uas import UasSession

DROP: Final = transaction.DROP
"What an admission answers to have a request ignored."
MAX_GAIN: Final = 3
"""Times as large as its request may a challenge by UDP be, as in RFC 9000 section 8.1.

One with three algorithms has 600 octets and more, a request of a telephone 300: one
that is smaller was made to have us send more than its sender did.
"""


@dataclass(frozen=True, slots=True)
class Beginning:
    """What began a dialog."""

    invite: Request
    flow: Flow
    "Where its peer was then."


Admit = Callable[[Request, Flow], int | None]
Authenticate = Callable[[Request, Flow, Beginning | None, float], Refusal | None]


class Reception:
    """Turns new requests away, answers them, or makes sessions of them.

    `admit` is asked about each before it costs anything: None lets it in, a status
    refuses it, DROP ignores it. Of a request that could not be parsed it sees what
    could.

    `authenticate` is asked about each that was admitted, and about each new request
    in a dialog together with what began it: None takes its sender's word, a refusal is
    the answer.
    """

    def __init__(
        self,
        user: TransactionUser,
        sessions: SessionTable,
        *,
        admit: Admit | None,
        authenticate: Authenticate | None = None,
        max_sessions: int,
        is_emergency: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._user = user
        self._sessions = sessions
        self._judge = admit
        self._authenticate = authenticate
        self._max_sessions = max_sessions
        self._is_emergency = is_emergency
        self._recent = RecentRequests(user.timers.b)

    def admit(self, request: Request, flow: Flow, now: float) -> int | None:
        """Whether a new request may have a transaction, for the layer to ask.

        None: it may; else the status that refuses it, or DROP.
        """
        in_dialog = request.to.tag is not None
        session = self._sessions.of_message(request) if in_dialog else None
        verdict = None
        if session is None:
            verdict = None if self._judge is None else self._judge(request, flow)
            if verdict is None and in_dialog:
                verdict = 481
        if verdict is None and self._authenticate is not None:
            beginning = (
                None if session is None else Beginning(session.invite, session.flow)
            )
            refusal = self._authenticate(request, flow, beginning, now)
            if refusal is not None:
                self._refuse(refusal, request, flow, now)
                verdict = DROP
        if verdict is not None:
            self._user.stats.rejected += 1
        return verdict

    def _refuse(
        self, refusal: Refusal, request: Request, flow: Flow, now: float
    ) -> None:
        """Answer without a transaction, for a challenge shall cost us nothing."""
        if refusal.status == DROP:
            return
        # Section 8.2.7: the same for each retransmission. The hash is keyed.
        name = hash((request.call_id, request.from_.tag, request.cseq.number))
        response = response_to(
            request,
            refusal.status,
            to_tag=f"{name & 2**64 - 1:016x}",
            headers=refusal.headers,
        )
        if not flow.reliable and outweighs(response, request, MAX_GAIN):
            self._user.stats.larger_challenges += 1
            return
        self._user.send_stateless(response, flow, now)

    def answer_unparsable(self, error: SipParseError, flow: Flow, now: float) -> None:
        """Answer what was no SIP, if it can be answered and its sender may know."""
        request = error.partial
        if request is None:
            return
        status = error.status
        try:
            verdict = None if self._judge is None else self._judge(request, flow)
        except SipParseError:
            # It looked at what was broken, and so has no opinion.
            verdict = DROP
        if verdict == DROP:
            return
        response = response_to(request, verdict or status, to_tag=self._user.new_tag())
        if verdict is not None and not flow.reliable and outweighs(response, request):
            return  # who forges a source must gain nothing by it
        self._user.send_stateless(response, flow, now)

    def receive(self, event: transaction.RequestReceived, now: float) -> None:
        """Take a request that was admitted and belongs to no session."""
        request = with_description_only(event.request)
        refusal = inspect_new(
            request,
            allow=self._user.allow,
            accept=self._user.accept,
            supported=self._user.extensions,
        )
        if refusal is None and not self._is_emergency(request.uri.user or ""):
            refusal = inspect_security(request, event.flow)
        replaced: SessionId | None = None
        if refusal is None and request.method == "INVITE":
            refusal = self._inspect_invite(request, now)
            if refusal is None and REPLACES in self._user.extensions:
                refusal, replaced = self._inspect_replaces(request)
        if refusal is not None:
            self._user.stats.rejected += 1
            self._respond(event, refusal.status, refusal.headers, now)
        elif request.method == "OPTIONS":
            self._respond(event, 200, self._user.capabilities, now)
        else:
            session = UasSession(
                self._user.new_session(), self._user, event.key, request, event.flow
            )
            self._user.assign(event.key, session.id)
            self._user.own(event.key, session.id)
            self._sessions.add(session)
            self._user.emit(InviteReceived(session.id, request, event.flow, replaced))

    def _inspect_invite(self, request: Request, now: float) -> Refusal | None:
        own = self._sessions.of_dialog(request.call_id, request.from_.tag)
        # Only when it asks for the same user is it a loop; else it is a spiral,
        # which is legitimate (RFC 5393).
        if own is not None and own.invite.uri.user == request.uri.user:
            return Refusal(482)
        if self._recent.is_merged(request, now):
            return Refusal(482)
        if self._is_emergency(request.uri.user or ""):
            return None
        timer = SessionTimer(
            preferred=self._user.session_expires, min_se=self._user.min_se
        )
        if (too_small := timer.refusal(request)) is not None:
            return Refusal(422, too_small)
        if self._sessions.open >= self._max_sessions:
            return Refusal(503, (self._user.retry_after(),))
        return None

    def _inspect_replaces(
        self, request: Request
    ) -> tuple[Refusal | None, SessionId | None]:
        """What RFC 3891 section 3 says of it; the session that it may replace."""
        values = request.headers.get_all("Replaces")
        if not values:
            return None, None
        if len(values) > 1 or "Join" in request.headers:
            return Refusal(400), None
        try:
            replaces = parse_replaces(values[0])
        except SipParseError:
            return Refusal(400), None
        found = self._sessions.named_by(replaces)
        status = 481 if found is None else verdict(replaces, found.state)
        if status is not None or found is None:
            return Refusal(status or 481), None
        return None, found.id

    def _respond(
        self,
        event: transaction.RequestReceived,
        status: int,
        headers: Lines,
        now: float,
    ) -> None:
        tag = self._user.new_tag()
        self._user.respond(
            event.key, event.request, status, now, to_tag=tag, headers=headers
        )
