"""What became of a call's frames: each is a click that tells call, leg and index."""

from collections.abc import Container
from dataclasses import dataclass, field

from agent.formats.container import read_wav
from tests.bench.load import FRAME, Call, payload

FRAME_MS = 20
SAMPLES_PER_MS = FRAME // FRAME_MS
EDGE = 5
"Frames at a talk's ends that may have crossed what connects it, or the BYE."


@dataclass
class Clicks:
    """Frames of any number of legs, as they were found in recordings."""

    expected: int = 0
    lost: int = 0
    "Nowhere in the recording."
    misplaced: int = 0
    "More than a frame away from the place that the leg's first frame gives them; of \
what a phone has sent late, its timestamp says one place, and its arrival another."
    lost_ms: list[int] = field(default_factory=list)
    "Of each leg, in all."
    unheard: int = 0
    "Frames that the other phone did not get."

    def examine(self, call: Call, wav: bytes, until: tuple[int, int] = (0, 0)) -> None:
        """Look up every frame of the talk until it was hung up, or `until`, if set.

        It begins when the phones hear each other: what they say between an answer and
        its being heard of is nobody's, and on a busy machine that takes a while.
        """
        track = read_wav(wav)
        for side in (0, 1):
            samples, late = track.samples[side::2], call.legs[side].late
            first = call.since[side] + EDGE
            last = (until[side] or call.until[side]) - EDGE
            self.look(call.number, side, samples, range(first, last), late)

    def heard(self, call: Call) -> None:
        """Count what a live call's phones did not hear of each other."""
        for side in (0, 1):
            first = call.since[side] + EDGE
            got = call.legs[1 - side].got_frames
            sent = range(first, call.until[side] - EDGE)
            self.unheard += sum(index not in got for index in sent)

    def look(
        self, call: int, leg: int, samples: bytes, frames: range, late: Container[int]
    ) -> None:
        """Look up frames of one leg, some of which were sent `late`."""
        # Where the first is, or would be if it had not been lost.
        anchor = next(
            (
                at - (index - frames.start) * FRAME
                for index in frames
                if (at := samples.find(payload(call, leg, index))) >= 0
                and index not in late
            ),
            0,
        )
        before = self.lost
        for index in frames:
            wanted = payload(call, leg, index)
            place = anchor + (index - frames.start) * FRAME
            self.expected += 1
            if place >= 0 and samples[place : place + FRAME] == wanted:
                continue
            at = samples.find(wanted)
            if at < 0:
                self.lost += 1
            else:
                self.misplaced += abs(at - place) > FRAME and index not in late
        self.lost_ms.append((self.lost - before) * FRAME_MS)
