"""Which number means what on one leg: RFC 3264 section 8.3.2, sans-IO.

A payload type keeps its meaning for as long as the leg lives, and an encoding its
number. What the peer says is believed, even where it says something new.
"""

from collections.abc import Iterable
from dataclasses import replace
from itertools import chain
from typing import Final

from agent.model.media import Codec

DYNAMIC: Final = range(96, 128)
"RFC 3551 section 3."

Encoding = tuple[str, int]
"Name in upper case, clock rate."


class PayloadTypes:
    """The payload types of one leg."""

    def __init__(self) -> None:
        self._numbers: dict[Encoding, int] = {}
        self._meanings: dict[int, Encoding] = {}

    @property
    def state(
        self,
    ) -> tuple[tuple[tuple[str, int, int], ...], tuple[tuple[int, str, int], ...]]:
        """Encodings with their numbers, and numbers with their meanings."""
        return (
            tuple((name, rate, n) for (name, rate), n in self._numbers.items()),
            tuple((n, name, rate) for n, (name, rate) in self._meanings.items()),
        )

    def restore(
        self,
        numbers: Iterable[tuple[str, int, int]],
        meanings: Iterable[tuple[int, str, int]],
    ) -> None:
        """Go on where another one stood."""
        self._numbers = {(name, rate): n for name, rate, n in numbers}
        self._meanings = {n: (name, rate) for n, name, rate in meanings}

    def learn(self, number: int, name: str, clock_rate: int) -> None:
        """The peer uses `number` for an encoding."""
        encoding = name.upper(), clock_rate
        self._numbers[encoding] = number
        self._meanings[number] = encoding

    def number(self, name: str, clock_rate: int, wanted: int) -> int:
        """The number of an encoding: `wanted` if it has none and that is free."""
        encoding = name.upper(), clock_rate
        known = self._numbers.get(encoding)
        if known is None or self._meanings[known] != encoding:
            choices = chain((wanted,), range(max(wanted, 96), 128), DYNAMIC)
            known = next(n for n in choices if n not in self._meanings)
            self.learn(known, name, clock_rate)
        return known

    def numbered(self, codecs: Iterable[Codec]) -> tuple[Codec, ...]:
        """The codecs under their numbers on this leg."""
        return tuple(map(self._numbered, codecs))

    def _numbered(self, codec: Codec) -> Codec:
        number = self.number(codec.name, codec.clock_rate, codec.payload_type)
        same = number == codec.payload_type
        return codec if same else replace(codec, payload_type=number)
