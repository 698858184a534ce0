"""How a notice sounds to who hears it, judged as it will be played."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from agent.formats.active_level import active_level
from agent.formats.codecs.g711 import decode_alaw
from agent.formats.telephone_audio import (
    LEVEL,
    LOUDEST,
    MAX_LEAD,
    MAX_TAIL,
    QUIETEST,
    RATE,
    peak,
    quiet,
)
from agent.media.sound import Sound

Floats = npt.NDArray[np.float64]

LONG: Final = 30.0
"Seconds after which callers hang up: a notice says that it is recorded, and why."
SHORT: Final = 1.0
"Seconds in which nobody can say so."
CLIPPED: Final = 0.001
"Fraction of samples at full scale from which on it is heard."
_FULL_SCALE: Final = 32_123 / 32_768
"The last step of both laws."
_CONVERT: Final = "Bring it to size: recording-agent notice convert FILE"


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing that is not as it should be with a notice."""

    text: str
    remedy: str
    wrong: bool = False
    "Whether callers may not understand it, or not be told at all."


@dataclass(frozen=True, slots=True)
class NoticeFigures:
    """What was measured."""

    seconds: float
    level: float
    "dBov of active speech (ITU-T P.56); -inf of silence."
    peak: float
    "dBov."
    lead: float
    tail: float
    "Seconds of quiet before and after."
    clipped: float
    "Fraction of samples at full scale."


def samples_of(sound: Sound) -> Floats:
    """A notice's samples as a caller hears them, -1 to 1."""
    return np.frombuffer(decode_alaw(sound.pcma), "<i2") / 32768


def measure(samples: Floats) -> NoticeFigures:
    """Measure a notice of 8000 samples a second."""
    lead, tail = quiet(samples, RATE)
    clipped = float(np.mean(np.abs(samples) >= _FULL_SCALE)) if len(samples) else 0.0
    return NoticeFigures(
        seconds=len(samples) / RATE,
        level=active_level(samples, RATE).level,
        peak=peak(samples),
        lead=lead,
        tail=tail,
        clipped=clipped,
    )


def judge(figures: NoticeFigures) -> Iterator[Remark]:
    """What a caller would mind; nothing of a sound notice."""
    if figures.lead >= figures.seconds:
        yield Remark(
            "nothing is to be heard", "Record it again, or name another.", wrong=True
        )
        return
    if not QUIETEST <= figures.level <= LOUDEST:
        word = "faint" if figures.level < QUIETEST else "loud"
        yield Remark(
            f"too {word}: {figures.level:.1f} dBov while somebody speaks, where"
            f" telephony has {LEVEL:.0f}",
            _CONVERT,
            wrong=True,
        )
    if figures.clipped > CLIPPED:
        yield Remark(
            f"clipped: {figures.clipped * 100:.1f} % of it is at full scale",
            "Record it again, less loud: what was cut off does not come back.",
            wrong=True,
        )
    for seconds, most, where in (
        (figures.lead, MAX_LEAD, "before"),
        (figures.tail, MAX_TAIL, "after"),
    ):
        if seconds > most:
            yield Remark(f"{seconds:.1f} s of silence {where} the words", _CONVERT)
    if figures.seconds > LONG:
        yield Remark(
            f"{figures.seconds:.0f} s long: callers hang up",
            "Say that the call is recorded and what for, and where to read more.",
        )
    elif figures.seconds < SHORT:
        yield Remark(
            f"{figures.seconds:.1f} s long: that says nothing",
            "See whether it is the right file.",
        )
