"""Call control: the joint of signalling, media, recording and identity.

Admits what may come, brings every event to the call it belongs to, and closes the
ledger row when the call is over. No error of one call leaves it.
"""

import asyncio
import contextlib
import functools
from collections.abc import Callable, Coroutine

import structlog

from agent.call import commands as do
from agent.call.active import ActiveCall
from agent.call.arrivals import Arrivals
from agent.call.calls import Calls
from agent.call.endings import close_row
from agent.call.joint import Joint, RunningCall
from agent.call.open_segment import OpenSegment
from agent.call.orders import Orders
from agent.call.siprec.session_call import SessionCall
from agent.call.state import EndingState
from agent.common.clock import utc_ns
from agent.common.tasks import TaskSet
from agent.media import events as media
from agent.recording.ledger import Ledger
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
        self._calls = Calls()
        self._tasks = TaskSet(self._task_failed)
        self._timer: asyncio.Handle | None = None
        self._timer_at = 0.0
        "Kept here: uvloop's handle of what is due at once does not know when."
        self._schedule = Schedule()
        self._log = structlog.get_logger()
        self._joint: Joint | None = None
        self._arrivals: Arrivals | None = None
        self._idle = asyncio.Event()
        self.orders = Orders(self._calls, self.guard)
        self.refused_strangers = 0
        "Requests from addresses that are no configured peer."

    def connect(self, joint: Joint) -> None:
        """Give control the rest of the agent; once, before any event."""
        self._joint = joint
        self._arrivals = Arrivals(
            joint,
            self._calls,
            self._ledger,
            max_calls=self._max_calls,
            finished=self.finished,
        )

    @property
    def joint(self) -> Joint:
        if self._joint is None:
            raise RuntimeError("call control is not connected")
        return self._joint

    @property
    def arrivals(self) -> Arrivals:
        """What takes new calls."""
        if self._arrivals is None:
            raise RuntimeError("call control is not connected")
        return self._arrivals

    @property
    def active_calls(self) -> int:
        return len(self._calls)

    @property
    def active_sessions(self) -> int:
        """Those of them that are recording sessions."""
        return sum(isinstance(call, SessionCall) for call in self._calls.values())

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
        return self._calls.of_name(session)

    def register(self, name: str, call: RunningCall) -> None:
        """Bring the events of a session we began, or of a media leg, to `call`."""
        invite = self.joint.user_agent.core.invite_of(name)
        self._calls.register(name, call, invite)

    def unregister(self, name: str) -> None:
        """A media leg of a call that goes on is no more."""
        self._calls.unregister(name)

    def adopt(self, call: RunningCall, *, emergency: bool) -> None:
        """Go on with a call of the main process before this one."""
        self._calls.add(call, emergency=emergency)
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
        return self._calls.in_emergency(sip_call_id)

    # -- events ---------------------------------------------------------------

    def on_sip(self, event: sip.Event) -> None:
        """One event of the user agent core."""
        if isinstance(event, sip.InviteReceived):
            self.arrivals.take(event)
            return
        call = self._calls.of_name(event.session)
        if call is not None:
            self.guard(call, lambda: call.on_sip(event))

    def on_media(self, event: media.MediaEvent) -> None:
        """One event of the media workers."""
        recorder = self.joint.recorder
        match event:
            case media.PlayEnded():
                self._to_active(event.leg, lambda call: call.on_play_ended(event))
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
                self._to_active(event.leg, lambda call: call.on_keys_spent(event.leg))
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
        if isinstance(call, ActiveCall | SessionCall):
            self.guard(call, lambda: call.on_recording_failed(reason, kept=kept))

    def _to_call(
        self, name: str, act: Callable[[ActiveCall | SessionCall], None]
    ) -> None:
        call = self._calls.of_name(name)
        if isinstance(call, ActiveCall | SessionCall):
            self.guard(call, lambda: act(call))

    def _to_active(self, name: str, act: Callable[[ActiveCall], None]) -> None:
        """What concerns only calls that we stand in."""
        call = self._calls.of_name(name)
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

    # -- the end of a call ----------------------------------------------------

    def finished(self, call: RunningCall, close: do.Close) -> None:
        """A call is over: its names are forgotten, its ledger row is closed."""
        recorded = call if isinstance(call, ActiveCall | SessionCall) else None
        series = None if recorded is None else recorded.capture.series
        segments = [] if series is None else series.segments
        ending = EndingState(
            call_id=call.call_id,
            outcome=close.outcome,
            cause=close.cause,
            sip_status=close.sip_status,
            ended_utc_ns=utc_ns(),
            segments=tuple(segment.recording_id for segment in segments),
            interrupted=series is not None and series.interrupted,
            missing_ms=0 if series is None else series.missing_ms,
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
        self._calls.forget(call)
        self._schedule.set(call.call_id, None)
        if not self._calls:
            self._idle.set()

    # -- time -----------------------------------------------------------------

    def _rearm(self, call: RunningCall) -> None:
        """Take note of a call's deadline, and wake at the earliest of all."""
        deadline = call.get_timer() if call.call_id in self._calls else None
        self._schedule.set(call.call_id, deadline)
        self._wake_at_first()

    def _wake_at_first(self) -> None:
        at = self._schedule.first()
        if self._timer is not None:
            if self._timer_at == at:
                return
            self._timer.cancel()
            self._timer = None
        if at is not None:
            self._timer_at = at
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

    def runs(self, call_id: str) -> bool:
        """Whether a call is up."""
        return call_id in self._calls

    @property
    def draining(self) -> bool:
        """Whether no new call is taken, but for emergency calls."""
        return self.arrivals.draining

    def take_calls(self, *, on: bool) -> None:
        """Take new calls, or refuse all but emergency calls with 503, until told."""
        self.arrivals.draining = not on

    # -- stopping -------------------------------------------------------------

    async def drain(self, seconds: float) -> None:
        """Take no new calls; let running ones end; then clear the rest."""
        self.take_calls(on=False)
        if self._calls:
            self._idle.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._idle.wait(), seconds)
        for call in list(self._calls.values()):
            self.guard(call, call.stop)
        await self._tasks.drain(5.0)

    def hurry(self) -> None:
        """Wait no longer in `drain`: clear what still runs."""
        self._idle.set()

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


def _call_id(task: str) -> str:
    """The call a task's name ends in."""
    return task.partition("-")[2]
