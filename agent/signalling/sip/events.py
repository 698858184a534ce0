"""What the user agent core tells the application. Every event names its session."""

from dataclasses import dataclass
from enum import StrEnum

from agent.signalling.sip.flow import Flow
from agent.signalling.sip.message import Request, Response
from agent.signalling.sip.replaces import Replaces
from agent.signalling.sip.uri import NameAddr

SessionId = str
"Opaque; unique in one user agent core."


class EndReason(StrEnum):
    """Why a session that was confirmed is over."""

    BYE = "bye"
    "The peer hung up."
    NO_ACK = "no-ack"
    "No ACK came for our 2xx."
    DIALOG_FAILED = "dialog-failed"
    "The peer no longer knows the dialog, or no longer answers in it."
    SESSION_EXPIRED = "session-expired"
    "Nobody refreshed the session in time (RFC 4028)."
    LOCAL = "local"
    "We hung up, and the peer has answered or never will."


@dataclass(frozen=True, slots=True)
class InviteReceived:
    """A new call, fit to be answered: `ring`, `accept`, `refuse` or `hang_up` it."""

    session: SessionId
    request: Request
    flow: Flow
    replaces: SessionId | None = None
    """The session whose place it wants to take (RFC 3891).

    Whether its sender may do so is for the application to say, and to refuse; to do
    so is to hang that session up once this one is accepted.
    """


@dataclass(frozen=True, slots=True)
class Cancelled:
    """The caller gave up before our answer, or no longer acknowledges what we ring.

    It has its 487 or 504. The session is over.
    """

    session: SessionId


@dataclass(frozen=True, slots=True)
class Progressed:
    """A provisional response other than 100 to our INVITE, of any of its forks.

    A reliable one has its PRACK, unless the INVITE had no offer and the response has:
    then `acknowledge` must send the answer.
    """

    session: SessionId
    response: Response


@dataclass(frozen=True, slots=True)
class Accepted:
    """The first 2xx to our INVITE.

    It has its ACK, unless the INVITE had no offer and the response has: then
    `acknowledge` must send the answer. An answer that stood in a reliable provisional
    response is in this one too, wherever the peer has put it.
    """

    session: SessionId
    response: Response


@dataclass(frozen=True, slots=True)
class Refused:
    """Our INVITE failed. The session is over.

    The response is None for a timeout (408), a failed transport (503), and when a
    2xx crossed our CANCEL (487).
    """

    session: SessionId
    status: int
    response: Response | None


@dataclass(frozen=True, slots=True)
class Acknowledged:
    """The first ACK for a 2xx of ours; its body may hold the answer to our offer."""

    session: SessionId
    request: Request


@dataclass(frozen=True, slots=True)
class ProvisionalAcknowledged:
    """The PRACK for a reliable `ring`, which has its 200.

    Its body may hold the answer to our offer. A new offer in it comes as
    OfferReceived instead.
    """

    session: SessionId
    request: Request


@dataclass(frozen=True, slots=True)
class OfferReceived:
    """The peer wants the session changed: `accept_offer` or `refuse_offer`.

    None for a body: the peer asks for an offer of ours, and answers it in the ACK.
    """

    session: SessionId
    body: bytes | None
    request: Request


@dataclass(frozen=True, slots=True)
class OfferAnswered:
    """The 2xx to our `reoffer`."""

    session: SessionId
    response: Response


@dataclass(frozen=True, slots=True)
class RefreshAnswered:
    """The 2xx to a re-INVITE that offered once more what was agreed.

    Its own description may be another one than before.
    """

    session: SessionId
    response: Response


@dataclass(frozen=True, slots=True)
class InformAnswered:
    """What our `inform` has come to; whatever that is, the session goes on.

    Unless the peer has lost the dialog (481), which another event tells. After a 491
    it may be said again in a while.
    """

    session: SessionId
    status: int
    response: Response | None
    "None for a timeout (408), a failed transport (503), and where it cannot go (405)."


@dataclass(frozen=True, slots=True)
class OfferRefused:
    """Our `reoffer` failed; the session goes on as it was (RFC 6141)."""

    session: SessionId
    status: int


@dataclass(frozen=True, slots=True)
class TargetRefreshed:
    """An UPDATE without an offer, which has its 200.

    It may say that somebody else is at the other end now (RFC 4916).
    """

    session: SessionId
    request: Request


@dataclass(frozen=True, slots=True)
class ReferReceived:
    """The peer asks us to call someone: `accept_refer` or `refuse_refer` (RFC 3515).

    After `accept_refer`, `notify_refer` says how that goes; the first final status is
    the last word.
    """

    session: SessionId
    key: str
    "Names it in those three."
    refer_to: NameAddr
    replaces: Replaces | None
    "The dialog that the call is to take the place of; `session_of` knows ours."
    referred_by: str | None
    "The header as it came; it claims, and proves nothing."
    request: Request


@dataclass(frozen=True, slots=True)
class RequestInDialog:
    """A request of a method that the application asked for: `answer_request` it."""

    session: SessionId
    key: str
    request: Request


@dataclass(frozen=True, slots=True)
class RequestAnswered:
    """The final response to a request of ours outside dialogs."""

    session: SessionId
    "The name that `request` gave to it."
    request: Request
    "As it was sent last."
    status: int
    response: Response | None
    "None for a timeout (408) and a failed transport (503)."


@dataclass(frozen=True, slots=True)
class Ended:
    """The one last event of a session that was confirmed."""

    session: SessionId
    reason: EndReason
    request: Request | None
    "The peer's BYE."


Event = (
    InviteReceived
    | Cancelled
    | Progressed
    | Accepted
    | Refused
    | Acknowledged
    | ProvisionalAcknowledged
    | OfferReceived
    | OfferAnswered
    | RefreshAnswered
    | InformAnswered
    | OfferRefused
    | TargetRefreshed
    | ReferReceived
    | RequestInDialog
    | RequestAnswered
    | Ended
)
