"""What the legs of one call are called: `a`, who rang; `b1`, `b2`, …, the others."""

from collections.abc import Iterator
from typing import Final

FIRST: Final = "a"
"The leg of the party that rang."


class LegNames(Iterator[str]):
    """Names of the other legs of one call, `b1` and so on."""

    given = 0
    "How many there are."

    def __next__(self) -> str:
        self.given += 1
        return f"b{self.given}"
