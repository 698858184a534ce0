"""A segment from its opening to its seal, as the recorder and the sealing know it."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from agent.call.state import SegmentState
from agent.model.recording import SegmentEnd


@dataclass(slots=True, kw_only=True)
class OpenSegment:
    """One segment that is being captured or finished."""

    recording_id: str
    call_id: str
    key_id: bytes
    recipient: str
    journal_key: bytes = field(repr=False)
    lost: bool = False
    "Whether its private key went with the process before, and no envelope is."
    gap: bool = False
    "Whether capture was interrupted: a worker died, a disk filled."
    journals: list[Path] = field(default_factory=list)
    "Those that exist, in the order of their epochs."
    discarded: bool = False
    "Whether nothing of it is to be kept."
    end: SegmentEnd | None = None
    "Told to the worker: what fails from then on ends no other segment."
    closed: "asyncio.Future[bool]"
    "Whether its journal is whole."
    metadata_size: int = 0
    "Octets of a recording client's metadata kept in it by this process …"
    documents: int = 0
    "… and in how many documents."
    metadata_left_out: bool = False
    "Whether there was more than is kept."

    @property
    def state(self) -> SegmentState:
        """All of it but the key, for the process after this one."""
        return SegmentState(
            recording_id=self.recording_id,
            call_id=self.call_id,
            key_id=self.key_id,
            recipient=self.recipient,
            gap=self.gap,
            end=self.end,
            closed=self.closed.result() if self.closed.done() else None,
            discarded=self.discarded,
        )
