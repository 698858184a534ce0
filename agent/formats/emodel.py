"""The E-model, as far as a recorder can know its inputs: loss → an opinion score.

ITU-T G.107 (narrow band) and G.107.1 (wide band), everything at its default but the
coder and the loss. Delay is left at 0: nobody in the middle of a call knows how long
speech takes from mouth to ear. So the estimate is of what was received, as it sounds
in the recording, where a lost packet is silence; it is not of the conversation.
"""

from typing import Final, NamedTuple

MAX_LOSS: Final = 100.0
"Per cent."
MAX_BURST_RATIO: Final = 2.0
"G.107 knows burst ratios from 1 to 2: beyond, its curve was never fitted."


class Coder(NamedTuple):
    """What a coder does to speech, on its own scale."""

    rating: float
    "R of a connection without a fault: R0 less the impairments that are always there."
    scale: float
    "By what R is divided before it is turned into an opinion."
    impairment: float
    "Ie (G.113 appendix I) or Ie,wb (appendix IV): of the coder alone."
    robustness: float
    "Bpl: loss, in per cent, that halves what is left. Low is sensitive."


G711: Final = Coder(93.2, 1.0, 0.0, 4.3)
"Without concealment (G.113 appendix I): the recording has silence where a packet was."
WIDE: Final = Coder(129.0, 1.29, 13.0, 4.3)
"""G.722 at 64 kbit/s (G.107.1, Ie,wb of G.113). For Opus nothing is published, and for
neither a robustness without concealment: G.711's is assumed."""
_NARROW_NAMES: Final = frozenset({"PCMA", "PCMU"})


def coder_of(name: str) -> Coder:
    """The coder of an encoding name."""
    return G711 if name in _NARROW_NAMES else WIDE


def rating(coder: Coder, loss: float, burst_ratio: float) -> float:
    """The transmission rating R on the coder's scale: G.107 section 7.5.

    Args:
        coder: what speech was coded by.
        loss: per cent of the packets, 0 to 100.
        burst_ratio: mean length of a loss, in units of what random loss would have.
    """
    loss = min(max(loss, 0.0), MAX_LOSS)
    burst_ratio = min(max(burst_ratio, 1.0), MAX_BURST_RATIO)
    share = loss / (loss / burst_ratio + coder.robustness)
    return coder.rating - coder.impairment - (95 - coder.impairment) * share


def opinion(rating: float) -> float:
    """R of the narrow-band scale → MOS, 1 to 4.5: G.107 annex B."""
    if rating <= 0:
        return 1.0
    if rating >= 100:
        return 4.5
    score = 1 + 0.035 * rating + rating * (rating - 60) * (100 - rating) * 7e-6
    return max(score, 1.0)


def mos(name: str, loss: float, burst_ratio: float = 1.0) -> float:
    """The mean opinion score of speech in a codec, as `rating` takes the rest."""
    coder = coder_of(name)
    return opinion(rating(coder, loss, burst_ratio) / coder.scale)
