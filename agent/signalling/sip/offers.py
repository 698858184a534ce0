"""Offers and refreshes within one dialog: RFC 3261 section 14, RFC 3311, RFC 4028.

`renegotiation` says who may offer; this sends and answers the re-INVITEs and UPDATEs.
"""

from dataclasses import dataclass
from enum import auto
from typing import Final

import msgspec

from agent.signalling.sip.acceptance import Acceptances
from agent.signalling.sip.dialog import SDP
from agent.signalling.sip.errors import LocalSipError, SipParseError
from agent.signalling.sip.events import (
    InformAnswered,
    OfferAnswered,
    OfferReceived,
    OfferRefused,
    RefreshAnswered,
    TargetRefreshed,
)
from agent.signalling.sip.headers import parse_retry_after
from agent.signalling.sip.link import Link
from agent.signalling.sip.message import Request, Response
from agent.signalling.sip.renegotiation import (
    Offer,
    Refresh,
    Renegotiation,
    SavedNegotiation,
    State,
)
from agent.signalling.sip.session_timer import SessionTimer
from agent.signalling.sip.symbol import Symbol
from agent.signalling.sip.transaction_user import MAX_RETRY_AFTER, Lines

MAX_UNACKNOWLEDGED: Final = 2
"2xx of ours at once: that to the INVITE, and to the re-INVITE that overtook its ACK."
_PLAIN_REFRESH: Final = Refresh()


class Fate(Symbol):
    """What has become of a transaction."""

    UNKNOWN = auto()
    "It was none of ours."
    SETTLED = auto()
    DIALOG_LOST = auto()
    "The peer has lost the dialog (RFC 3261 section 12.2.1.2)."


@dataclass(slots=True, eq=False)
class SentOffer:
    """Our re-INVITE or UPDATE that has no final response."""

    key: str
    method: str
    offer: Offer | None
    "None for an UPDATE that only refreshes."
    refresh: Refresh
    "What that one says."
    cancel_at: float | None
    number: int


class SavedOffers(msgspec.Struct, frozen=True, kw_only=True):
    """Offers and answers of a dialog that another process had."""

    negotiation: SavedNegotiation
    description: bytes
    answer: bytes
    sent: SentOffer | None
    received: tuple[str, Request] | None
    refresh: Refresh | None
    unanswered: int | None


