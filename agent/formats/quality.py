"""How well a leg was received and what is to be thought of it.

FORMAT.md section 8 has the rules as a table. Time in which a leg was held, or the
agent itself did not listen, is not counted against it.
"""

from collections.abc import Iterable, Set as AbstractSet
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from agent.formats.emodel import mos
from agent.formats.loudness import BLOCKS_PER_SECOND, LevelMeter
from agent.formats.timeline import LegResult
from agent.formats.track import GapReason
from agent.model.recording import Channel, Verdict

Flags = npt.NDArray[np.bool_]

HEARD_MS: Final = 200
"Somebody of whom less than this is to be heard was silent …"
JUDGED_MS: Final = 3000
"… if there was this much time to say something."
GOOD_MOS: Final = 3.6
"R of 70 (G.107 annex B): below it many are dissatisfied."
LONG_GAP_MS: Final = 1000
"Words are missing."
LONG_ABSENCE_MS: Final = 30_000
"Even who listens sends something, or at least breathes, within this time."
CLIPPED_SHARE: Final = 0.001
"Eight samples a second at full scale are to be heard."
HIGH_JITTER_MS: Final = 50.0
"More than the jitter buffers of phones commonly hold."

EXCUSED: Final = frozenset(
    {GapReason.HOLD, GapReason.PAUSE, GapReason.GAP, GapReason.ABSENT}
)
"Nobody expects audio there."
_MISSED: Final = frozenset({GapReason.LOST, GapReason.GAP})
"Audio that was there and is not in the recording."
_ABSENT: Final = frozenset({GapReason.SILENCE, GapReason.LATE_START})
"Nothing was sent."
_BLOCK_MS: Final = 1000 // BLOCKS_PER_SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class LegQuality:
    """One leg, as received."""

    loss_percent: float
    "Of the packets that were sent, as far as sequence numbers tell."
    longest_gap_ms: int
    "The longest that was lost, or not listened to by the agent, at a stretch."
    listened_ms: int
    "In which audio was expected, in blocks of 20 ms."
    silence: float
    "Share of that time in which nothing was to be heard: no audio, or below -50 dB."
    clipping: float
    "Share of the received samples that are at full scale."
    mos: float | None
    "The E-model's estimate; None where nothing was received."
    verdict: Verdict


def assess(leg: LegResult, meter: LevelMeter) -> LegQuality:
    """Judge a leg of which `meter` has measured every sample."""
    loud = meter.loud
    listened = _listened(leg, len(loud))
    listened_ms = int(np.count_nonzero(listened)) * _BLOCK_MS
    heard_ms = int(np.count_nonzero(loud & listened)) * _BLOCK_MS
    figures = leg.figures
    sent = figures.lost + figures.packets
    loss = figures.lost / sent if sent else 0.0
    received = sum(leg.heard.values()) * meter.sample_rate // leg.clock_rate
    score = None
    if received:
        score = mos(_codec(leg), 100 * loss, _burst_ratio(leg, loss))
    longest_gap_ms = _longest_ms(leg, _MISSED)
    clipping = min(meter.clipped / received, 1.0) if received else 0.0
    if score is None or (heard_ms < HEARD_MS and listened_ms >= JUDGED_MS):
        excused = not listened_ms and not listened.all()
        verdict = Verdict.GOOD if excused else Verdict.SILENT
    elif (
        score < GOOD_MOS
        or longest_gap_ms >= LONG_GAP_MS
        or _longest_ms(leg, _ABSENT) >= LONG_ABSENCE_MS
        or clipping >= CLIPPED_SHARE
        or figures.jitter_ms >= HIGH_JITTER_MS
    ):
        verdict = Verdict.DEGRADED
    else:
        verdict = Verdict.GOOD
    return LegQuality(
        loss_percent=round(100 * loss, 3),
        longest_gap_ms=longest_gap_ms,
        listened_ms=listened_ms,
        silence=round(1 - heard_ms / listened_ms, 4) if listened_ms else 0.0,
        clipping=round(clipping, 6),
        mos=None if score is None else round(score, 2),
        verdict=verdict,
    )


def overall(legs: Iterable[tuple[Channel, Verdict]]) -> Verdict:
    """What is to be thought of the recording: the worst that holds.

    A side is silent if each of its legs is; a mixed stream is the leg of both sides.
    """
    verdicts = list(legs)
    heard = {
        side
        for channel, verdict in verdicts
        if verdict is not Verdict.SILENT
        for side in channel.sides
    }
    if len(heard) < len(Channel.BOTH.sides):
        return Verdict.ONE_WAY if heard else Verdict.SILENT
    degraded = any(verdict is Verdict.DEGRADED for _, verdict in verdicts)
    return Verdict.DEGRADED if degraded else Verdict.GOOD


def _listened(leg: LegResult, blocks: int) -> Flags:
    """Of each block whether audio was expected in all of it."""
    listened = np.ones(blocks, np.bool_)
    ticks = leg.clock_rate // BLOCKS_PER_SECOND
    for gap in leg.gaps:
        if gap.reason in EXCUSED:
            end = gap.start + gap.samples
            listened[gap.start // ticks : -(-end // ticks)] = False
    return listened


def _longest_ms(leg: LegResult, reasons: AbstractSet[GapReason]) -> int:
    """The longest stretch without a break that has one of these reasons."""
    longest = length = end = 0
    for gap in leg.gaps:
        if gap.reason not in reasons:
            continue
        length = gap.samples + (length if gap.start == end else 0)
        end = gap.start + gap.samples
        longest = max(longest, length)
    return longest * 1000 // leg.clock_rate


def _burst_ratio(leg: LegResult, loss: float) -> float:
    """G.107: the mean length of a loss, over what random loss would have made it."""
    bursts = sum(gap.reason is GapReason.LOST for gap in leg.gaps)
    return leg.figures.lost / bursts * (1 - loss) if bursts else 1.0


def _codec(leg: LegResult) -> str:
    """The encoding name of most of the audio."""
    return max(leg.heard, key=leg.heard.__getitem__)
