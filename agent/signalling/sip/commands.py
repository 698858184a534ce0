"""What an application asks of a user agent: calls made, answered, changed, ended."""

from collections.abc import Sequence

from agent.signalling.sip.dialog import MAX_FORWARDS, SDP
from agent.signalling.sip.errors import LocalSipError
from agent.signalling.sip.events import SessionId
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.message import Request
from agent.signalling.sip.outside import Outside, new_request
from agent.signalling.sip.renegotiation import Offer, Refresh
from agent.signalling.sip.replaces import Replaces, verdict
from agent.signalling.sip.session_states import State
from agent.signalling.sip.session_table import SessionTable
from agent.signalling.sip.transaction_user import Lines, TransactionUser
from agent.signalling.sip.uac import UacSession
from agent.signalling.sip.uas import UasSession
from agent.signalling.sip.uri import NameAddr, Uri


class Commands:
    """The half of a user agent core that the application talks to.

    All of these do nothing for a session that is over, because the event that says
    so may not have been taken yet, and raise LocalSipError, with nothing done, for
    what its state does not allow and for headers that would not stay one line.
    """

    def __init__(self, user: TransactionUser) -> None:
        self._user = user
        self._sessions = SessionTable()
        self._outside = Outside(user)

    def __len__(self) -> int:
        """Sessions that are not over."""
        return self._sessions.open

    def invite_of(self, session: SessionId) -> Request | None:
        """The INVITE that began a session, while anything of it can still come."""
        found = self._sessions.get(session)
        return None if found is None else found.invite

    def offer_to(self, session: SessionId) -> Request | None:
        """The peer's re-INVITE, UPDATE or PRACK whose offer awaits our answer."""
        found = self._sessions.get(session)
        return None if found is None else found.offered()

    def invite(
        self,
        *,
        uri: Uri,
        flow: Flow,
        from_: NameAddr,
        to: NameAddr,
        contact: Uri,
        body: bytes,
        content_type: str = SDP,
        headers: Lines = (),
        route: Sequence[Uri] = (),
        max_forwards: int = MAX_FORWARDS,
        reliable: bool = True,
        alternatives: Sequence[Flow] = (),
        now: float,
    ) -> SessionId:
        """Begin a call: Progressed, then Accepted or Refused will tell.

        `alternatives`: where it goes if nobody answers at `flow`, one after another.

        Without a body the 2xx brings an offer, which `acknowledge` answers. No
        limit stops it: how many calls there may be is decided where they begin.
        Without `reliable` the peer is not told that we take its provisional
        responses reliably, so that no offer can stand in one.
        """
        abilities = self._user.abilities if reliable else self._user.plain_abilities
        lines = [("Contact", f"<{contact}>"), *abilities]
        if body:
            lines.append(("Content-Type", content_type))
        request = new_request(
            "INVITE",
            uri,
            from_=from_.with_tag(self._user.new_tag()),
            to=to,
            call_id=self._user.new_call_id(),
            cseq=self._user.new_cseq(),
            route=route,
            max_forwards=max_forwards,
            headers=[*lines, *headers],
            body=body,
        )
        session = UacSession(
            self._user.new_session(),
            self._user,
            request,
            flow,
            contact=contact,
            alternatives=alternatives,
        )
        session.begin(now)
        self._sessions.add(session)
        return session.id

    def request(self, request: Request, flow: Flow, now: float) -> SessionId:
        """Send a `new_request` other than INVITE: RequestAnswered will tell."""
        return self._outside.send(request, flow, now)

    def ring(
        self,
        session: SessionId,
        now: float,
        *,
        status: int = 180,
        body: bytes = b"",
        headers: Lines = (),
        reliable: bool = False,
    ) -> None:
        """Send a provisional response; it is repeated each minute.

        `reliable`: have it acknowledged, if the peer can (RFC 3262); where the peer
        demands that, it is done in any case. ProvisionalAcknowledged will tell, or
        Cancelled if no PRACK comes. `accept` waits for the PRACK where it must.
        """
        if (called := self._called(session)) is not None:
            called.ring(status, body, headers, now, reliable=reliable)
            self._sessions.settle(called)

    def accept(
        self,
        session: SessionId,
        now: float,
        *,
        contact: Uri,
        body: bytes,
        headers: Lines = (),
        features: tuple[str, ...] = (),
    ) -> None:
        """Answer the call: Acknowledged, or Ended without an ACK, will tell.

        `features` stand in our Contact from here on (RFC 3840).
        """
        if (called := self._called(session)) is not None:
            called.accept(contact, body, headers, now, features=features)
            self._sessions.settle(called)

    def refuse(
        self,
        session: SessionId,
        now: float,
        *,
        status: int,
        reason: str | None = None,
        headers: Lines = (),
    ) -> None:
        """Refuse the call, which ends the session; no event follows."""
        if (called := self._called(session)) is not None:
            called.refuse(status, reason, headers, now)
            self._sessions.settle(called)

    def acknowledge(self, session: SessionId, now: float, *, body: bytes) -> None:
        """Answer the offer that came in the response to an INVITE without one.

        In the ACK for a 2xx, in the PRACK for a reliable provisional response.
        """
        found = self._sessions.get(session)
        if isinstance(found, UasSession):
            raise LocalSipError("The peer sent that INVITE, and the ACK is its own.")
        if isinstance(found, UacSession):
            found.acknowledge(body, now)
            self._sessions.settle(found)

    def hang_up(self, session: SessionId, now: float, *, headers: Lines = ()) -> None:
        """End the session as its state demands.

        A call that we began and nobody answered is cancelled, and Refused tells when
        that is done. One that nobody of ours answered is refused, and no event
        follows. Any other gets a BYE, as soon as there may be one, and Ended.
        """
        found = self._sessions.get(session)
        if found is not None:
            found.hang_up(headers, now)
            self._sessions.settle(found)

    def reoffer(
        self,
        session: SessionId,
        now: float,
        *,
        body: bytes,
        headers: Lines = (),
        update: bool = False,
    ) -> None:
        """Offer a change of the session: OfferAnswered or OfferRefused will tell.

        It waits while another exchange is going on. A later one replaces one that
        has not been sent yet, and no event tells of that. Before the call is
        answered it goes in an UPDATE, if the peer takes any, else it waits for the
        answer (RFC 3311); then in a re-INVITE, or with `update` in an UPDATE too.
        """
        found = self._sessions.get(session)
        if found is not None:
            found.reoffer(Offer(body, tuple(headers), update=update), now)
            self._sessions.settle(found)

    def refresh(self, session: SessionId, now: float, *, headers: Lines = ()) -> None:
        """Tell the peer what has changed but the media, as who is here (RFC 4916).

        In an UPDATE without offer if the peer takes any, else in a re-INVITE with
        the offer as it was: then RefreshAnswered tells what the peer made of that.
        """
        found = self._sessions.get(session)
        if found is not None:
            found.refresh(Refresh(tuple(headers)), now)
            self._sessions.settle(found)

    def inform(
        self,
        session: SessionId,
        now: float,
        *,
        body: bytes,
        content_type: str,
        headers: Lines = (),
    ) -> None:
        """Send the peer what is no description: InformAnswered will tell.

        In an UPDATE without offer, as soon as there may be one; a later one replaces
        one that has not been sent yet. Not sent to who has said that it takes none.
        """
        found = self._sessions.get(session)
        if found is not None:
            found.refresh(Refresh(tuple(headers), body, content_type), now)
            self._sessions.settle(found)

    def accept_offer(self, session: SessionId, now: float, *, body: bytes) -> None:
        """Answer the last OfferReceived; nothing if the peer has withdrawn it."""
        found = self._sessions.get(session)
        if found is not None:
            found.accept_offer(body, now)
            self._sessions.settle(found)

    def refuse_offer(
        self, session: SessionId, now: float, *, status: int, headers: Lines = ()
    ) -> None:
        """Refuse the last OfferReceived; nothing if the peer has withdrawn it."""
        found = self._sessions.get(session)
        if found is not None:
            found.refuse_offer(status, headers, now)
            self._sessions.settle(found)

    def answer_request(
        self,
        session: SessionId,
        key: str,
        now: float,
        *,
        status: int,
        headers: Lines = (),
        body: bytes = b"",
    ) -> None:
        """Answer a RequestInDialog."""
        found = self._sessions.get(session)
        if found is not None:
            found.inquiries.answer(key, status, headers, body, now)
            self._sessions.settle(found)

    def accept_refer(self, session: SessionId, key: str, now: float) -> None:
        """Answer a ReferReceived: 202, and a NOTIFY that says 100 Trying.

        Without the NOTIFY if the peer wants none (RFC 4488).
        """
        found = self._sessions.get(session)
        if found is not None:
            found.referrals.accept(key, now)
            self._sessions.settle(found)

    def refuse_refer(
        self, session: SessionId, key: str, now: float, *, status: int
    ) -> None:
        """Refuse a ReferReceived."""
        found = self._sessions.get(session)
        if found is not None:
            found.referrals.refuse(key, status, now)
            self._sessions.settle(found)

    def notify_refer(
        self, session: SessionId, key: str, now: float, *, status: int
    ) -> None:
        """Say how far an accepted ReferReceived has come; a final status ends it.

        Also after the session's end, for as long as the peer is subscribed.
        """
        found = self._sessions.get(session)
        if found is not None:
            found.referrals.notify(key, status, now)
            self._sessions.settle(found)

    def session_of(self, replaces: Replaces) -> SessionId | None:
        """The session of ours that a Replaces names, if it may be replaced."""
        found = self._sessions.named_by(replaces)
        if found is None or verdict(replaces, found.state) is not None:
            return None
        return found.id

    def unanswered(self, replaces: Replaces) -> SessionId | None:
        """The session that a Replaces names, if we have not answered its INVITE.

        It cannot be replaced, but who sent that INVITE may ask for a transfer to
        whom it was to reach (RFC 5589).
        """
        found = self._sessions.named_by(replaces)
        if not isinstance(found, UasSession) or found.state is not State.INCOMING:
            return None
        return found.id

    def _called(self, session: SessionId) -> UasSession | None:
        found = self._sessions.get(session)
        if isinstance(found, UacSession):
            raise LocalSipError("We sent that INVITE, and the answer is the peer's.")
        return found if isinstance(found, UasSession) else None