class Offers:
    """One dialog's, early or confirmed."""

    def __init__(
        self,
        link: Link,
        acceptances: Acceptances,
        timer: SessionTimer,
        *,
        owns_call_id: bool,
        state: State,
    ) -> None:
        self.link = link
        self.negotiation = Renegotiation(
            owns_call_id=owns_call_id, rng=link.user.rng, state=state
        )
        self.description = b""
        "The last one of ours that the peer has taken, or is about to."
        self.answer = b""
        "The peer's to the offer in our INVITE, while nothing has changed it since."
        self._acceptances = acceptances
        self._timer = timer
        self._sent: SentOffer | None = None
        self._received: tuple[str, Request] | None = None
        "The peer's request that awaits our answer, with its transaction."
        self._unanswered: int | None = None
        "The number of our latest re-INVITE, if that failed without a response."
        self._refresh: Refresh | None = None
        "An UPDATE without offer that waits to be sent."

    @property
    def busy(self) -> bool:
        """Whether a request of ours is on its way."""
        return self._sent is not None

    @property
    def pending(self) -> Request | None:
        """The peer's request that awaits our answer."""
        return None if self._received is None else self._received[1]

    def has_sent(self, key: str) -> bool:
        """Whether the transaction `key` is that of a request of ours on its way."""
        return self._sent is not None and self._sent.key == key

    def has_cancelled(self, key: str) -> bool:
        """Whether it is that of a re-INVITE which we want no answer to any more."""
        sent = self._sent
        return (
            sent is not None
            and sent.key == key
            and sent.method == "INVITE"
            and sent.cancel_at is None
        )

    def take_answer(self, body: bytes) -> None:
        """The description in a response to our INVITE, or that it has none.

        Only the first answers our offer; later ones are old news (RFC 3261 section
        13.2.1).
        """
        changing = self._sent is not None and self._sent.offer is not None
        if self.negotiation.state is State.OFFERING and not changing:
            self.negotiation.answered()
            self.answer = body

    # -- what the application asks for ------------------------------------------

    def accept(self, body: bytes, now: float) -> None:
        """Answer the peer's offer; nothing if it was withdrawn."""
        if self._received is None:
            return
        key, request = self._received
        is_invite = request.method == "INVITE"
        lines: Lines = ()
        if request.method != "PRACK":
            lines = (*self.link.target_lines, *self._timer.answer(request, now))
            self.link.dialog.refresh(request)
        response = self.link.respond(key, request, 200, now, headers=lines, body=body)
        if is_invite:
            self._acceptances.add(key, response, now)
        self.description = body or self.description
        self.answer = b""
        asked = is_invite and not request.body
        self._received = None
        self.negotiation.answer(with_offer=asked and bool(body))

    def refuse(self, status: int, headers: Lines, now: float) -> None:
        """Refuse the peer's offer; nothing if it was withdrawn."""
        if not 300 <= status < 700:
            raise LocalSipError("A refusal is a 300-699.")
        if self._received is not None:
            key, request = self._received
            self.link.respond(key, request, status, now, headers=headers)
            self._withdrawn()

    def want_refresh(self, refresh: Refresh = _PLAIN_REFRESH) -> None:
        """Have the session refreshed, by an UPDATE if the peer takes any.

        What says more than the headers can goes in an UPDATE or not at all.
        """
        takes = self.link.takes
        if refresh.body and takes and "UPDATE" not in takes:
            self.link.emit(InformAnswered(self.link.id, 405, None))
        elif refresh.body or "UPDATE" in takes or not self.description:
            if self._refresh is None or refresh != _PLAIN_REFRESH:
                self._refresh = refresh
        else:
            self.negotiation.want_with(refresh.headers, self.description)

    def send_due(self, now: float, *, confirmed: bool) -> None:
        """Send what waits and may go."""
        if not self._may_send(confirmed=confirmed):
            return
        takes_update = "UPDATE" in self.link.takes
        offer = self.negotiation.take_due(now)
        if offer is not None:
            update = takes_update and (offer.update or not confirmed)
            self._send("UPDATE" if update else "INVITE", offer, now)
        elif self._refresh is not None and self._received is None:
            refresh, self._refresh = self._refresh, None
            self._send("UPDATE", None, now, refresh)

    def _may_send(self, *, confirmed: bool) -> bool:
        if self._sent is not None:
            return False
        if confirmed:
            # Section 14.1: not while an INVITE of the peer awaits our final
            # response, or its ACK.
            return not self._acceptances
        return "UPDATE" in self.link.takes

    # -- what the peer answers --------------------------------------------------

    def receive_response(
        self, key: str, response: Response, now: float, *, over: bool
    ) -> tuple[Fate, int | None]:
        """A final response; with the number of an INVITE that needs its ACK.

        `over`: the application has nothing to do with the session any more.
        """
        sent = self._sent
        if sent is None or sent.key != key:
            return Fate.UNKNOWN, None
        if response.status >= 300:
            return self._failed(sent, response.status, response, now, over=over), None
        self._sent = None
        if sent.offer is not None:
            self.negotiation.answered()
        # RFC 5407 section 3.2.3: an INVITE's also when a BYE is under way.
        number = response.cseq.number if sent.method == "INVITE" else None
        if not over:
            self.link.hear(response)
            self.link.dialog.refresh(response)
            self._timer.answered(response, now)
            if sent.offer is not None:
                self.description = sent.offer.body
                self.answer = b""
                kind = RefreshAnswered if sent.offer.refresh else OfferAnswered
                self.link.emit(kind(self.link.id, response))
            elif sent.refresh.body:
                self.link.emit(InformAnswered(self.link.id, response.status, response))
        return Fate.SETTLED, number

    def transaction_failed(
        self, key: str, status: int, now: float, *, over: bool
    ) -> Fate:
        """A transaction has failed, which is as good as the response `status`."""
        if self._sent is not None and self._sent.key == key:
            return self._failed(self._sent, status, None, now, over=over)
        received = self._received
        # An INVITE server transaction survives its transport (RFC 6026).
        if received is None or received[0] != key or received[1].method == "INVITE":
            return Fate.UNKNOWN
        self._withdrawn()
        return Fate.SETTLED

    def takes_late(self, response: Response) -> bool:
        """Whether a 2xx is for a re-INVITE of ours that failed without a response.

        Its offer has failed for us, but not for the peer: what holds is offered again.
        """
        first = self._unanswered
        # It may have been sent once more, with credentials.
        last = self.link.dialog.local_cseq
        if first is None or not first <= response.cseq.number <= last:
            return False
        self._unanswered = None
        if self.description:
            self.negotiation.want_with((), self.description)
        return True

    # -- what the peer asks for -------------------------------------------------

    def receive(self, key: str, request: Request, now: float) -> None:
        """A re-INVITE, or an UPDATE or PRACK with an offer."""
        lines: Lines = ()
        status: int | None
        too_small = None
        if request.method != "PRACK":
            too_small = self._timer.refusal(request)
        if too_small is not None:
            status, lines = 422, too_small
        elif len(self._acceptances) >= MAX_UNACKNOWLEDGED:
            status = 500
        else:
            status = self.negotiation.receive_offer()
        if status is not None:
            self.link.respond(key, request, status, now, headers=lines)
            return
        self.link.take(key)
        self._received = key, request
        self.link.emit(OfferReceived(self.link.id, request.body or None, request))

    def receive_refresh(self, key: str, request: Request, now: float) -> None:
        """An UPDATE without an offer."""
        too_small = self._timer.refusal(request)
        if too_small is not None:
            self.link.respond(key, request, 422, now, headers=too_small)
            return
        self.link.dialog.refresh(request)
        lines = (*self.link.target_lines, *self._timer.answer(request, now))
        self.link.respond(key, request, 200, now, headers=lines)
        self.link.emit(TargetRefreshed(self.link.id, request))

    def receive_cancel(self, key: str, now: float) -> None:
        """The peer cancels its re-INVITE."""
        if self._received is not None and self._received[0] == key:
            self.link.respond(*self._received, 487, now)
            self._withdrawn()

    # -- time, and the end --------------------------------------------------------

    def abandon(self, now: float) -> None:
        """Answer what is open of the peer's (section 15.1.2), cancel what is ours."""
        if self._received is not None:
            self.link.respond(*self._received, 487, now)
            self._received = None
        if self._sent is not None and self._sent.method == "INVITE":
            self._sent.cancel_at = None
            self.link.user.cancel(self._sent.key, now, ())

    def drop(self, now: float) -> None:
        """The dialog is gone: nobody wants to hear what becomes of its requests."""
        self.abandon(now)
        if self._sent is not None:
            self.link.user.disown(self._sent.key)
            self._sent = None

    def save(self) -> SavedOffers:
        """What another process goes on with."""
        return SavedOffers(
            negotiation=self.negotiation.save(),
            description=self.description,
            answer=self.answer,
            sent=self._sent,
            received=self._received,
            refresh=self._refresh,
            unanswered=self._unanswered,
        )

    def restore(self, saved: SavedOffers) -> None:
        """Go on with what `save` returned."""
        self.negotiation.restore(saved.negotiation)
        self.description, self.answer = saved.description, saved.answer
        self._sent, self._received = saved.sent, saved.received
        self._refresh, self._unanswered = saved.refresh, saved.unanswered

    def get_timer(self, *, confirmed: bool) -> float | None:
        """When `handle_timer` wants to be called, if at all."""
        sent = self._sent
        if sent is not None:
            return sent.cancel_at
        may = self._may_send(confirmed=confirmed)
        return self.negotiation.get_timer() if may else None

    def handle_timer(self, now: float, *, confirmed: bool) -> None:
        """Cancel what has waited too long for its answer, and send what may go."""
        sent = self._sent
        if sent is not None and sent.cancel_at is not None and now >= sent.cancel_at:
            sent.cancel_at = None
            self.link.user.cancel(sent.key, now, ())
        self.send_due(now, confirmed=confirmed)

    def _send(
        self,
        method: str,
        offer: Offer | None,
        now: float,
        refresh: Refresh = _PLAIN_REFRESH,
    ) -> None:
        said = refresh if offer is None else offer
        headers = (
            *self.link.user.abilities,
            *self._timer.request_lines(),
            *said.headers,
        )
        key = self.link.send(
            method,
            now,
            headers=headers,
            body=said.body,
            content_type=refresh.content_type or SDP,
        )
        cancel_at = now + self.link.user.timers.b if method == "INVITE" else None
        number = self.link.dialog.local_cseq
        self._sent = SentOffer(key, method, offer, refresh, cancel_at, number)

    def _withdrawn(self) -> None:
        self._received = None
        self.negotiation.answer(with_offer=False)

    def _failed(
        self,
        sent: SentOffer,
        status: int,
        response: Response | None,
        now: float,
        *,
        over: bool,
    ) -> Fate:
        """Our re-INVITE or UPDATE failed: the session stays as it was (RFC 6141)."""
        self._sent = None
        if sent.method == "INVITE":
            self._unanswered = sent.number if response is None else None
        after = self._try_after(sent, status, response)
        offer = sent.offer
        again = False
        if offer is not None:
            again = self.negotiation.refused(status, now, after=after)
        elif status == 422 and after is not None:
            self._refresh = sent.refresh
            again = True
        if over:
            return Fate.SETTLED
        informs = bool(sent.refresh.body)
        if informs and not again:
            self.link.emit(InformAnswered(self.link.id, status, response))
        # A peer that leaves alone what it does not know need not be gone.
        if status == 481 or (status == 408 and not informs):
            return Fate.DIALOG_LOST
        if offer is not None and not again and not offer.refresh:
            self.link.emit(OfferRefused(self.link.id, status))
        return Fate.SETTLED

    def _try_after(
        self, sent: SentOffer, status: int, response: Response | None
    ) -> float | None:
        """Seconds after which to try again what failed, where the peer says so."""
        if response is None:
            return None
        if status == 422 and self._timer.too_small(response):
            return 0.0
        if status in {405, 501} and sent.method == "UPDATE":
            self.link.takes -= {"UPDATE"}
            return None if sent.offer is None else 0.0
        wait = response.headers.get("Retry-After")
        if status != 500 or wait is None:
            return None
        try:
            seconds = parse_retry_after(wait)
        except SipParseError:
            return None
        return float(max(seconds, 1)) if seconds <= MAX_RETRY_AFTER else None
