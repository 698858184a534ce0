"""The E-model, as far as a recorder can know its inputs: loss → an opinion score.

ITU-T G.107 (06/2015, narrow band) and G.107.1 (06/2019 with Cor. 1, wide band),
everything at its default but the coder and the loss: R = R0 - Is - Id - Ie,eff + A
(equation 7-1 of either) is the default's R less Ie,eff. Delay is left at 0: nobody in
the middle of a call knows how long speech takes from mouth to ear. So the estimate is
of what was received, as it sounds in the recording, where a lost packet is silence; it
is not of the conversation.
"""

from typing import Final, NamedTuple

MAX_LOSS: Final = 100.0
"Per cent."
MAX_BURST_RATIO: Final = 2.0
"G.107 clause 7.5 knows burst ratios from 1 to 2; beyond, its curve was not validated."
_DEEPEST: Final = 95.0
"What loss can take from R at most, on either scale: equations 7-29 and 7-15."


class Coder(NamedTuple):
    """What a coder does to speech, on its own scale."""

    rating: float
    "R of a connection without a fault: with all the defaults of clause 7.7."
    scale: float
    "By what R is divided before it is turned into an opinion: G.107.1 equation A-1."
    impairment: float
    "Ie (G.113 table I.1) or Ie,wb (G.113 table IV.1): of the coder alone."
    robustness: float
    "Bpl: loss, in per cent, that halves what is left. Low is sensitive."


G711: Final = Coder(93.2, 1.0, 0.0, 4.3)
"""G.113 table I.4, without concealment: the recording has silence where a packet was.
With it Bpl would be 25.1."""
WIDE: Final = Coder(129.0, 1.29, 13.0, 4.3)
"""G.722 at 64 kbit/s; where 14 is given for its Ie,wb, the opinion is 0.02 lower. G.113
has no value for Opus, and for neither a robustness: G.711's is assumed, which is also
the least that table IV.4 has for AMR-WB (4.3 to 4.9)."""
_NARROW_NAMES: Final = frozenset({"PCMA", "PCMU"})


def coder_of(name: str) -> Coder:
    """The coder of an encoding name."""
    return G711 if name in _NARROW_NAMES else WIDE


def rating(coder: Coder, loss: float, burst_ratio: float) -> float:
    """The transmission rating R on the coder's scale.

    Ie,eff is that of G.107 equation 7-29; G.107.1 equation 7-15 is the same for random
    loss, and knows no other: that bursts are as much worse in wide band is assumed.

    Args:
        coder: what speech was coded by.
        loss: per cent of the packets, 0 to 100.
        burst_ratio: mean length of a loss, in units of what random loss would have.
    """
    loss = min(max(loss, 0.0), MAX_LOSS)
    burst_ratio = min(max(burst_ratio, 1.0), MAX_BURST_RATIO)
    share = loss / (loss / burst_ratio + coder.robustness)
    return coder.rating - coder.impairment - (_DEEPEST - coder.impairment) * share


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
