"""What plays to the legs of one worker, sent frame by frame when it is due."""

import os
from collections.abc import Callable, Mapping
from mmap import ACCESS_READ, mmap
from typing import Final

from agent.common.clock import monotonic_ns
from agent.media import control, events
from agent.media.announcement import Announcement
from agent.media.leg import MediaLeg
from agent.media.loop import Loop, Timer
from agent.media.playable import Octets, Playable, unpack
from agent.media.playout import RATE, TICKS_PER_MS, Playout

_NS_PER_TICK: Final = 125_000
_MIN_PTIME: Final = 10
_MAX_PTIME: Final = 120


class Playouts:
    """The playouts of one worker: at most one to each leg."""

    def __init__(
        self,
        loop: Loop,
        emit: Callable[[events.WorkerEvent], None],
        legs: Mapping[str, MediaLeg],
    ) -> None:
        self._loop = loop
        self._emit = emit
        self._legs = legs
        self._sounds: dict[str, Playable] = {}
        self._timers: dict[str, Timer] = {}

    def add_sound(self, command: control.AddSound, descriptors: list[int]) -> None:
        """Learn a sound, which lies in memory that all workers share."""
        fd = descriptors.pop(0)
        try:
            size = sum(part.size for part in command.parts)
            memory: Octets = mmap(fd, size, access=ACCESS_READ) if size else b""
        finally:
            os.close(fd)
        self._sounds[command.name] = unpack(memory, command.parts)

    def play(self, command: control.Play, now_ns: int) -> None:
        """Play to a leg, in place of what plays; ends in PlayEnded in any case."""
        leg = self._legs.get(command.leg)
        sounds = [self._sounds.get(name) for name in command.sounds]
        known = [sound for sound in sounds if sound is not None]
        if leg is not None:
            self.stop(leg.name)
        start_ns = now_ns
        if leg is not None and leg.sender.sent_ns:
            # In step with what was sent before: a frame takes its time.
            start_ns = max(now_ns, leg.sender.sent_ns + leg.sender.duration_ns)
        playout = Playout(
            command.token, Announcement(known, loop=command.loop, start_ns=start_ns)
        )
        if leg is None or len(known) < len(sounds) or not known:
            self._tell_played(command.leg, playout, completed=False)
            return
        leg.playout = playout
        leg.rewire_both()
        self._schedule_frames(leg, playout)

    def _schedule_frames(self, leg: MediaLeg, playout: Playout) -> None:
        def fire(now_ns: int) -> None:
            if send_due(leg, playout, now_ns):
                self._schedule_frames(leg, playout)
            else:
                del self._timers[leg.name]
                self._end_playout(leg, playout, completed=not playout.failed)

        at_ns = playout.announcement.due_ns
        if not leg.may_send:
            # Held, or not negotiated yet: look again a frame later.
            at_ns = monotonic_ns() + frame_ticks(leg) * _NS_PER_TICK
        self._timers[leg.name] = self._loop.call_at(at_ns, fire)

    def stop(self, name: str) -> None:
        """Break off what plays to a leg."""
        leg = self._legs.get(name)
        if leg is None or (playout := leg.playout) is None:
            return
        self._timers.pop(name).cancel()
        self._end_playout(leg, playout, completed=False)

    def _end_playout(self, leg: MediaLeg, playout: Playout, *, completed: bool) -> None:
        leg.playout = None
        leg.rewire_both()
        self._tell_played(leg.name, playout, completed=completed)

    def _tell_played(self, leg: str, playout: Playout, *, completed: bool) -> None:
        self._emit(
            events.PlayEnded(
                leg=leg,
                token=playout.token,
                completed=completed,
                frames=playout.frames,
                sent_ms=playout.sent_ms,
                started_ns=playout.started_ns,
                ended_ns=playout.ended_ns,
            )
        )


def frame_ticks(leg: MediaLeg) -> int:
    """Ticks of one frame that is played, from the peer's ptime, by 10 ms."""
    ptime = leg.audio.ptime if leg.audio is not None else 20
    ptime = min(max(ptime, _MIN_PTIME), _MAX_PTIME) // 10 * 10
    return ptime * TICKS_PER_MS


def send_due(leg: MediaLeg, playout: Playout, now_ns: int) -> bool:
    """Send the frames that are due; False once the last one has been sent.

    While the peer does not want to hear, the playout waits.
    """
    announcement = playout.announcement
    if announcement.finished:
        return False
    audio = leg.audio
    send = leg.send
    if audio is None or send is None or not audio.direction.sends:
        return True
    codec = audio.codec
    if not announcement.can_play(codec.name):
        playout.failed = True
        return False
    origin = playout.origin(codec.clock_rate)
    for frame in announcement.take(now_ns, ticks=frame_ticks(leg), codec=codec.name):
        packet = leg.sender.frame(
            origin,
            codec.payload_type,
            frame.payload,
            now_ns,
            skip=frame.skip * codec.clock_rate // RATE,
        )
        try:
            send(packet)
        except OSError:
            if not leg.send_again(packet):
                playout.failed = True
                continue
        playout.started_ns = playout.started_ns or now_ns
        playout.ended_ns = now_ns
        playout.frames += 1
        playout.ticks += frame.ticks
    return not announcement.finished
