"""A SIP user agent without sockets: calls made and taken, OPTIONS answered.

RFC 3261 above the transaction layer. The caller feeds datagrams and time, then takes
`next_event` until None and `data_to_send`, and calls `handle_timer` when `get_timer`
says.
"""

import random
from collections.abc import Callable, Collection, Iterable
from typing import Final

from agent.model.media import Address
from agent.signalling.sip.authorization import (
    AuthorizationStats,
    Authorizer,
    CredentialsFor,
)
from agent.signalling.sip.commands import Commands
from agent.signalling.sip.dialog import SDP
from agent.signalling.sip.errors import SipParseError
from agent.signalling.sip.events import (
    Accepted,
    Acknowledged,
    Cancelled,
    Ended,
    EndReason,
    Event,
    InformAnswered,
    InviteReceived,
    OfferAnswered,
    OfferReceived,
    OfferRefused,
    Progressed,
    ProvisionalAcknowledged,
    ReferReceived,
    RefreshAnswered,
    Refused,
    RequestAnswered,
    RequestInDialog,
    SessionId,
    TargetRefreshed,
)
from agent.signalling.sip.flow import Flow, Served
from agent.signalling.sip.inspection import WITH_OFFER
from agent.signalling.sip.limits import UNLIMITED, LimitsOf
from agent.signalling.sip.message import Request
from agent.signalling.sip.multipart import with_description_only
from agent.signalling.sip.outages import Outages
from agent.signalling.sip.parser import parse_message
from agent.signalling.sip.reception import (
    DROP,
    Admit,
    Authenticate,
    Beginning,
    Reception,
)
from agent.signalling.sip.resending import Resending
from agent.signalling.sip.session import Session
from agent.signalling.sip.session_timer import MIN_SE
from agent.signalling.sip.state import SavedUac, SessionState
from agent.signalling.sip.timers import DEFAULT_TIMERS, Timers, earliest
from agent.signalling.sip.transaction import layer as transaction
from agent.signalling.sip.transaction_user import TransactionUser, UserAgentStats
from agent.signalling.sip.uac import UacSession
from agent.signalling.sip.uas import UasSession

__all__ = [
    "ALLOW",
    "DROP",
    "Accepted",
    "Acknowledged",
    "Beginning",
    "Cancelled",
    "EndReason",
    "Ended",
    "Event",
    "InformAnswered",
    "InviteReceived",
    "OfferAnswered",
    "OfferReceived",
    "OfferRefused",
    "Progressed",
    "ProvisionalAcknowledged",
    "ReferReceived",
    "RefreshAnswered",
    "Refused",
    "RequestAnswered",
    "RequestInDialog",
    "SessionId",
    "TargetRefreshed",
    "UserAgentCore",
    "UserAgentStats",
]

ALLOW: Final = (
    *("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS"),
    *("INFO", "UPDATE", "PRACK", "REFER", "SUBSCRIBE"),
)
"Methods that are understood."
_OF_REQUESTS_OF_OURS: Final = (
    transaction.ResponseReceived,
    transaction.TransactionFailed,
)
"Events that may lead to a request being sent again, or elsewhere."


