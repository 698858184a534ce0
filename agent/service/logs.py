"""How much of a number a log line shows."""

from typing import Literal

from agent.identity.numbers import mask


class Masker:
    """Shows numbers as the configuration allows."""

    def __init__(self, numbers: Literal["masked", "full"]) -> None:
        self._full = numbers == "full"

    def __call__(self, number: str) -> str:
        return number if self._full else mask(number)
