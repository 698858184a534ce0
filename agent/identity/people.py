"""Whom recordings are for and who takes calls, as of today.

From the signed roster where there is one; else from the configuration and the file of
officers, for which nobody vouches.
"""

from collections.abc import Callable, Sequence
from datetime import date
from functools import lru_cache

from agent.formats.age import Recipient, parse_recipient
from agent.formats.roster import Role, Roster
from agent.identity.directory import Directory, OfficerEntry
from agent.identity.numbers import FINLAND, IdentityConfig


class People:
    """Those who open recordings, and the officers.

    Somebody's first and last day in the roster count without anything being read again.
    """

    def __init__(
        self,
        quality: Sequence[Recipient] = (),
        directory: Directory | None = None,
        *,
        roster: Roster | None = None,
        identity: IdentityConfig = FINLAND,
        today: Callable[[], date],
    ) -> None:
        """`quality` and `directory` count only without a `roster`."""
        self._quality = tuple(quality)
        self._directory = Directory(()) if directory is None else directory
        self._identity = identity
        self._today = today
        self._roster = roster
        self._day: date | None = None

    def __repr__(self) -> str:
        return f"People(roster={self._roster!r})"

    @property
    def roster(self) -> Roster | None:
        """The newest that was believed."""
        return self._roster

    def replace(self, roster: Roster) -> None:
        """Go by another roster from now on."""
        self._roster = roster
        self._day = None

    def become(self, other: "People") -> None:
        """Go by what `other` was made of; never by an older roster than our own."""
        if other.roster is None:
            if self._roster is None:
                self._quality = other.quality()
                self._directory = other.directory()
        elif self._roster is None or other.roster.serial >= self._roster.serial:
            self.replace(other.roster)

    def quality(self) -> tuple[Recipient, ...]:
        """Who opens every recording that begins now: quality staff and recovery."""
        self._follow()
        return self._quality

    def directory(self) -> Directory:
        """Today's officers."""
        self._follow()
        return self._directory

    def _follow(self) -> None:
        if self._roster is None or self._day == (today := self._today()):
            return
        self._quality = openers(self._roster, today)
        self._directory = directory_of(self._roster, today, self._identity)
        self._day = today


def openers(roster: Roster, today: date) -> tuple[Recipient, ...]:
    """The recipients of a recording of that day, beside its officers."""
    texts = (*roster.quality_recipients(today), *roster.recovery)
    return tuple(_recipient(text) for text in texts)


def directory_of(
    roster: Roster, today: date, identity: IdentityConfig = FINLAND
) -> Directory:
    """The officers of a day, one entry for each of their numbers."""
    return Directory(
        (
            OfficerEntry(number, person.name, person.recipient)
            for person in roster.active(Role.OFFICER, today)
            for number in person.numbers
        ),
        config=identity,
    )


@lru_cache(maxsize=256)
def _recipient(text: str) -> Recipient:
    """Parsed once: a post-quantum key takes a millisecond."""
    return parse_recipient(text)
