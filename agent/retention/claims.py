"""Where sweep and hold meet: whoever writes a record's next document of state first.

A record that is claimed for erasure can no longer be held, and one that is held can
not be claimed. The documents are create-only, so storage itself settles the race.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

import msgspec

from agent.archive.record_state import RecordErasedError, RecordState
from agent.archive.states import States
from agent.common.errors import AgentError
from agent.common.moments import time_text
from agent.retention.site import each


class HeldError(AgentError):
    """The record's clock stands: it is held, restricted, or asked for."""

    hint = "Lift that first; then it can be erased."

    def __init__(self, words: tuple[str, ...]) -> None:
        super().__init__(f"The record may not be erased: {', '.join(words)}.")
        self.words = words


@dataclass(slots=True)
class Claims:
    """What became of records that were to be erased."""

    taken: set[str] = field(default_factory=set)
    "Nothing may be done with them any more but erase them."
    kept: dict[str, tuple[str, ...]] = field(default_factory=dict)
    "Why each is kept: words among `hold`, `restriction`, `request`."


async def claim(states: States, recording_id: str, now_ns: int) -> None:
    """Take a record for erasure; it may have been taken before.

    Raises HeldError, StorageError.
    """

    def take(state: RecordState) -> RecordState:
        if words := state.stops_clock:
            raise HeldError(words)
        return msgspec.structs.replace(state, erasing=time_text(now_ns))

    try:
        await states.change(recording_id, take)
    except RecordErasedError:
        return


async def claim_all(states: States, ids: Iterable[str], now_ns: int) -> Claims:
    """Take each record that nothing keeps. Raises StorageError."""
    claims = Claims()

    async def one(recording_id: str) -> None:
        try:
            await claim(states, recording_id, now_ns)
        except HeldError as error:
            claims.kept[recording_id] = error.words
        else:
            claims.taken.add(recording_id)

    await each(sorted(ids), one)
    return claims
