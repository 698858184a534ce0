"""How it stands with one leg of a call, for whoever asks: no number, no address."""

import msgspec

from agent.call.leg import Leg
from agent.media.events import LegStats
from agent.model.media import Direction, NegotiatedAudio


class LegStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One leg that has media."""

    name: str
    "`a`: who rang; `b1`, `b2`, …: whom we rang; `s1`, …: a recording client's streams."
    codec: str = ""
    "As SDP names it; empty until something is agreed."
    encrypted: bool = False
    held: bool = False
    "Whether its party sends nothing, or wants to hear nothing, of its own accord."
    received: int | None = None
    "RTP packets; None, as the two below, until they were counted first."
    lost: int | None = None
    "Packets that were expected and did not come."
    jitter_ms: float | None = None
    "Interarrival jitter (RFC 3550 section 6.4.1)."

    @property
    def loss(self) -> float | None:
        """Fraction of what was expected that is lost, 0 to 1; None if nothing was."""
        if self.received is None or self.lost is None:
            return None
        expected = self.received + self.lost
        return self.lost / expected if expected > 0 else None


def leg_status(leg: Leg, figures: LegStats | None) -> LegStatus:
    """`figures` are what its worker has counted, if it has said so already."""
    held = leg.asked is not Direction.SENDRECV
    return status_of(leg.name, leg.audio, figures, held=held)


def status_of(
    name: str, audio: NegotiatedAudio | None, figures: LegStats | None, *, held: bool
) -> LegStatus:
    """Likewise, of what has a name and may have agreed on audio."""
    return LegStatus(
        name=name,
        codec="" if audio is None else audio.codec.name,
        encrypted=audio is not None and audio.srtp is not None,
        held=held,
        received=None if figures is None else figures.received,
        lost=None if figures is None else max(0, figures.lost),
        jitter_ms=None if figures is None else figures.jitter_ms,
    )
