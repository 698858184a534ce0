"""What was written before there was a gate: it signs that when its operator says so.

Until then it believes none of it, since whoever may write to storage could have put it
there. What a document keeps gets its row in the log, as if it were put on now.
"""

from dataclasses import dataclass

from agent.archive import tombstones
from agent.archive.record_state import RecordState
from agent.archive.witness import ADOPTED
from agent.formats.audit import Act
from agent.gate.parts import Parts
from agent.retention.site import Site, each


@dataclass(frozen=True, slots=True)
class Adopted:
    """How many the gate has signed now."""

    records: int
    "That documents of state are about."
    tombstones: int


async def adopt(parts: Parts, site: Site) -> Adopted:
    """Sign every document of state and tombstone that nobody has signed.

    It may be done again. Raises StateError, TombstoneError: one is malformed;
    AuditLogError, StorageError.
    """
    records = 0

    async def one(recording_id: str) -> None:
        nonlocal records
        if await parts.states.adopt(recording_id):
            records += 1
        stored = await parts.states.stored(recording_id)
        if not stored.erasing:
            await _tell(parts, stored)

    await each([found async for found, _ in parts.states.ids()], one)
    graves = 0
    for place in site.places:
        state = place.archive.state
        async for key, _ in tombstones.ids(state):
            graves += await tombstones.adopt(state, key, site.documents)
    await parts.log.append(
        parts.name, Act.CONFIG, result=ADOPTED,
        detail={"records": str(records), "tombstones": str(graves)},
    )  # fmt: skip
    return Adopted(records, graves)


async def adopt_nothing(parts: Parts, site: Site) -> None:
    """At a gate's first start: where there is nothing to be signed, that is told.

    Raises AuditLogError, StorageError.
    """
    if parts.witness.adopted:
        return
    async for _ in parts.states.ids():
        return
    for place in site.places:
        async for _ in tombstones.ids(place.archive.state):
            return
    await adopt(parts, site)


async def _tell(parts: Parts, state: RecordState) -> None:
    """Have the log say what a document says, as far as it does not yet."""
    known = parts.witness.known(state.id)
    log = parts.log
    for name, hold in state.holds.items():
        if name not in known.holds:
            await log.append(
                hold.owner, Act.HOLD, recording_id=state.id, reference=hold.reference,
                detail={
                    "hold": name, "kind": hold.kind, "review": hold.review.isoformat()
                },
            )  # fmt: skip
    by = state.restricted
    if by is not None and known.restricted is None:
        await log.append(
            by.by, Act.RESTRICT, recording_id=state.id, detail={"reason": by.reason}
        )
    for number in sorted({*state.annotations} - {*known.annotations}):
        await log.append(
            parts.name, Act.ANNOTATE, recording_id=state.id,
            detail={"number": str(number)},
        )  # fmt: skip
