"""Call control: the joint of signalling, media, recording and identity.

Admits calls, makes an ActiveCall of each, brings every event to the call it belongs
to, and closes the ledger row when the call is over. No error of one call leaves it.
"""

import asyncio
import contextlib
import functools
from collections.abc import Callable, Coroutine

import structlog

from agent.call import commands as do
from agent.call.active import ActiveCall
from agent.call.codecs import for_first
from agent.call.config import PeerConfig
from agent.call.endings import close_row
from agent.call.joint import Joint, RunningCall
from agent.call.leg import Leg
from agent.call.orders import Orders
from agent.call.passthrough import PassthroughCall
from agent.call.recorder import OpenSegment
from agent.call.routing import NoRouteError, Plan
from agent.call.state import EndingState
from agent.common.clock import utc_ns
from agent.common.errors import AgentError
from agent.common.ids import new_id
from agent.common.tasks import TaskSet
from agent.identity.tags import caller_tag
from agent.media import pool as media
from agent.model.recording import WITHHELD
from agent.recording.ledger import CallIntent, Ledger
from agent.signalling import b2bua
from agent.signalling.guard import Guard
from agent.signalling.sip import core as sip
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.limits import STRANGER, PeerLimits
from agent.signalling.sip.message import Request
from agent.signalling.sip.transaction.schedule import Schedule

DROP = -1
"Answer of the admission hook: say nothing at all."


