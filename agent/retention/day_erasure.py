"""A marked day's end: claim, move what is held, destroy the keys, delete, and say so.

Each step may be the last of a killed process, and is done again by the next without
harm: what was claimed stays claimed, what was moved opens under its new key, what was
destroyed or deleted is gone, and the mark tells who has a tombstone.
"""

from collections.abc import Collection, Sequence
from datetime import date
from typing import Final

import msgspec
import structlog

from agent.common.errors import AgentError
from agent.formats.audit import Act
from agent.retention.claims import claim_all
from agent.retention.ending import Ending
from agent.retention.keys import destroy_day, destroy_holds, method_of
from agent.retention.marks import Mark
from agent.retention.removal import keep
from agent.retention.report import Left
from agent.retention.rewrapping import EnvelopeLostError, rewrap
from agent.retention.site import Site, each
from agent.retention.survey import filed_later, recordings_of

LATECOMERS: Final = 3
"How often a day is read again because recordings of it have come meanwhile."


class StillArrivingError(AgentError):
    """A day whose time is over gets ever new recordings."""

    permanent = False
    hint = "Find out which host files recordings of today under that day."


async def erase_day(
    site: Site,
    mark: Mark,
    ids: Collection[str],
    now_ns: int,
    *,
    away: Sequence[Left] = (),
) -> tuple[int, list[Left]]:
    """Erase what nothing keeps of a day's recordings `ids`.

    `away` are places of the site that do not answer: without them nothing is complete.
    Returns how many were erased now, and what is left to be done, in which case the
    mark stays. Raises StillArrivingError, KeyringError, AuditLogError, StorageError.
    """
    day, ending = mark.date, Ending(site)
    taken, stuck = await _claim(site, mark, {*ids} - {*mark.told}, now_ns)
    mark = msgspec.structs.replace(mark, ids=tuple(sorted(taken)))
    await site.marks.replace(mark)
    if not stuck:
        await destroy_day(site, day, now_ns)
        await destroy_holds(site, taken, now_ns)
    left = [*away, *stuck, *await ending.envelopes(day, {*taken, *mark.told})]
    if left:
        return 0, left
    method = await method_of(site, day)
    await ending.tell(day, taken, now_ns, method=method, policy=mark.policy)
    mark = mark.tell(taken)
    await site.marks.replace(mark)
    left = await ending.content(day, mark.told)
    if not left:
        if mark.told:
            erased = str(len(mark.told))
            await site.row(Act.SWEEP, day=mark.day, erased=erased, policy=mark.policy)
        await site.marks.replace(mark.completed(now_ns))
    return len(taken), left


async def forget(site: Site, mark: Mark) -> None:
    """End a complete day: the documents of state go, and then its mark.

    Raises StorageError.
    """
    await each(mark.told, site.states.remove)
    await site.marks.remove(mark)


async def _claim(
    site: Site, mark: Mark, ids: set[str], now_ns: int
) -> tuple[set[str], list[Left]]:
    """Take what may be erased, and put what is kept out of harm's way.

    What could not be moved is returned, too: as long as that is so the key must stay.
    """
    taken: set[str] = set()
    stuck: list[Left] = []
    known = {*mark.told}
    found = await recordings_of(site.places, mark.date)
    for _ in range(LATECOMERS):
        known |= ids
        late = ids - found.settled
        later = await filed_later(site.places, mark.date, late, now_ns)
        claims = await claim_all(site.states, ids - later, now_ns)
        taken |= claims.taken
        stuck += await _keep(site, mark.date, claims.kept)
        if later:
            structlog.get_logger().error(
                "recordings_filed_twice", day=mark.day, count=len(later)
            )
            # Whichever is the true one: it may open after this day's key has gone, and
            # one that never opened keeps no key.
            await _keep(site, mark.date, later)
        found = await recordings_of(site.places, mark.date)
        ids = found.ids - known
        if not ids:
            return taken, stuck
    raise StillArrivingError(f"recordings of {mark.day} still arrive.")


async def _keep(site: Site, day: date, kept: Collection[str]) -> list[Left]:
    """What is kept needs no day's key any more, and no lifecycle takes it."""
    for place in site.places:
        await keep(place, day, kept)
    if (keyring := site.keyring) is None:
        return []
    under = keyring.day_identities(day)
    stuck: list[Left] = []

    async def move(recording_id: str) -> None:
        if not under and not await keyring.has_hold_key(recording_id):
            return  # of a day before there was a gate: it lies under no key of ours
        to = await keyring.hold_key(recording_id)
        try:
            moved = await rewrap(site.places, day, recording_id, to=to, under=under)
        except EnvelopeLostError as error:
            stuck.append(Left(day, site.places[0].name, str(error)))
        else:
            if moved:
                await site.row(Act.REWRAP, recording_id=recording_id, to="hold")

    await each(sorted(kept), move)
    return stuck
