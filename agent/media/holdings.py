"""What a worker has, told to a main process that is new: descriptors and names."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Self, TypeVar

from agent.media.control import MAX_DESCRIPTORS, Held, HeldLeg, HeldRecording

Descriptors = tuple[int, ...]
HeldLegs = Iterable[tuple[HeldLeg, Descriptors]]
HeldRecordings = Iterable[tuple[HeldRecording, Descriptors]]

_T = TypeVar("_T", HeldLeg, HeldRecording)
_LEGS: Final = MAX_DESCRIPTORS // 2
"Of one report: each leg has two descriptors, a recording one at most."


def parts(
    legs: HeldLegs, recordings: HeldRecordings
) -> Iterator[tuple[Held, Descriptors]]:
    """All of it, in reports whose descriptors one record can carry."""
    for some_legs, fds in _portions(legs, _LEGS):
        yield Held(legs=some_legs), fds
    for some_recordings, fds in _portions(recordings, MAX_DESCRIPTORS):
        yield Held(recordings=some_recordings), fds
    yield Held(last=True), ()


def _portions(
    items: Iterable[tuple[_T, Descriptors]], size: int
) -> Iterator[tuple[tuple[_T, ...], Descriptors]]:
    rest = iter(items)
    while portion := tuple(islice(rest, size)):
        yield (
            tuple(item for item, _ in portion),
            tuple(fd for _, fds in portion for fd in fds),
        )


@dataclass(slots=True)
class Holdings:
    """The main process's side: what a worker said it has; descriptors are owned."""

    legs: dict[str, tuple[HeldLeg, int, int]] = field(default_factory=dict)
    recordings: dict[str, tuple[HeldRecording, int | None]] = field(
        default_factory=dict
    )

    def __len__(self) -> int:
        return len(self.legs) + len(self.recordings)

    def add(self, part: Held, descriptors: list[int]) -> Self:
        """Take one report; raises IndexError if descriptors are missing."""
        for leg in part.legs:
            self.legs[leg.leg] = leg, descriptors.pop(0), descriptors.pop(0)
        for recording in part.recordings:
            fd = descriptors.pop(0) if recording.kept else None
            self.recordings[recording.recording] = recording, fd
        return self

    def close(self) -> None:
        """Let go of what nobody took."""
        for _, rtp, rtcp in self.legs.values():
            os.close(rtp)
            os.close(rtcp)
        for _, fd in self.recordings.values():
            if fd is not None:
                os.close(fd)
        self.legs.clear()
        self.recordings.clear()
