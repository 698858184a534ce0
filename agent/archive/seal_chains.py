"""Chains of seals: whether one follows the other, and what is missing between: sans-IO.

A day's seals are numbers out of their hosts' chains, not always in a row: what was
delayed is filed under its own day, and numbered when it left. So the seals of the days
around are held against them too, and tombstones say which are gone by right.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from agent.formats.seal import FIRST, SealPlace


class FindingKind(StrEnum):
    """What is wrong with a day."""

    SEAL_MISSING = "seal-missing"
    "Objects that no host answers for."
    SEAL_REFUSED = "seal-refused"
    "Altered, of a strange host, or of another recording."
    OBJECT_MISSING = "object-missing"
    OBJECT_ALTERED = "object-altered"
    OBJECT_FOREIGN = "object-foreign"
    "Not among those that the host has stored, or with a name that is none."
    ENVELOPE_MISSING = "envelope-missing"
    "Nobody can open the recording, and no tombstone says that it was erased."
    TOMBSTONE_REFUSED = "tombstone-refused"
    "Not the gate's: it explains nothing that is missing."
    CHAIN_HOLE = "chain-hole"
    "What a host stored is gone, seal and all, and no tombstone explains it."
    CHAIN_BROKEN = "chain-broken"
    "A seal does not follow the one before it: one of them was replaced."
    CHAIN_FORKED = "chain-forked"
    "Two seals have one number."


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing that is wrong."""

    kind: FindingKind
    id: str
    "The recording's; empty where it is not known."
    what: str
    "The object's name, or the place in the chain: `host/chain/number`."
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """A seal as its chain knows it."""

    id: str
    day: date
    place: SealPlace
    previous: str


Chain = tuple[str, str]
"Host and chain."


class ChainBook:
    """Seals of a day and of those around, and tombstones; `findings` of the day."""

    def __init__(self, day: date, erased: Iterable[SealPlace] = ()) -> None:
        self._day = day
        self._links: dict[Chain, dict[int, Link]] = {}
        self._forks: list[Finding] = []
        self._erased: dict[Chain, dict[int, str]] = {}
        for place in erased:
            numbers = self._erased.setdefault(_chain(place), {})
            numbers[place.sequence] = place.sha256

    def add(self, link: Link) -> None:
        """Take up a seal whose signature is good."""
        numbers = self._links.setdefault(_chain(link.place), {})
        known = numbers.setdefault(link.place.sequence, link)
        if known.place.sha256 != link.place.sha256 and self._day in {
            known.day,
            link.day,
        }:
            self._forks.append(
                Finding(
                    FindingKind.CHAIN_FORKED,
                    link.id,
                    _named(link.place, link.place.sequence),
                    f"its number is that of {known.id} as well",
                )
            )

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing that seals of further days could still explain."""
        return not any(
            True for chain in self._of_day() for _ in self._missing(chain)
        ) and all(self._next(chain) is not None for chain in self._of_day())

    def findings(self) -> list[Finding]:
        """What is wrong with the day's part of its chains."""
        found = list(self._forks)
        for chain in self._of_day():
            found += self._holes(chain)
            found += self._breaks(chain)
        return sorted(found)

    def _of_day(self) -> list[Chain]:
        return sorted(
            chain
            for chain, links in self._links.items()
            if any(link.day == self._day for link in links.values())
        )

    def _span(self, chain: Chain) -> tuple[int, int]:
        """The first and last number of the day."""
        numbers = [
            number
            for number, link in self._links[chain].items()
            if link.day == self._day
        ]
        return min(numbers), max(numbers)

    def _next(self, chain: Chain) -> int | None:
        """The first number behind the day's last that is there, or was erased."""
        _, last = self._span(chain)
        behind = [
            number
            for number in (*self._links[chain], *self._erased.get(chain, ()))
            if number > last
        ]
        return min(behind, default=None)

    def _missing(self, chain: Chain) -> Iterator[int]:
        """Numbers around the day's own that are neither there nor erased."""
        first, last = self._span(chain)
        # What is behind the last one shows only where something comes after it.
        end = self._next(chain) or last
        links, erased = self._links[chain], self._erased.get(chain, {})
        for number in range(max(1, first - 1), end):
            if number not in links and number not in erased:
                yield number

    def _holes(self, chain: Chain) -> Iterator[Finding]:
        host, name = chain
        for first, last in _runs(self._missing(chain)):
            numbers = f"{first}" if first == last else f"{first}-{last}"
            yield Finding(
                FindingKind.CHAIN_HOLE,
                "",
                f"{host}/{name}/{numbers}",
                "it was stored, and is gone without a tombstone",
            )

    def _breaks(self, chain: Chain) -> Iterator[Finding]:
        links, erased = self._links[chain], self._erased.get(chain, {})
        for number, link in sorted(links.items()):
            before = links.get(number - 1)
            if self._day not in {link.day, before.day if before else link.day}:
                continue
            known = before.place.sha256 if before else erased.get(number - 1)
            if number == 1:
                known = FIRST
            if known is not None and link.previous != known:
                yield Finding(
                    FindingKind.CHAIN_BROKEN,
                    link.id,
                    _named(link.place, number),
                    "it does not follow the seal before it",
                )


def _chain(place: SealPlace) -> Chain:
    return place.host, place.chain


def _named(place: SealPlace, number: int) -> str:
    return f"{place.host}/{place.chain}/{number}"


def _runs(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Ascending numbers as runs, each from its first to its last."""
    first = last = 0
    for number in numbers:
        if first and number != last + 1:
            yield first, last
        if not first or number != last + 1:
            first = number
        last = number
    if first:
        yield first, last
