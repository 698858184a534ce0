"""A relay in this process, with its legs: what a worker does, step by step."""

import os
import random
import socket
from pathlib import Path

from agent.common.clock import monotonic_ns
from agent.common.ids import new_id
from agent.media import control, events
from agent.media.loop import Loop
from agent.media.playable import pack
from agent.media.relay import Relay
from agent.media.sound import Sound
from agent.model.media import Address, Latch
from tests.media.phones import HOST, KEY, Phone
from tests.patience import PATIENCE

SECOND = 1_000_000_000
SOUND = random.Random(5).randbytes(480)


class Desk:
    """A relay whose loop turns until something was told."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.told: list[events.WorkerEvent] = []
        self._wanted: type[events.WorkerEvent] | None = None
        self.relay = Relay(
            self.loop,
            self._emit,
            timeout=60.0,
            one_way_after=0.0,
            silent_after=0.0,
            fsync_interval=0.05,
            rng=random.Random(1),
        )

    def _emit(self, event: events.WorkerEvent) -> None:
        self.told.append(event)
        if self._wanted is not None and isinstance(event, self._wanted):
            self.loop.stop()

    def until(self, kind: type[events.WorkerEvent]) -> events.WorkerEvent:
        """Turn the loop until an event of `kind` was told; takes all up to it."""
        self._wanted = kind
        if not any(isinstance(event, kind) for event in self.told):
            limit = self.loop.call_at(
                monotonic_ns() + int(PATIENCE * SECOND), lambda _: self.loop.stop()
            )
            self.loop.run()
            limit.cancel()
        self._wanted = None
        while self.told:
            event = self.told.pop(0)
            if isinstance(event, kind):
                return event
        raise AssertionError(f"{kind} was never told")

    def obey(self, *commands: control.Command) -> None:
        for command in commands:
            self.relay.obey(command, [])

    def open(self, name: str, phone: Phone) -> None:
        channels = []
        for _ in range(2):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
                channel.bind((HOST, 0))
                channel.settimeout(0)
                channels.append(os.dup(channel.fileno()))
                if len(channels) == 1:
                    phone.agent = Address(*channel.getsockname())
        self.relay.obey(control.OpenLeg(leg=name), channels)
        assert channels == []
        audio = phone.negotiated()
        self.obey(control.Configure(leg=name, audio=audio, latch=Latch.OFF))

    def add_sound(self, name: str, samples: bytes) -> None:
        fd = os.memfd_create("sound")
        memory, parts = pack(Sound(name, "", 0, samples, samples[::-1]))
        os.write(fd, memory)
        fds = [fd]
        self.relay.obey(control.AddSound(name=name, parts=parts), fds)
        assert fds == []


Legs = tuple[Phone, Phone]


def play(name: str = "s", *, token: int = 1, loop: bool = False) -> control.Play:
    return control.Play(leg="c", token=token, sounds=(name,), loop=loop)


def start(path: Path, **changes: object) -> control.StartRecording:
    fields: dict[str, object] = {
        "recording": new_id(),
        "legs": ("c", "o"),
        "tapped": (True, True),
        "since_ns": (0, 0),
        "journal_key": KEY,
        "key_id": b"8 bytes!",
        "epoch": 0,
        "path": str(path),
        "notes": (b'{"type":"begin"}',),
    }
    return control.StartRecording(**(fields | changes))  # type: ignore[arg-type]