class UserAgentCore(Commands):
    """All sessions of one user agent, over all its flows.

    `admit` is asked about each new request outside dialogs, before it costs
    anything: None lets it in, a status refuses it, DROP ignores it. Of a request
    that could not be parsed it sees what could. Requests of the methods in
    `pass_up` that arrive in a dialog become RequestInDialog; of the others INFO is
    answered 200 and forgotten.

    `authenticate` is asked about each that was admitted, and about each new request
    in a dialog together with what began it: a refusal, such as a 401 with its
    challenges, is the answer. `credentials_for` tells what the peer behind a flow
    knows us by: its challenges are answered before anybody hears of them.

    `session_expires` is the interval of the session timer that we ask for, in
    seconds; 0 asks for none. `min_se` is the smallest that a peer may ask for.

    `rng` makes the tags and Call-IDs that keep others out of a dialog, so it had
    better be a random.SystemRandom wherever a peer may be hostile: the outputs of
    any other tell the next ones.
    """

    def __init__(
        self,
        *,
        rng: random.Random,
        timers: Timers = DEFAULT_TIMERS,
        product: str,
        allow: tuple[str, ...] = ALLOW,
        supported: tuple[str, ...] = (),
        understood: tuple[str, ...] = (),
        accepts: tuple[str, ...] = (SDP,),
        session_expires: int = 0,
        min_se: int = MIN_SE,
        pass_up: Collection[str] = (),
        max_sessions: int = 5000,
        max_transactions: int = 20000,
        admit: Admit | None = None,
        authenticate: Authenticate | None = None,
        credentials_for: CredentialsFor | None = None,
        limits_of: LimitsOf = lambda _: UNLIMITED,
        is_emergency: Callable[[str], bool] = lambda _: False,
        in_emergency: Callable[[str], bool] = lambda _: False,
        session_names: str = "s",
    ) -> None:
        """`supported` are the option tags that we name, `understood` such as we do not.

        A peer may require all of them. `accepts` are the media types of bodies.

        `session_names` is how the names of new sessions begin.

        A core that goes on where another stood needs other names than that had: what
        is over leaves no state, and so nothing that would keep its name.
        """
        self._pass_up = frozenset(pass_up)
        self._layer = transaction.TransactionLayer(
            rng=rng,
            timers=timers,
            max_transactions=max_transactions,
            admit=self._admit,
            limits_of=limits_of,
            is_emergency=is_emergency,
            in_emergency=in_emergency,
        )
        self._authorizer = (
            None if credentials_for is None else Authorizer(credentials_for, rng)
        )
        user = TransactionUser(
            self._layer,
            resending=Resending(self._layer, self._authorizer),
            rng=rng,
            timers=timers,
            product=product,
            allow=allow,
            supported=supported,
            understood=understood,
            accepts=accepts,
            session_expires=session_expires,
            min_se=min_se,
            session_names=session_names,
        )
        super().__init__(user)
        self._touched: set[SessionId] = set()
        self._reception = Reception(
            user,
            self._sessions,
            admit=admit,
            authenticate=authenticate,
            max_sessions=max_sessions,
            is_emergency=is_emergency,
        )

    @property
    def outages(self) -> Outages:
        """Places where nothing answered lately."""
        return self._user.resending.outages

    def serve(self, listeners: Iterable[tuple[str, Address]]) -> None:
        """Requests may go out by these transports, from these addresses of ours."""
        self._user.resending.served = Served(listeners)

    @property
    def accepted(self) -> tuple[str, str]:
        """The header that says what bodies we can make something of."""
        return self._user.accept

    @property
    def stats(self) -> UserAgentStats:
        return self._user.stats

    @property
    def transaction_stats(self) -> transaction.TransactionStats:
        return self._layer.stats

    @property
    def authorization_stats(self) -> AuthorizationStats | None:
        """Of our own credentials; None without any."""
        return None if self._authorizer is None else self._authorizer.stats

    # -- network and time -------------------------------------------------------

    def receive(self, data: bytes, flow: Flow, now: float) -> None:
        """Take one datagram, or what a stream was cut into, whatever it is."""
        self.stats.received += 1
        try:
            message = parse_message(data, stream=flow.reliable)
        except SipParseError as error:
            self.stats.parse_errors += 1
            if error.partial is not None:
                error.partial.octets = len(data)
            self._reception.answer_unparsable(error, flow, now)
            return
        if isinstance(message, Request):
            message.octets = len(data)
        self._layer.receive(message, flow, now)
        self._take_events(now)

    def transport_failed(self, flow: Flow, now: float) -> None:
        """What was sent on `flow` could not be sent, or the peer is unreachable."""
        if flow.reliable and not flow.inbound:
            # Also what has no transaction, an ACK, must not be sent there again.
            self.outages.failed(flow, now)
        self._layer.transport_failed(flow, now)
        self._take_events(now)

    def connection_lost(self, flow: Flow, now: float) -> None:
        """The connection of `flow` is gone, with what was on its way."""
        self._layer.connection_lost(flow, now)
        self._take_events(now)

    def get_timer(self) -> float | None:
        """When `handle_timer` wants to be called, if at all."""
        return earliest(self._sessions.get_timer(), self._layer.get_timer())

    def handle_timer(self, now: float) -> None:
        """Do what is due."""
        self._layer.handle_timer(now)
        self._take_events(now)
        self._sessions.handle_timer(now)

    def data_to_send(self) -> list[tuple[bytes, Flow]]:
        """The datagrams to send now, in order; each is returned once."""
        data = self._layer.data_to_send()
        self.stats.sent += len(data)
        return data

    def next_event(self) -> Event | None:
        """The next thing the application must know, if there is any."""
        events = self._user.events
        return events.popleft() if events else None

    # -- another process ----------------------------------------------------------

    def track(self) -> None:
        """Keep account of what `state_of` and `touched` tell: from the start."""
        self._layer.table.track(self._touched)
        self._sessions.track(self._touched)

    def touched(self) -> set[SessionId]:
        """The sessions that have changed since this was asked last; needs `track`."""
        touched = self._touched.copy()
        self._touched.clear()
        return touched

    def state_of(self, session: SessionId) -> SessionState | None:
        """What another process goes on with; None: the session is forgotten.

        To be asked once there is no event more, and kept before anything of
        `data_to_send` leaves: nothing shall be said that the state does not know.
        Needs `track`.
        """
        found = self._sessions.get(session)
        clients, servers = self._layer.table.save(session)
        if found is None and not clients and not servers:
            return None
        sent = self._user.resending.save(client.key for client in clients)
        names = [one.name for one in sent.values()]
        names += [client.key for client in clients if client.key not in sent]
        names += [server.key for server in servers]
        return SessionState(
            session=session,
            keys=self._layer.table.count,
            call=None if found is None else found.save(),
            clients=clients,
            servers=servers,
            sent=sent,
            owned=tuple(name for name in names if self._user.owner(name) == session),
        )

    def resume(self, states: Iterable[SessionState], now: float) -> None:
        """Go on where another process stood; `data_to_send` has what must go again.

        To be called before anything else, but for `track`.
        """
        for state in states:
            self._user.keep_free(state.session)
            self._layer.table.keep_free(state.keys)
            self._user.restore_owned(state.owned, state.session)
            self._user.resending.restore(state.sent)
            self._layer.resume(state.clients, state.servers, state.session, now)
            if isinstance(state.call, SavedUac):
                self._adopt(UacSession.restored(state.session, self._user, state.call))
            elif state.call is not None:
                self._adopt(UasSession.restored(state.session, self._user, state.call))
        self._take_events(now)

    def _adopt(self, session: Session) -> None:
        self._sessions.add(session)
        self._sessions.settle(session)

    # -- what the transaction layer says ----------------------------------------

    def _take_events(self, now: float) -> None:
        while (event := self._layer.next_event()) is not None:
            if isinstance(event, _OF_REQUESTS_OF_OURS):
                if self._sent_again(event, now) or self._moved(event, now):
                    continue
                event = self._user.resending.named(event)
            session = self._session_of(event)
            if session is not None:
                if isinstance(event, transaction.RequestReceived):
                    self._user.assign(event.key, session.id)
                    session.follow(event.request, event.flow)
                self._deliver(event, session, now)
                self._sessions.settle(session)
            elif isinstance(event, transaction.RequestReceived):
                self._reception.receive(event, now)
            elif isinstance(event, transaction.ResponseReceived):
                self._outside.receive_response(event)
            elif isinstance(event, transaction.TransactionFailed):
                self._outside.failed(event)

    def _sent_again(self, event: transaction.Event, now: float) -> bool:
        """Answer a challenge, if its request is wanted still and we know how."""
        resending = self._user.resending
        request = resending.to_send_again(event)
        if request is None or not isinstance(event, transaction.ResponseReceived):
            return False
        name = resending.name_of(event.key)
        owner = self._user.owner(name)
        if owner is None:
            self._outside.resend(name, request)
        else:
            session = self._sessions.get(owner)
            if session is None or not session.resend(name, request, now):
                return False
        resending.send_again(event.key, request, now)
        return True

    def _moved(self, event: transaction.Event, now: float) -> bool:
        """Try the next place for a request that failed, if it is wanted still."""
        resending = self._user.resending
        found = resending.next_flow(event, now)
        if found is None:
            return False
        key, flow = found
        name = resending.name_of(key)
        owner = self._user.owner(name)
        if owner is not None:
            session = self._sessions.get(owner)
            if session is None or not session.move(name, flow, now):
                return False
        resending.move(key, flow, now)
        return True

    def _session_of(self, event: transaction.Event) -> Session | None:
        match event:
            case transaction.RequestReceived() | transaction.AckReceived():
                return self._sessions.of_message(event.request)
            case transaction.StrayResponse():
                return self._sessions.of_message(event.response)
            case transaction.ResponseReceived():
                owner = self._user.owner(event.key)
                if owner is None:
                    return self._sessions.of_message(event.response)
                return self._sessions.get(owner)
            case _:
                return self._sessions.get(self._user.owner(event.key))

    def _deliver(self, event: transaction.Event, session: Session, now: float) -> None:
        match event:
            case transaction.RequestReceived():
                request = event.request
                if request.method in WITH_OFFER or request.method == "BYE":
                    # The last metadata of a recording session comes in its BYE.
                    request = with_description_only(request)
                pass_up = request.method in self._pass_up
                session.receive_request(event.key, request, now, pass_up=pass_up)
            case transaction.AckReceived():
                session.receive_ack(with_description_only(event.request), now)
            case transaction.CancelReceived():
                session.receive_cancel(event.key, now)
            case transaction.ResponseReceived():
                if self._user.owner(event.key) is not None:
                    response = with_description_only(event.response)
                    session.receive_response(event.key, response, now)
                elif event.response.cseq.method == "INVITE":
                    session.receive_2xx_again(event.response, now, stray=False)
            case transaction.StrayResponse():
                session.receive_2xx_again(event.response, now, stray=True)
            case _:
                session.transaction_failed(event.key, event.status, now)

    def _admit(self, request: Request, flow: Flow, now: float) -> int | None:
        return self._reception.admit(request, flow, now)
