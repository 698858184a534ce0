"""Offers and answers of one recording session: what is told when.

Ports are bound and tapped before our answer leaves: a client may send as soon as it has
sent its offer. What has no ports is declined, and the rest goes on.
"""

from collections.abc import Callable, Coroutine
from typing import Final, Protocol

from structlog.typing import FilteringBoundLogger

from agent.call.commands import Refuse
from agent.call.joint import Joint
from agent.call.leg import Leg
from agent.call.siprec.config import SiprecConfig
from agent.call.siprec.recording_session import RecordingSession
from agent.call.siprec.situation import Situation
from agent.call.siprec.streams import Streams
from agent.common.clock import monotonic_ns
from agent.common.errors import AgentError
from agent.signalling.not_acceptable import NotAcceptableError
from agent.signalling.sip.contact import asks_for_sips, contact_of
from agent.signalling.sip.message import Request
from agent.signalling.siprec.recognition import SERVER

RETRY_AFTER: Final = 30
"Seconds after which a client that we refused may ask again."
_OFFERED: Final = (0, 1)
"M-lines of an offer of ours: one for each of two who talk (RFC 7866 section 8.4)."


class Spawning(Protocol):
    """Does what takes its time, and then what the state machine makes of it."""

    def __call__(self, work: Coroutine[object, object, None], name: str) -> None: ...


class Looking(Protocol):
    """Has the machine see how it stands by now."""

    def __call__(self, *, codecs_changed: bool) -> None: ...


class Offers:
    """Of the session that `invite` began; `first` is its client.

    `situated()` tells how it stands once streams are agreed; `settle()` carries out
    what the machine asks for.
    """

    def __init__(
        self,
        joint: Joint,
        session: RecordingSession,
        streams: Streams,
        *,
        invite: Request,
        first: Leg,
        rules: SiprecConfig,
        log: FilteringBoundLogger,
        situated: Callable[[], Situation],
        look: Looking,
        settle: Callable[[], None],
        spawn: Spawning,
        register: Callable[[str], None],
    ) -> None:
        self._joint = joint
        self._session = session
        self._streams = streams
        self._invite = invite
        self._first = first
        self._rules = rules
        self._log = log
        self._situated = situated
        self._look = look
        self._settle = settle
        self._spawn = spawn
        self._register = register
        self._refusal_headers: list[tuple[str, str]] = []
        self._opening = False
        "An offer of the client's waits for its ports."
        self.awaits_answer = False
        "We offered: the answer comes with the ACK."
        self.offered_ns: int | None = None
        """Since when the client may send into a segment that begins now.

        Who answers our offer knows our ports before we know that it has answered.
        """

    # -- the INVITE ------------------------------------------------------------

    async def answer(self) -> None:
        """Bind ports, agree, tap, and only then answer."""
        offer = self._invite.body
        flow = self._first.flow
        self._streams.begin(secure=flow.transport == "tls", host=flow.remote.host)
        try:
            lacking = self._streams.lacking(offer) if offer else _OFFERED
            await self._open(lacking)
            if self._session.outcome is not None:
                return
            if offer:
                body, _ = self._streams.answer(offer)
            else:
                body, self.awaits_answer = self._streams.offer(), True
        except NotAcceptableError as error:
            self._log.warning("offer_unusable", leg=self._first.name, reason=str(error))
            self._refusal_headers = [error.warning(self._joint.host)]
            self._session.unacceptable(488, "Not Acceptable Here")
            return
        except AgentError as error:
            self._log.warning("media_refused", reason=str(error))
            self._session.refuse_unrecordable()
            return
        if self.awaits_answer:
            self.offered_ns = monotonic_ns()
        self._session.answered(self._situated(), self._now)
        self._settle()
        core = self._joint.user_agent.core
        core.accept(
            self._first.session,
            self._now,
            contact=contact_of(self._first.flow, secure=asks_for_sips(self._invite)),
            body=body,
            # RFC 3261 section 13.3.1.4: what the client may tell from here on, and how.
            headers=(core.accepted,),
            features=(SERVER,),
        )

    def refuse(self, command: Refuse) -> None:
        """Say that nothing will come of it; the client may go to another recorder."""
        status, headers = command.status, [("Retry-After", str(RETRY_AFTER))]
        if status != 503:
            headers = self._refusal_headers
        elif self._rules.redirect:
            status, headers = 302, [("Contact", f"<{self._rules.redirect}>")]
        self._joint.user_agent.core.refuse(
            self._first.session,
            self._now,
            status=status,
            reason=command.reason if status == command.status else None,
            headers=headers,
        )

    # -- changes ---------------------------------------------------------------

    def offered(self, body: bytes | None) -> None:
        """The client wants its streams changed: more or fewer, silent, elsewhere."""
        if self._opening:
            # It has cancelled that one; what it wants now, it will want in a moment.
            core, session = self._joint.user_agent.core, self._first.session
            core.refuse_offer(session, self._now, status=500)
            return
        try:
            if body is None:
                offer = self._streams.offer()
                self.awaits_answer = True
                self._accept(offer)
                return
            lacking = self._streams.lacking(body)
        except NotAcceptableError as error:
            self._decline(error)
            return
        if lacking:
            self._spawn(self._open_and_answer(body, lacking), "streams")
        else:
            self._answer(body)

    async def _open_and_answer(self, body: bytes, lacking: tuple[int, ...]) -> None:
        core, session = self._joint.user_agent.core, self._first.session
        offer, self._opening = core.offer_to(session), True
        try:
            await self._open(lacking)
        except AgentError as error:
            # Those there are go on; the new ones are declined.
            self._log.warning("media_refused", reason=str(error))
        finally:
            self._opening = False
        if self._session.outcome is not None:
            return
        if core.offer_to(session) is offer:
            self._answer(body)
        else:
            # It was cancelled, and all is as it was (RFC 6141).
            self._streams.give_back()

    def _answer(self, body: bytes) -> None:
        try:
            answer, codecs_changed = self._streams.answer(body)
        except NotAcceptableError as error:
            self._decline(error)
            return
        self._look(codecs_changed=codecs_changed)
        self._settle()
        self._accept(answer)

    def take_answer(self, body: bytes) -> None:
        """The answer to an offer of ours: in an ACK, or to what went once more."""
        self.awaits_answer = False
        try:
            codecs_changed = self._streams.take_answer(body)
        except NotAcceptableError as error:
            self._log.warning(
                "answer_unusable", leg=self._first.name, reason=str(error)
            )
            self._streams.negotiation.cancel_offer()
            if not self._streams.views:
                self._session.stop()
            return
        self._look(codecs_changed=codecs_changed)
        self._settle()
        self.offered_ns = None

    def _accept(self, body: bytes) -> None:
        core = self._joint.user_agent.core
        core.accept_offer(self._first.session, self._now, body=body)

    def _decline(self, error: NotAcceptableError) -> None:
        self._log.warning("offer_unusable", leg=self._first.name, reason=str(error))
        warning = error.warning(self._joint.host)
        core, session = self._joint.user_agent.core, self._first.session
        core.refuse_offer(session, self._now, status=error.status, headers=(warning,))
        # What was told of the call beside it counts all the same.
        self._look(codecs_changed=False)

    async def _open(self, lacking: tuple[int, ...]) -> None:
        for stream in await self._streams.open(lacking):
            self._register(stream.media_id)

    @property
    def _now(self) -> float:
        return self._joint.user_agent.now
