"""A session as it outlives its process: what the next one is told.

Everything that counts is in it, to the deadline, so that any moment will do, the middle
of a transaction too. It names people and holds what proves who is who: it never leaves
memory.
"""

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from agent.common.errors import AgentError
from agent.signalling.sip.acceptance import Acceptance
from agent.signalling.sip.acknowledgements import SentAck
from agent.signalling.sip.dialog import Dialog
from agent.signalling.sip.events import SessionId
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.headers import Headers
from agent.signalling.sip.message import Request, Response
from agent.signalling.sip.offers import SavedOffers
from agent.signalling.sip.referral import Referral
from agent.signalling.sip.reliability import RAck, SavedProvisionals
from agent.signalling.sip.resending import Sent
from agent.signalling.sip.session_states import State
from agent.signalling.sip.session_timer import SavedTimer
from agent.signalling.sip.transaction.entries import SavedClient, SavedServer
from agent.signalling.sip.uri import Uri

STATE_VERSION: Final = 4
"One more for every change of what is saved, the values of enumerations included."


class StateVersionError(AgentError):
    """A session was saved by another version of this software."""

    hint = "Nothing need be done: the call is ended, and what was recorded is kept."


class SavedSession(msgspec.Struct, frozen=True, kw_only=True):
    """What sessions of both kinds have that another process goes on with."""

    state: State
    invite: Request
    local_tag: str
    flow: Flow
    contact: Uri
    dialog: Dialog | None
    takes: frozenset[str]
    key: str
    bye: str
    acks: tuple[SentAck, ...]
    acceptances: tuple[Acceptance, ...]
    timer: SavedTimer
    offers: SavedOffers
    inquiries: dict[str, Request]
    referrals: tuple[tuple[Referral, ...], int]


class SavedEarly(msgspec.Struct, frozen=True, kw_only=True):
    """An early dialog of another process."""

    dialog: Dialog
    takes: frozenset[str]
    offers: SavedOffers
    last: int | None
    "RSeq of the last reliable response that was had."
    owes: RAck | None


class SavedUac(SavedSession, frozen=True, kw_only=True, tag="uac"):
    """A call that another process began."""

    early: tuple[SavedEarly, ...]
    latest: str | None
    "The tag of the one that was heard from last; empty: there is none."
    surplus: int
    acknowledge_by: float | None
    linger: float | None
    pracks: frozenset[str]
    plain: Headers
    alternatives: tuple[Flow, ...]


class SavedUas(SavedSession, frozen=True, kw_only=True, tag="uas"):
    """A call that another process was asked for."""

    reliable: SavedProvisionals
    accept_later: tuple[Uri, bytes, tuple[tuple[str, str], ...], tuple[str, ...]] | None
    provisional: Response | None
    ring_at: float | None
    bye_headers: tuple[tuple[str, str], ...]


class SessionState(msgspec.Struct, frozen=True, kw_only=True):
    """One session with its transactions."""

    version: int = STATE_VERSION
    session: SessionId
    keys: int
    """Keys of transactions that were given out by then.

    Sessions remember those of requests that are long answered.
    """
    call: SavedUac | SavedUas | None
    "None: it is over, and only answers what comes again."
    clients: tuple[SavedClient, ...]
    servers: tuple[SavedServer, ...]
    sent: dict[str, Sent]
    "Of the clients' requests those that may go again or elsewhere."
    owned: tuple[str, ...]
    "Names of the requests that the session awaits something of."

    def __repr__(self) -> str:
        return f"SessionState(session={self.session!r}, …)"


class _Version(msgspec.Struct):
    version: int = 0


def encode_state(state: SessionState) -> bytes:
    """To be done before the session is touched again: what is in it lives."""
    return _ENCODER.encode(state)


def decode_state(data: bytes) -> SessionState:
    """What `encode_state` made. Raises StateVersionError."""
    version = _VERSIONS.decode(data).version
    if version != STATE_VERSION:
        raise StateVersionError(f"The state of a session is of version {version}.")
    return _DECODER.decode(data)


def _encode(value: object) -> object:
    if isinstance(value, Headers):
        return tuple(value.items())
    raise NotImplementedError(type(value).__name__)


def _decode(type_: type, value: Sequence[tuple[str, str]]) -> Any:
    if type_ is Headers:
        return Headers((name, text) for name, text in value)
    raise NotImplementedError(type_.__name__)


_ENCODER: Final = msgspec.msgpack.Encoder(enc_hook=_encode)
_VERSIONS: Final = msgspec.msgpack.Decoder(_Version)
_DECODER: Final = msgspec.msgpack.Decoder(SessionState, dec_hook=_decode)