class CallControl:
    """All calls of this host."""

    def __init__(
        self,
        *,
        ledger: Ledger,
        guard: Guard,
        max_calls: int,
    ) -> None:
        self._ledger = ledger
        self._guard = guard
        self._max_calls = max_calls
        self._calls: dict[str, RunningCall] = {}
        self._by_name: dict[str, RunningCall] = {}
        self._call_ids: dict[str, str] = {}
        "Of the INVITEs we sent, by session."
        self._sent: dict[str, str] = {}
        "User part that each of those Call-IDs asked for: what comes back is a loop."
        self._emergencies: dict[str, set[str]] = {}
        "By emergency call, the Call-IDs of its legs: their messages pass any limit."
        self._peer_calls: dict[str, int] = {}
        self._tasks = TaskSet(self._task_failed)
        self._timer: asyncio.TimerHandle | None = None
        self._schedule = Schedule()
        self._log = structlog.get_logger()
        self._joint: Joint | None = None
        self._draining = False
        self._idle = asyncio.Event()
        self.orders = Orders(self._calls, self.guard)
        self.refused_strangers = 0
        "Requests from addresses that are no configured peer."

    def connect(self, joint: Joint) -> None:
        """Give control the rest of the agent; once, before any event."""
        self._joint = joint

    @property
    def joint(self) -> Joint:
        if self._joint is None:
            raise RuntimeError("call control is not connected")
        return self._joint

    @property
    def active_calls(self) -> int:
        return len(self._calls)

    def spawn(self, coroutine: Coroutine[object, object, None], *, name: str) -> None:
        """Run a call's coroutine in the background; `name` ends in its call's id."""
        self._tasks.spawn(self._then_rearm(coroutine, name), name=name)

    async def _then_rearm(
        self, coroutine: Coroutine[object, object, None], name: str
    ) -> None:
        await coroutine
        if (call := self._calls.get(_call_id(name))) is not None:
            self._rearm(call)

    def call_of(self, session: str) -> RunningCall | None:
        """The call a SIP session belongs to, if it is one of a running call."""
        return self._by_name.get(session)

    def register(self, name: str, call: RunningCall) -> None:
        """Bring the events of a session we began, or of a media leg, to `call`."""
        if call.call_id not in self._calls:
            return  # it ended while this was being made: nobody would forget the name
        self._by_name[name] = call
        invite = self.joint.user_agent.core.invite_of(name)
        if invite is not None:
            self._call_ids[name] = invite.call_id
            self._sent[invite.call_id] = invite.uri.user or ""
            if call.call_id in self._emergencies:
                self._emergencies[call.call_id].add(invite.call_id)

    def adopt(self, call: RunningCall) -> None:
        """Go on with a call of the main process before this one."""
        self._calls[call.call_id] = call
        peer = call.peer_name
        self._peer_calls[peer] = self._peer_calls.get(peer, 0) + 1
        for name in call.names:
            self.register(name, call)

    # -- admission ------------------------------------------------------------

    def admit(self, request: Request, flow: Flow) -> int | None:
        """What to answer a new request outside dialogs; None lets it in."""
        peer = self.joint.routes.peer_of(flow)
        if peer is not None:
            return None
        self.refused_strangers += 1
        if not self._guard.allow(flow.remote.host, self.joint.user_agent.now):
            return DROP
        self._log.warning(
            "stranger_refused", source=str(flow.remote), method=request.method
        )
        return 403

    def limits_of(self, flow: Flow) -> PeerLimits:
        """How much of us the other end of a flow may have."""
        peer = self.joint.routes.peer_of(flow)
        if peer is None:
            return STRANGER
        return PeerLimits(
            peer.name,
            messages=peer.max_rate,
            connections=peer.max_connections,
            transactions=peer.max_transactions,
        )

    def is_emergency(self, called: str) -> bool:
        """Whether a number, as dialled, is one that nothing may stand in the way of."""
        return self.joint.routes.is_emergency(called)

    def in_emergency(self, sip_call_id: str) -> bool:
        """Whether a Call-ID is that of a leg of an emergency call that goes on."""
        return any(sip_call_id in legs for legs in self._emergencies.values())

    # -- events ---------------------------------------------------------------

    def on_sip(self, event: sip.Event) -> None:
        """One event of the user agent core."""
        if isinstance(event, sip.InviteReceived):
            self._invited_safely(event)
            return
        call = self._by_name.get(event.session)
        if call is not None:
            self.guard(call, lambda: call.on_sip(event))

    def on_media(self, event: media.MediaEvent) -> None:
        """One event of the media workers."""
        recorder = self.joint.recorder
        match event:
            case media.PlayEnded():
                self._to_call(event.leg, lambda call: call.on_play_ended(event))
            case (
                media.MediaQuiet()
                | media.MediaHeard()
                | media.MediaRejected()
                | media.LegAlarm()
                | media.LegHeard()
                | media.SourceChanged()
            ):
                self._to_call(event.leg, lambda call: call.on_heard(event))
            case media.RecordingOpened():
                recorder.opened(event)
            case media.RecordingFailed():
                recorder.failed(event.recording, event.reason)
            case media.RecordingClosed():
                recorder.closed(event)
            case media.KeysSpent():
                self._to_call(event.leg, lambda call: call.on_keys_spent(event.leg))
            case media.WorkerLost():
                self._log.error(
                    "media_worker_lost",
                    worker=event.worker,
                    legs=len(event.legs),
                    recordings=len(event.recordings),
                )
                for recording in event.recordings:
                    recorder.interrupted(recording)
            case media.WorkerReady():
                self._log.info("media_worker_ready", worker=event.worker)
            case media.MemoryRefused():
                self._log.warning("open_block_not_kept", reason=event.reason)
            case _:
                pass

    def on_recording_failed(self, call_id: str, reason: str, kept: bool) -> None:  # noqa: FBT001 - the recorder's callback
        """A segment's capture broke."""
        call = self._calls.get(call_id)
        if isinstance(call, ActiveCall):
            self.guard(call, lambda: call.on_recording_failed(reason, kept=kept))

    def _to_call(self, name: str, act: Callable[[ActiveCall], None]) -> None:
        call = self._by_name.get(name)
        if isinstance(call, ActiveCall):
            self.guard(call, lambda: act(call))

    def guard(self, call: RunningCall, act: Callable[[], None]) -> None:
        """Run one call's code; its failure ends that call and no other."""
        try:
            act()
        except Exception as error:  # noqa: BLE001 - reported, and the call is cleared
            self._log.critical("call_failed", call_id=call.call_id, exc_info=error)
            try:
                call.stop()
            except Exception as again:  # noqa: BLE001 - reported; nothing is left to try
                self._log.critical("call_stuck", call_id=call.call_id, exc_info=again)
        self._rearm(call)

    # -- a new call -----------------------------------------------------------

    def _invited_safely(self, event: sip.InviteReceived) -> None:
        """Take a new call; if our own code fails, it is refused and no other hurt."""
        try:
            self._invited(event)
        except Exception as error:  # noqa: BLE001 - reported, and the call is refused
            self._log.critical("invite_failed", exc_info=error)
            user_agent = self.joint.user_agent
            user_agent.core.refuse(event.session, user_agent.now, status=500)

    def _invited(self, event: sip.InviteReceived) -> None:
        core, now = self.joint.user_agent.core, self.joint.user_agent.now
        request = event.request
        peer = self.joint.routes.peer_of(event.flow)
        if peer is None:  # admitted, then removed from the table
            core.refuse(event.session, now, status=403)
            return
        if b2bua.is_loop(request, self._sent):
            self._log.warning("loop_refused", peer=peer.name)
            core.refuse(event.session, now, status=482)
            return
        called = request.uri.user or ""
        tag = caller_tag(request, trusted=peer.trusted, config=self.joint.identity)
        number = tag.number
        if number == WITHHELD:
            # From those who are called, not from the recording: an officer it is.
            number = self.joint.proven_number(request, event.flow) or number
        if event.replaces is not None:
            self._taken_over(event, peer, number)
            return
        try:
            plan = self.joint.routes.plan(peer, called, number)
            b2bua.next_max_forwards(request)
        except NoRouteError as error:
            self._log.warning("no_route", peer=peer.name, reason=str(error))
            core.refuse(event.session, now, status=404)
            return
        except b2bua.TooManyHopsError:
            core.refuse(event.session, now, status=483)
            return
        if not plan.emergency and (full := self._full(peer)):
            self._log.warning("call_limit", peer=peer.name, reason=full)
            core.refuse(
                event.session, now, status=503, headers=(("Retry-After", "10"),)
            )
            return
        self._begin(event, peer, plan, number, called)

    def _taken_over(
        self, event: sip.InviteReceived, peer: PeerConfig, number: str
    ) -> None:
        """An INVITE for a place in a call there is already."""
        call = self._by_name.get(event.replaces or "")
        if call is None or call.transfers is None:
            core, now = self.joint.user_agent.core, self.joint.user_agent.now
            core.refuse(event.session, now, status=481)
            return
        transfers, leg = call.transfers, _incoming("", event, peer, number)
        self.guard(call, lambda: transfers.taken_over(event, leg))

    def _full(self, peer: PeerConfig) -> str:
        if self._draining:
            return "draining"
        if len(self._calls) >= self._max_calls:
            return "the host's limit"
        if peer.max_calls and self._peer_calls.get(peer.name, 0) >= peer.max_calls:
            return "the peer's limit"
        return ""

    def _can_relay(self, plan: Plan, first: Leg, invite: Request) -> bool:
        """Whether a call can have both its legs relayed, in what its party offers."""
        stats = self.joint.media.stats
        if not stats.workers_up or stats.ports_free < 2:
            return False
        codecs = for_first(plan.route.codecs, None)
        return not invite.body or first.can_answer(invite.body, codecs)

    def _begin(
        self,
        event: sip.InviteReceived,
        peer: PeerConfig,
        plan: Plan,
        caller: str,
        called: str,
    ) -> None:
        call_id = new_id()
        first = _incoming("a", event, peer, caller)
        call: RunningCall
        if plan.exempt and not self._can_relay(plan, first, event.request):
            call = PassthroughCall(
                self.joint,
                call_id=call_id,
                plan=plan,
                invite=event.request,
                first=first,
                finished=self.finished,
            )
        else:
            call = ActiveCall(
                self.joint,
                call_id=call_id,
                plan=plan,
                invite=event.request,
                first=first,
                caller=caller,
                called=called,
                finished=self.finished,
            )
        self._calls[call_id] = call
        if plan.emergency:
            self._emergencies[call_id] = {event.request.call_id}
        self._peer_calls[peer.name] = self._peer_calls.get(peer.name, 0) + 1
        self._by_name[event.session] = call
        intent = CallIntent(
            call_id=call_id,
            sip_call_id=event.request.call_id,
            route=plan.route.name,
            direction=plan.direction,
            begun_utc_ns=utc_ns(),
        )
        self.spawn(self._begin_with_intent(call, intent, plan), name=f"begin-{call_id}")

    async def _begin_with_intent(
        self, call: RunningCall, intent: CallIntent, plan: Plan
    ) -> None:
        """Write the intent before the call is answered; never hold up an emergency."""
        if plan.emergency:
            self.guard(call, call.begin)
        try:
            await self._ledger.begin(intent)
        except AgentError as error:
            self._log.critical(
                "ledger_unwritable", call_id=call.call_id, reason=str(error)
            )
            if not plan.exempt and plan.route.on_recording_failure == "refuse":
                self.guard(call, call.refuse_unrecordable)
                return
        if not plan.emergency:
            self.guard(call, call.begin)

    # -- the end of a call ----------------------------------------------------

    def finished(self, call: RunningCall, close: do.Close) -> None:
        """A call is over: its names are forgotten, its ledger row is closed."""
        capture = call.capture if isinstance(call, ActiveCall) else None
        segments = capture.segments if capture is not None else []
        ending = EndingState(
            call_id=call.call_id,
            outcome=close.outcome,
            cause=close.cause,
            sip_status=close.sip_status,
            ended_utc_ns=utc_ns(),
            segments=tuple(segment.recording_id for segment in segments),
            interrupted=capture is not None and capture.interrupted,
        )
        if self.joint.keeper is not None:
            self.joint.keeper.end(ending)
        self.spawn(self._close(call, ending, segments), name=f"close-{call.call_id}")

    def settle(self, ending: EndingState, segments: list[OpenSegment]) -> None:
        """Close the row of a call that was over before this process began."""
        self.spawn(
            close_row(self.joint, self._ledger, ending, segments),
            name=f"close-{ending.call_id}",
        )

    async def _close(
        self, call: RunningCall, ending: EndingState, segments: list[OpenSegment]
    ) -> None:
        self._forget(call)
        await close_row(self.joint, self._ledger, ending, segments)

    def _forget(self, call: RunningCall) -> None:
        if self._calls.pop(call.call_id, None) is None:
            return
        self._schedule.set(call.call_id, None)
        self._emergencies.pop(call.call_id, None)
        if not self._calls:
            self._idle.set()
        for name in call.names:
            self._by_name.pop(name, None)
            if (call_id := self._call_ids.pop(name, None)) is not None:
                self._sent.pop(call_id, None)
        peer = call.peer_name
        self._peer_calls[peer] = self._peer_calls.get(peer, 1) - 1

    # -- time -----------------------------------------------------------------

    def _rearm(self, call: RunningCall) -> None:
        """Take note of a call's deadline, and wake at the earliest of all."""
        deadline = call.get_timer() if call.call_id in self._calls else None
        self._schedule.set(call.call_id, deadline)
        self._wake_at_first()

    def _wake_at_first(self) -> None:
        at = self._schedule.first()
        if self._timer is not None:
            if self._timer.when() == at:
                return
            self._timer.cancel()
            self._timer = None
        if at is not None:
            self._timer = asyncio.get_running_loop().call_at(at, self._fire, at)

    def _fire(self, at: float) -> None:
        self._timer = None
        now = max(at, self.joint.user_agent.now)
        due = []
        while (name := self._schedule.pop_due(now)) is not None:
            due.append(self._calls[name])
        for call in due:
            self.guard(call, functools.partial(call.handle_timer, now))
        # The call it was set for may have ended, and others still wait.
        self._wake_at_first()

    # -- stopping -------------------------------------------------------------

    async def drain(self, seconds: float) -> None:
        """Take no new calls; let running ones end; then clear the rest."""
        self._draining = True
        if self._calls:
            self._idle.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), seconds)
        for call in list(self._calls.values()):
            self.guard(call, call.stop)
        await self._tasks.drain(5.0)

    async def close(self) -> None:
        """Give up what still runs."""
        if self._timer is not None:
            self._timer.cancel()
        await self._tasks.close()

    def _task_failed(self, name: str, error: BaseException) -> None:
        self._log.critical("task_failed", task=name, exc_info=error)
        call = self._calls.get(_call_id(name))
        if call is not None:
            self.guard(call, call.stop)


def _incoming(
    name: str, event: sip.InviteReceived, peer: PeerConfig, number: str
) -> Leg:
    """The leg of a party that rings us."""
    leg = Leg(
        name=name,
        session=event.session,
        flow=event.flow,
        peer=peer,
        media_id=new_id(),
        number=number,
        from_user=event.request.from_.uri.user or "",
    )
    leg.learn_abilities(event.request)
    return leg


def _call_id(task: str) -> str:
    """The call a task's name ends in."""
    return task.partition("-")[2]
