"""Tables of what a peer has told, which together hold only so much."""

from collections.abc import Iterator
from typing import Generic, TypeVar

import msgspec

KeyT = TypeVar("KeyT", str, tuple[str, str])
ValueT = TypeVar("ValueT", bound=msgspec.Struct)


class Allowance:
    """How much several tables may still take, in octets of JSON."""

    def __init__(self, octets: int) -> None:
        self.left = octets


class BoundedTable(Generic[KeyT, ValueT]):
    """Values by key, in the order in which the keys first came."""

    def __init__(self, allowance: Allowance) -> None:
        self._allowance = allowance
        self._values: dict[KeyT, ValueT] = {}
        self._sizes: dict[KeyT, int] = {}

    def __contains__(self, key: KeyT) -> bool:
        return key in self._values

    def __iter__(self) -> Iterator[KeyT]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: KeyT) -> ValueT | None:
        return self._values.get(key)

    def values(self) -> tuple[ValueT, ...]:
        return tuple(self._values.values())

    def put(self, key: KeyT, value: ValueT) -> bool:
        """Whether there was room; what is not kept leaves the table as it was."""
        size = len(msgspec.json.encode(value))
        more = size - self._sizes.get(key, 0)
        if more > self._allowance.left:
            return False
        self._allowance.left -= more
        self._values[key] = value
        self._sizes[key] = size
        return True

    def remove(self, key: KeyT) -> ValueT:
        """Forget one that is there; what it was."""
        self._allowance.left += self._sizes.pop(key)
        return self._values.pop(key)
