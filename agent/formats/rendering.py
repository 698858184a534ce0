"""One leg as 16-bit samples at one rate, in order, whatever codecs it came in."""

from collections.abc import Iterator
from typing import Final

import numpy as np
import numpy.typing as npt

from agent.formats.anchors import STEPS_PER_S
from agent.formats.codecs.g711 import decode_alaw, decode_ulaw
from agent.formats.codecs.g722 import SAMPLE_RATE as G722_RATE, G722Decoder
from agent.formats.codecs.opus import (
    CLOCK_RATE,
    concealment,
    is_well_formed,
    packet_ticks,
)
from agent.formats.codecs.opus_audio import decode
from agent.formats.durations import is_opus
from agent.formats.resampling import REACH, upsample
from agent.formats.stretching import stretched
from agent.formats.timeline import Frame, LegResult

Samples = npt.NDArray[np.int16]
Floats = npt.NDArray[np.float64]
Block = tuple[int, Samples]
"A position in samples, and what lies there; blocks come in order, without overlap."

G711_RATE: Final = 8000
STEP: Final = 6
"What `read` is asked for is a multiple of it: the largest factor between two rates."
MAX_RUN: Final = 15_000
"Packets of Opus decoded at once: five minutes."
PREROLL: Final = 10
"Packets decoded twice, so that a run that goes on is heard to: 80 ms are enough."
MAX_CONCEALED: Final = 5760
"Ticks a decoder is made to bridge; after more it begins anew."
_DRIFT: Final = CLOCK_RATE // STEPS_PER_S
"Ticks by which a gap that can be bridged may be longer or shorter than its packets."
_LAWS: Final = {"PCMA": decode_alaw, "PCMU": decode_ulaw}


def is_known(name: str) -> bool:
    """Whether audio of this encoding can be rendered."""
    return name in _LAWS or name == "G722" or is_opus(name)


class LegAudio:
    """Reads a leg from its start to its end, once.

    `rate` is a multiple of 8000 that is not below that of any of its codecs; Opus is
    decoded to it, from 16 kHz on.
    """

    def __init__(self, leg: LegResult, rate: int) -> None:
        names = leg.audio_codecs
        self._layers = []
        if names & _LAWS.keys():
            self._layers.append(_Layer(_g711(leg), rate // G711_RATE))
        if "G722" in names:
            self._layers.append(_Layer(_g722(leg), rate // G722_RATE))
        if any(map(is_opus, names)):
            self._layers.append(_Layer(_opus(leg, rate), 1))

    def read(self, count: int) -> Samples:
        """The next `count` samples, a multiple of STEP; silence where nothing is."""
        mixed = np.zeros(count)
        for layer in self._layers:
            mixed += layer.read(count)
        return np.clip(np.rint(mixed), -32768, 32767).astype(np.int16)


class _Layer:
    """The blocks of one codec, laid on silence and brought to the common rate."""

    def __init__(self, blocks: Iterator[Block], factor: int) -> None:
        self._blocks = blocks
        self._next = next(blocks, None)
        self._factor = factor
        self._window = np.zeros(REACH, np.int16)
        self._base = -REACH
        "Position of the window's first sample."

    def read(self, count: int) -> Floats:
        wanted = count // self._factor
        size = wanted + 2 * REACH
        self._fill(size)
        window = self._window[:size].astype(np.float64)
        self._window = self._window[wanted:]
        self._base += wanted
        return upsample(window, self._factor)

    def _fill(self, size: int) -> None:
        """Lay what begins within `size` samples of the window."""
        pieces = [self._window]
        end = self._base + len(self._window)
        limit = self._base + size
        while self._next is not None and self._next[0] < limit:
            position, samples = self._next
            # Halves of a sample are lost where clocks are divided.
            samples = samples[max(end - position, 0) :]
            pieces += [np.zeros(max(position - end, 0), np.int16), samples]
            end = max(end, position) + len(samples)
            self._next = next(self._blocks, None)
        pieces.append(np.zeros(max(limit - end, 0), np.int16))
        self._window = np.concatenate(pieces)


def _g711(leg: LegResult) -> Iterator[Block]:
    ticks = leg.clock_rate // G711_RATE
    for frame in leg.frames_of(_LAWS):
        law = _LAWS[frame.codec]
        samples = np.frombuffer(law(bytes(frame.payload)), "<i2")
        samples = stretched(samples, frame.stretch // ticks, samples)
        start = frame.skip // ticks
        end = start + frame.length // ticks
        yield frame.position // ticks, samples[start:end]


def _g722(leg: LegResult) -> Iterator[Block]:
    decoder, source = G722Decoder(), -1
    for frame in leg.frames_of({"G722"}):
        if frame.source != source:
            decoder, source = G722Decoder(), frame.source
        samples = np.frombuffer(decoder.decode(bytes(frame.payload)), np.int16)
        start, length, position, stretch = (
            ticks * G722_RATE // leg.clock_rate
            for ticks in (frame.skip, frame.length, frame.position, frame.stretch)
        )
        samples = stretched(samples, stretch, samples)
        yield position, samples[start : start + length]


def _opus(leg: LegResult, rate: int) -> Iterator[Block]:
    """Run after run of packets that one decoder takes without a break."""
    run: list[tuple[bytes, Frame | None]] = []
    due, source = 0, -1
    for frame in leg.frames_of({name for name in leg.codecs if is_opus(name)}):
        packet = bytes(frame.payload)
        bridge = _bridge(run, frame.position - frame.skip - due)
        if frame.source != source or bridge is None:
            yield from _decoded(run, rate)
            run, bridge = [], []
        elif len(run) >= MAX_RUN:
            yield from _decoded(run, rate)
            run = [(before, None) for before, _ in run[-PREROLL:]]
        run += [(lost, None) for lost in bridge]
        run.append((packet, frame))
        due = frame.position - frame.skip + packet_ticks(packet) + frame.stretch
        source = frame.source
    yield from _decoded(run, rate)


def _bridge(run: list[tuple[bytes, Frame | None]], gap: int) -> list[bytes] | None:
    """What stands for a `gap` of so many ticks after a run; None if nothing can."""
    if abs(gap) <= _DRIFT:
        return []
    if not run or not 0 < gap <= MAX_CONCEALED:
        return None
    [lost, *_] = concealment(run[-1][0])
    count, rest = divmod(gap + _DRIFT, packet_ticks(lost))
    return None if rest > 2 * _DRIFT else [lost] * count


def _decoded(run: list[tuple[bytes, Frame | None]], rate: int) -> Iterator[Block]:
    per_tick = CLOCK_RATE // rate
    # What lasts but does not parse would end the stream: it is bridged as lost.
    packets = ((packet, is_well_formed(packet)) for packet, _ in run)
    for (packet, frame), samples in zip(run, decode(packets, rate), strict=True):
        if frame is not None and is_well_formed(packet):
            heard = stretched(samples, frame.stretch // per_tick, samples)
            start, end = frame.skip // per_tick, (frame.skip + frame.length) // per_tick
            yield frame.position // per_tick, heard[start:end]
