"""How it stands with a recording: restriction, holds, open requests; and changing it.

The gate keeps these where there is one. Without it they are written straight into
storage, in every target, and bind those who use these commands and the sweep.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from agent.access.desk import Desk, DeskError
from agent.archive import record_state
from agent.archive.record_state import Hold, HoldKind, RecordState, Restriction
from agent.archive.states import States
from agent.common.ids import new_id


@dataclass(frozen=True, slots=True)
class HeldFor:
    """One reason why a recording is kept."""

    id: str
    kind: str
    owner: str
    "A person's id."
    review: str
    "The day to think again."


@dataclass(frozen=True, slots=True)
class Standing:
    """What holds for a recording beside its content."""

    restricted: bool
    holds: tuple[HeldFor, ...]
    requests: int


async def standing(desk: Desk, recording_id: str) -> Standing:
    """How it stands now. Raises GateError, StateError, StorageError."""
    if desk.gate is not None:
        told = await desk.gate.state(recording_id)
        holds = tuple(
            HeldFor(one.id, one.kind, one.owner, one.review) for one in told.holds
        )
        return Standing(told.restricted, holds, told.requests)
    state = await desk.record_state(recording_id)
    holds = tuple(
        HeldFor(name, one.kind, one.owner, one.review.isoformat())
        for name, one in state.holds.items()
    )
    return Standing(state.restricted is not None, holds, len(state.requests))


async def restrict(desk: Desk, recording_id: str, why: str, reference: str) -> None:
    """From now on only case handlers open it (GDPR Article 18).

    `why` is one word. Raises GateError, StateError, StorageError.
    """
    if desk.gate is not None:
        await desk.gate.restrict(recording_id, why, reference)
        return
    given = Restriction(by=_person(desk), since=desk.today, reason=why)
    await _change(desk, recording_id, lambda state: record_state.restrict(state, given))


async def unrestrict(desk: Desk, recording_id: str) -> None:
    """Lift a restriction. Raises GateError, StateError, StorageError."""
    if desk.gate is not None:
        await desk.gate.unrestrict(recording_id)
        return
    await _change(desk, recording_id, record_state.unrestrict)


async def hold(
    desk: Desk, recording_id: str, kind: HoldKind, review: date, reference: str
) -> str:
    """Keep a recording beyond its time; returns the hold's id.

    Raises GateError, StateError, StorageError.
    """
    if desk.gate is not None:
        return await desk.gate.hold(recording_id, kind, review, reference)
    name = new_id()
    given = Hold(
        kind=kind,
        owner=_person(desk),
        since=desk.today,
        review=review,
        reference=reference,
    )
    await _change(
        desk, recording_id, lambda state: record_state.hold(state, name, given)
    )
    return name


async def lift(desk: Desk, recording_id: str, hold_id: str) -> None:
    """End a hold; what is overdue then is erased within a day.

    Raises GateError, StateError, StorageError.
    """
    if desk.gate is not None:
        await desk.gate.release_hold(recording_id, hold_id)
        return
    await _change(
        desk, recording_id, lambda state: record_state.lift_hold(state, hold_id)
    )


async def _change(
    desk: Desk, recording_id: str, change: Callable[[RecordState], RecordState]
) -> None:
    """Change it in every target that has the recording."""
    changed = False
    for archive in desk.archives:
        if await archive.locate(recording_id) is not None:
            await States(archive.state).change(recording_id, change)
            changed = True
    if not changed:
        raise DeskError("there is no such recording.", hint="Check the id.")


def _person(desk: Desk) -> str:
    if not desk.person:
        raise DeskError(
            "nobody's id stands in the configuration.", hint="Give [person] id."
        )
    return desk.person
