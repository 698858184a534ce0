"""A day's other envelopes, while one of the day goes early: moved under a newer key.

Then the key that they lay under before can be destroyed, and with it every copy of the
envelope that was to go.
"""

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Final

import structlog

from agent.archive.keyring import Keyring
from agent.formats.audit import Act
from agent.formats.layout import Folder
from agent.retention.marks import marked_record
from agent.retention.report import Left
from agent.retention.rewrapping import EnvelopeLostError, rewrap
from agent.retention.site import Site, each

LOST_AFTER: Final = timedelta(14)
"""Since an erasure was asked for. So long an envelope of its day that opens by no key
has the old key kept, to be restored from a backup; what is held has it kept for ever.
Then it counts as lost, or as junk: else whoever may put objects could keep others from
being erased, whom the law gives a month (GDPR Art. 12(3))."""
_PASSES: Final = 3
"How often a day's envelopes are gone through before what still comes is left."


class OtherEnvelopes:
    """Those of one day that stay, in all places of a site."""

    def __init__(self, site: Site, keyring: Keyring, day: date) -> None:
        self._site = site
        self._keyring = keyring
        self._day = day
        self._log = structlog.get_logger()

    async def move(
        self, going: set[str], newest: int, *, new_key: Callable[[], None]
    ) -> dict[str, Left]:
        """Have them lie under a key of a generation that is newer than `newest`.

        `going` are the ids of those that are to go; `new_key` hears of each that is
        made. What could not be moved is returned, by id; under none what still comes.
        Raises StorageError, AuditLogError.
        """
        keyring, day = self._keyring, self._day
        held = keyring.generations(day)
        if not held:
            return {}  # they have gone, or there never were any: none will go
        # More than one where the keyring is an older one, brought back from a backup.
        while held[-1] <= newest:
            held.append(await keyring.new_generation(day))
            new_key()
            await self._site.row(
                Act.KEY_MADE, day=day.isoformat(), generation=str(held[-1])
            )
        under = keyring.day_identities(day)
        stuck: dict[str, Left] = {}
        moved = 0

        async def move(recording_id: str) -> None:
            nonlocal moved
            to = await keyring.hold_identity(recording_id) or under[0]
            try:
                moved += await rewrap(
                    self._site.places, day, recording_id, to=to, under=under
                )
            except EnvelopeLostError as error:
                left = Left(day, self._site.places[0].name, str(error))
                stuck[recording_id] = left

        for _ in range(_PASSES):
            moved = 0
            await each(sorted(await self._staying() - going), move)
            if not moved:
                return stuck
        reason = "envelopes of that day are being uploaded"
        return stuck | {"": Left(day, self._site.places[0].name, reason)}

    async def not_lost(
        self, stuck: Mapping[str, Left], since_ns: int, now_ns: int
    ) -> list[Left]:
        """What of those that could not be moved has the old key kept.

        `since_ns` is when the erasure was asked for, in nanoseconds of wall clock.
        """
        over = now_ns >= since_ns + LOST_AFTER // timedelta(microseconds=1) * 1000
        left = []
        for recording_id, why in stuck.items():
            held = not recording_id or bool(
                (await self._site.states.read(recording_id)).stops_clock
            )
            if held or not over:
                left.append(why)
                continue
            self._log.critical("envelope_given_up", recording_id=recording_id)
            await self._site.row(
                Act.KEY_PROBLEM, recording_id=recording_id, result="envelope-lost",
                day=why.day.isoformat(),
            )  # fmt: skip
        return left

    async def _staying(self) -> set[str]:
        """The day's recordings that have an envelope anywhere, and are to keep it.

        One that is being erased may have come again from a host. Under a newer key it
        would outlive the key that it goes with.
        """
        states = self._site.states
        found = {
            stored.name.id
            for place in self._site.places
            async for stored in place.archive.list_day(Folder.KEYS, self._day)
        }
        marks = await self._site.marks.names(early=True)
        marked = found.intersection(map(marked_record, marks))
        return found - {one for one in marked if (await states.read(one)).erasing}
