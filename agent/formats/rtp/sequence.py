"""Wrapping counters made endless: RTP sequence numbers and timestamps."""


class Unwrapper:
    """Extends a counter of `bits` bits; past it nobody sees the wrap.

    The first value comes out as it went in. Later ones may come out negative, where
    a packet from before the first arrives after it.
    """

    __slots__ = ("_half", "_last", "_modulus")

    def __init__(self, bits: int) -> None:
        self._modulus = 1 << bits
        self._half = self._modulus >> 1
        self._last: int | None = None

    def unwrap(self, value: int) -> int:
        """Extend `value`; a step under half the range, either way, is believed."""
        if self._last is None:
            self._last = value
            return value
        step = (value - self._last) % self._modulus
        if step >= self._half:
            step -= self._modulus
        self._last += step
        return self._last
