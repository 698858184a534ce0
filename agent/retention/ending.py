"""A recording's end, once nothing keeps it: tombstone, audit row, and nothing left.

Used by the sweep and by early erasure. Each step can be done again: a killed process's
successor begins with the first.
"""

from collections.abc import Awaitable, Callable, Collection
from datetime import date

from agent.archive import tombstones
from agent.archive.tombstones import Tombstone
from agent.common.moments import time_text
from agent.formats.audit import Act
from agent.formats.layout import seal_key
from agent.formats.seal import MAX_SEAL, SealError, SealPlace, parse_seal, seal_place
from agent.retention.removal import (
    Removed,
    remove_content,
    remove_envelopes,
)
from agent.retention.report import Left
from agent.retention.site import Place, Site, each
from agent.upload.backend import ObjectMissingError, StorageError, read_object


class Ending:
    """What is done in every place, and written down."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._places = site.places

    async def envelopes(self, day: date, ids: Collection[str]) -> list[Left]:
        """Delete the envelopes; where that did not succeed."""
        return await self._everywhere(day, ids, remove_envelopes)

    async def content(self, day: date, ids: Collection[str]) -> list[Left]:
        """Delete what else there is, but for the states; where something is left."""
        return await self._everywhere(day, ids, remove_content)

    async def tell(
        self, day: date, ids: Collection[str], now_ns: int, *, method: str, policy: str
    ) -> None:
        """Write each record's tombstone in every place, and its row.

        Raises StorageError, AuditLogError; then all of it is to be done again.
        """

        async def one(recording_id: str) -> None:
            stone = Tombstone(
                id=recording_id, created=day, erased_at=time_text(now_ns),
                method=method, policy=policy, seal=await self._seal(day, recording_id),
            )  # fmt: skip
            for place in self._places:
                await tombstones.write(place.archive.state, stone, self._site.documents)
            await self._site.row(
                Act.ERASED, recording_id=recording_id, day=day.isoformat(),
                method=method, policy=policy,
            )  # fmt: skip

        await each(sorted(ids), one)

    async def _seal(self, day: date, recording_id: str) -> SealPlace | None:
        """The place of its seal in the host's chain, which will have a hole there."""
        key = seal_key(day, recording_id)
        for place in self._places:
            try:
                data = await read_object(place.archive.locked, key, MAX_SEAL)
                return seal_place(data, parse_seal(data))
            except (ObjectMissingError, SealError):
                continue
        return None

    async def _everywhere(
        self,
        day: date,
        ids: Collection[str],
        remove: Callable[[Place, date, Collection[str]], Awaitable[Removed]],
    ) -> list[Left]:
        left = []
        for place in self._places:
            try:
                removed = await remove(place, day, ids)
            except (StorageError, OSError) as error:
                left.append(Left(day, place.name, str(error)))
                continue
            if removed.locked:
                reason = f"the lock of {removed.locked} objects has not run out"
                left.append(Left(day, place.name, reason, locked=True))
        return left
