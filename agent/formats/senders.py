"""Several senders under one SSRC: told apart by their sequence numbers.

Two phones of a transfer may have drawn the same SSRC, or a device in the path writes
its own on both (RFC 3550 section 8.2 leaves what a receiver does to it). Each has a
sequence and a clock of its own, so that together they make no stream at all.
"""

from itertools import pairwise
from typing import Final, TypeVar

import numpy as np
import numpy.typing as npt

from agent.formats.rtp.packet import MAX_DROPOUT, MAX_MISORDER
from agent.formats.sequences import is_valid

Integers = npt.NDArray[np.int64]
Step = TypeVar("Step", int, Integers)

MAX_AT_ONCE: Final = 4
"Senders told apart at a time; nobody but an attacker makes more."
MAX_STREAMS: Final = 32
"Of more, those with most packets are told apart; the rest counts with the first."


def senders(sequence: Integers) -> list[Integers]:
    """The packets of each sender, by their places in the 16-bit `sequence` given.

    One that begins its sequence anew stays one sender, unless its old one goes on.
    Packets that are no stream are left with the first sender.
    """
    everything = np.arange(len(sequence))
    steps = _signed(np.diff(sequence))
    jumps = np.flatnonzero(np.abs(steps) > MAX_MISORDER) + 1
    if len(jumps) < 2:
        return [everything]
    bounds = [0, *jumps.tolist(), len(sequence)]
    streams = _streams(sequence, bounds)
    of_packet = np.repeat(np.array(streams, np.int64), np.diff(bounds))
    sizes = np.bincount(of_packet)
    largest = np.sort(np.argsort(-sizes, kind="stable")[:MAX_STREAMS])
    found: list[Integers] = []
    for number in largest.tolist():
        stream = np.flatnonzero(of_packet == number)
        if not is_valid(sequence[stream]):
            continue
        for at, sender in enumerate(found):
            # Of a stream that has ended a few packets may still be under way.
            if np.count_nonzero(sender > stream[0]) <= MAX_MISORDER:
                found[at] = np.concatenate((sender, stream))
                break
        else:
            # No more than MAX_AT_ONCE: so many streams go on after one begins.
            found.append(stream)
    if len(found) < 2:
        return [everything]
    of_others = np.concatenate(found[1:])
    return [np.setdiff1d(everything, of_others), *map(np.sort, found[1:])]


def _streams(sequence: Integers, bounds: list[int]) -> list[int]:
    """For each stretch between two bounds the number of the stream that it goes on.

    That is the one whose last number is nearest, if it is near enough to follow.
    """
    numbers: list[int] = []
    last: dict[int, int] = {}
    count = 0
    for start, end in pairwise(bounds):
        first = int(sequence[start])
        near = [
            (abs(step), number)
            for number, value in last.items()
            if -MAX_MISORDER < (step := _signed(first - value)) < MAX_DROPOUT
        ]
        if near:
            number = min(near)[1]
            del last[number]
        else:
            number = count
            count += 1
        # The least recently heard stands first.
        last[number] = int(sequence[end - 1])
        if len(last) > MAX_AT_ONCE:
            del last[next(iter(last))]
        numbers.append(number)
    return numbers


def _signed(step: Step) -> Step:
    return (step + (1 << 15)) % (1 << 16) - (1 << 15)
