"""Packets of a leg in codecs that were never agreed: somebody else may be there."""

from typing import Final

STRANGE_RUN: Final = 100
"Packets of one payload type that was not agreed: two seconds, longer than a stray key."
_NO_CODECS: Final = frozenset({13, 19, *range(64, 96)})
"Comfort noise, and what RTCP on the same port looks like (RFC 5761 section 4)."


class StrangeCodecs:
    """Those heard since the last negotiation, by payload type."""

    def __init__(self) -> None:
        self._packets: dict[int, int] = {}

    def note(self, payload_type: int) -> bool:
        """Count a packet; tells whether it makes the run that is a change of codec."""
        if payload_type in _NO_CODECS:
            return False
        count = self._packets[payload_type] = self._packets.get(payload_type, 0) + 1
        return count == STRANGE_RUN

    def clear(self) -> None:
        """Something else is agreed now."""
        self._packets.clear()

    @property
    def heard(self) -> tuple[int, ...]:
        """Those of which there was a run."""
        counts = self._packets.items()
        return tuple(sorted(number for number, n in counts if n >= STRANGE_RUN))
