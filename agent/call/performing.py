"""What the session of one call commands, carried out."""

import weakref
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING

from agent.call import commands as do
from agent.call.answering import Answering
from agent.call.capture import Capture
from agent.call.invitation import Inviter
from agent.call.joint import Joint
from agent.call.leg import Leg
from agent.call.legs import Legs
from agent.call.playing import Playing
from agent.call.recording_orders import RecordingOrders
from agent.call.session import CallSession
from agent.call.transfers import Transfers
from agent.signalling import b2bua

if TYPE_CHECKING:
    from agent.call.active import ActiveCall


class Performing:
    """Gives each command to the part of the call whose business it is."""

    def __init__(
        self,
        joint: Joint,
        call: "ActiveCall",
        session: CallSession,
        legs: Legs,
        *,
        inviter: Inviter,
        answering: Answering,
        playing: Playing,
        transfers: Transfers,
        capture: Capture,
        recording: RecordingOrders,
        finished: Callable[["ActiveCall", do.Close], None],
    ) -> None:
        self._joint = joint
        self._whole = weakref.ref(call)
        self._session = session
        self._legs = legs
        self._inviter = inviter
        self._answering = answering
        self._playing = playing
        self._transfers = transfers
        self._capture = capture
        self._recording = recording
        self._finished = finished

    @property
    def _call(self) -> "ActiveCall":
        call = self._whole()
        if call is None:
            raise ReferenceError("the call is gone")
        return call

    def perform(self, command: do.Command) -> None:
        """Do what the session commands."""
        match command:
            case do.Refuse():
                self._answering.refuse(command)
            case do.Ring():
                self._answering.ring(command)
            case do.OpenEarly():
                self._spawn(self._answering.open_early(), "early")
            case do.Answer():
                partner = self._legs.get(self._session.partner)
                if self._answering.has_media:
                    # At once: what workers and peers are told is told together.
                    self._answering.answer(partner)
                else:
                    self._spawn(self._answering.open_and_answer(partner), "answer")
            case do.Invite():
                self._spawn(self._ring(command, self._call.facing()), "invite")
            case do.HangUp():
                self.hang_up(command)
            case do.Play():
                if command.loop:
                    for name in command.legs:
                        self._legs.let_hear(self._legs[name])
                self._playing.play(command)
            case do.Bridge():
                a, b = self._legs[command.a], self._legs[command.b]
                self._joint.media.bridge(a.media_id, b.media_id)
                self._legs.joined(a, b)
            case do.Notify():
                self._transfers.notify(self._legs[command.leg], command.status)
            case do.OpenRecording():
                self._capture.open(
                    command, self._legs[command.customer], self._legs[command.officer]
                )
            case do.CloseRecording():
                self._capture.close(command.cause)
            case do.CountMissing():
                self._capture.series.count_missing(on=command.on)
            case do.PauseRecording():
                self._capture.pause(command)
                self._recording.tell(command)
            case do.ResumeRecording():
                self._capture.resume(command)
                self._recording.tell(command)
            case do.Alarm():
                self._call.log.error("going_on_unrecorded", reason=command.reason)
            case do.Close():
                for leg in self._legs.all():
                    self._legs.close_media(leg)
                self._finished(self._call, command)

    def _spawn(self, work: Coroutine[object, object, None], name: str) -> None:
        """Do what takes its time, and then what the state machine makes of it."""
        # The call may be over, and given up by all others, before the work is.
        call = self._call

        async def then_run() -> None:
            await work
            call.run()

        self._joint.spawn(then_run(), name=f"{name}-{call.call_id}")

    async def _ring(self, command: do.Invite, facing: Leg) -> None:
        leg = await self._inviter.ring(command, facing)
        if leg is not None:
            self._joint.register(leg.session, self._call)

    def hang_up(self, command: do.HangUp) -> None:
        """Say so to the peer of a leg that is there still, and give its ports back."""
        leg = self._legs.get(command.leg)
        if leg is None:
            return
        if not leg.gone and leg.session:
            agent = self._joint.user_agent
            reason = b2bua.reason_header(command.q850)
            agent.core.hang_up(leg.session, agent.now, headers=(reason,))
        leg.gone = True
        self._legs.close_media(leg)
