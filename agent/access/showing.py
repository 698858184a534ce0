"""Everything there is to see of one recording: tags, quality, state, annotations."""

from dataclasses import dataclass, field
from datetime import date

from agent.access.annotating import Annotation, annotations
from agent.access.desk import Desk
from agent.access.opening import Opened
from agent.access.reason import Reason
from agent.access.standing import Standing, standing
from agent.formats.envelope import open_envelope


@dataclass(frozen=True, slots=True)
class Shown:
    """What one person may see of a recording."""

    opened: Opened
    standing: Standing
    annotations: list[Annotation] = field(repr=False)


async def show(
    desk: Desk, recording_id: str, reason: Reason, *, day: date | None = None
) -> Shown:
    """Open and verify a recording, and look at what belongs to it.

    Raises what `Desk.open`, `standing` and `annotations` raise.
    """
    found = await desk.collect(recording_id, reason, day=day)
    opened = desk.verified(found)
    key = open_envelope(found.envelope, desk.identities)
    notes = await annotations(desk, recording_id, key)
    return Shown(opened, await standing(desk, recording_id), notes)
