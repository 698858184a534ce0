"""Everything there is to see of one recording: tags, quality, state, annotations."""

from dataclasses import dataclass, field
from datetime import date

from agent.access.annotating import Annotation, annotations
from agent.access.desk import Desk
from agent.access.opening import Opened
from agent.access.other_hosts import OtherRecording, other_hosts
from agent.access.reason import Reason
from agent.access.standing import Standing, standing
from agent.formats.envelope import open_envelope


@dataclass(frozen=True, slots=True)
class Shown:
    """What one person may see of a recording."""

    opened: Opened
    standing: Standing
    annotations: list[Annotation] = field(repr=False)
    others: list[OtherRecording] = field(default_factory=list)
    "Of the same call, by other hosts; empty where nobody asked for them."


async def show(
    desk: Desk,
    recording_id: str,
    reason: Reason,
    *,
    day: date | None = None,
    others: bool = False,
) -> Shown:
    """Open and verify a recording, and look at what belongs to it.

    `others`: look for what other hosts have recorded of the call. Raises what
    `Desk.open`, `standing`, `annotations` and `other_hosts` raise.
    """
    found = await desk.collect(recording_id, reason, day=day)
    opened = desk.verified(found)
    key = open_envelope(found.envelope, desk.identities)
    notes = await annotations(desk, recording_id, key)
    found_too = await other_hosts(desk, opened.manifest, reason) if others else []
    return Shown(opened, await standing(desk, recording_id), notes, found_too)
