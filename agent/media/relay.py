"""What one worker does: legs and bridges, and what is played and journalled there."""

import random
import socket
from collections.abc import Callable, Iterator

from agent.common.clock import monotonic_ns
from agent.media import control, events, tapping
from agent.media.holdings import parts
from agent.media.journals import Journals
from agent.media.leg import MediaLeg
from agent.media.loop import Loop, Timer
from agent.media.playouts import Playouts
from agent.media.watch import Watch
from agent.model.call import EndCause


class Relay:
    """Obeys the commands of one main process after another.

    `emit` takes what is to be told; it must not call back.
    """

    def __init__(
        self,
        loop: Loop,
        emit: Callable[[events.WorkerEvent], None],
        *,
        timeout: float,
        one_way_after: float,
        silent_after: float,
        fsync_interval: float,
        rng: random.Random,
    ) -> None:
        self._loop = loop
        self._emit = emit
        self._rng = rng
        self._legs: dict[str, MediaLeg] = {}
        self._watch = Watch(
            self._legs,
            emit,
            timeout=timeout,
            one_way_after=one_way_after,
            silent_after=silent_after,
        )
        self._deaf: set[str] = set()
        "Legs that are not listened to yet."
        self._playouts = Playouts(loop, emit, self._legs)
        self._journals = Journals(loop, emit, self._legs, fsync_interval=fsync_interval)
        self._reporting: dict[str, Timer] = {}
        self._look(monotonic_ns())

    # -- commands -------------------------------------------------------------

    def obey(self, command: control.Command, descriptors: list[int]) -> None:
        """Carry one command out.

        What names a leg or a recording that is gone is void: the command and the
        end have crossed.
        """
        now_ns = monotonic_ns()
        match command:
            case control.AddSound():
                self._playouts.add_sound(command, descriptors)
            case control.OpenLeg():
                self._open_leg(command, descriptors, now_ns)
            case control.Listen():
                for name in command.legs:
                    if name in self._deaf:
                        tapping.catch_up(self._legs[name], now_ns)
                        self._listen(name)
            case control.Configure():
                self._configure(command)
            case control.Play():
                self._playouts.play(command, now_ns)
            case control.StopPlaying():
                self._playouts.stop(command.leg)
            case control.Bridge():
                self._bridge(command)
            case control.Unbridge():
                self._unbridge(command.leg)
            case control.StartRecording():
                self._journals.start(command, descriptors, now_ns)
            case control.AddLeg():
                self._journals.add_leg(command, now_ns)
            case control.Grant():
                self._journals.grant(command.recording)
            case control.Mark():
                self._journals.mark(command.recording, command.note, now_ns)
            case control.Tap():
                self._journals.tap(command)
            case control.StopRecording():
                self._journals.stop(command.recording, command.end, now_ns)
            case control.CloseLeg():
                self._close_leg(command.leg, now_ns)
            case control.Hello() | control.Retire():
                # The worker's own business, done before it asks us.
                pass

    @property
    def idle(self) -> bool:
        """Whether there is nothing that could be lost."""
        return not self._legs and not self._journals

    def journal_lag(self) -> float:
        """Seconds for which what is journalled may have waited to be durable."""
        return self._journals.lag()

    def held(self) -> Iterator[tuple[control.Held, tuple[int, ...]]]:
        """What there is, for a main process that does not know it."""
        return parts(
            (
                (
                    control.HeldLeg(
                        leg=leg.name,
                        playing=leg.playout.token if leg.playout is not None else 0,
                    ),
                    (leg.rtp.fileno(), leg.rtcp.channel.fileno()),
                )
                for leg in self._legs.values()
            ),
            self._journals.held(),
        )

    # -- legs -----------------------------------------------------------------

    def _open_leg(
        self, command: control.OpenLeg, descriptors: list[int], now_ns: int
    ) -> None:
        rtp, rtcp = (socket.socket(fileno=fd) for fd in descriptors[:2])
        del descriptors[:2]
        leg = MediaLeg(
            command.leg,
            rtp,
            rtcp,
            self._rng,
            on_latched=lambda leg: self._emit(events.Latched(leg=leg.name)),
            on_source=self._on_source,
        )
        self._legs[leg.name] = leg
        if command.resumed:
            leg.adopt_latch()
        if command.resumed or command.deaf:
            self._deaf.add(leg.name)
        else:
            self._listen(leg.name)
        self._schedule_report(leg, now_ns)

    def _listen(self, name: str) -> None:
        leg = self._legs[name]
        self._deaf.discard(name)
        self._loop.add_reader(leg.rtp.fileno(), leg.on_rtp)
        self._loop.add_reader(leg.rtcp.channel.fileno(), leg.on_rtcp)

    def _on_source(self, leg: MediaLeg) -> None:
        reception = leg.reception
        self._emit(
            events.SourceChanged(
                leg=leg.name,
                ssrc_changes=reception.changes + reception.rivals,
                payload_types=leg.strange_payload_types,
            )
        )

    def _configure(self, command: control.Configure) -> None:
        leg = self._legs.get(command.leg)
        if leg is None:
            return
        leg.configure(command.audio, command.latch)
        leg.rewire_both()

    def _bridge(self, command: control.Bridge) -> None:
        a, b = self._legs.get(command.a), self._legs.get(command.b)
        if a is None or b is None or a is b or a.partner is b:
            # A main process that is new repeats what it knows.
            return
        for leg in (a, b):
            self._playouts.stop(leg.name)
            if leg.partner not in {None, a, b}:
                self._unbridge(leg.name)
        a.partner, b.partner = b, a
        a.rewire_both()

    def _unbridge(self, name: str) -> None:
        leg = self._legs.get(name)
        if leg is None or (partner := leg.partner) is None:
            return
        leg.partner = partner.partner = None
        leg.rewire()
        partner.rewire()

    def _close_leg(self, name: str, now_ns: int) -> None:
        leg = self._legs.get(name)
        if leg is None:
            return
        self._playouts.stop(name)
        self._unbridge(name)
        del self._legs[name]
        self._deaf.discard(name)
        self._reporting.pop(name).cancel()
        leg.send_report(now_ns, bye=True)
        self._loop.remove(leg.rtp.fileno())
        self._loop.remove(leg.rtcp.channel.fileno())
        leg.close()
        self._emit(events.LegClosed(leg=name, stats=leg.stats))

    def _schedule_report(self, leg: MediaLeg, now_ns: int) -> None:
        def fire(now_ns: int) -> None:
            leg.send_report(now_ns)
            self._emit(events.LegMeasured(leg=leg.name, stats=leg.stats))
            self._schedule_report(leg, now_ns)

        self._reporting[leg.name] = self._loop.call_at(
            now_ns + leg.rtcp.reports.delay_ns(), fire
        )

    def _look(self, now_ns: int) -> None:
        self._watch.look(now_ns)
        self._loop.call_at(now_ns + self._watch.step_ns, self._look)

    # -- the end --------------------------------------------------------------

    def finish(self, cause: EndCause) -> None:
        """Close every journal, with an end if it has none, and every leg.

        What was never granted is forgotten: nobody could open it.
        """
        now_ns = monotonic_ns()
        self._journals.finish(cause, now_ns)
        for name in list(self._legs):
            self._close_leg(name, now_ns)
        self._journals.close()
