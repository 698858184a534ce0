"""The states of recordings in storage: numbered documents, of which the newest counts.

Whoever changes a state puts the document after the one that was read; only one of two
who do that at once succeeds, and the other begins anew from what the first wrote. None
of them is ever taken away before the record is erased: a gap would let both succeed.
"""

from collections.abc import AsyncIterator, Callable
from typing import Final

import msgspec

from agent.archive.record_state import (
    MAX_STATE,
    RecordErasedError,
    RecordState,
    StateError,
    encode_state,
    parse_state_document,
)
from agent.formats.layout import (
    Folder,
    LayoutError,
    parse_state,
    state_key,
    state_prefix,
)
from agent.upload.backend import ObjectExistsError, StorageBackend, read_object

__all__ = ["RecordErasedError", "RecordState", "StateBusyError", "StateError", "States"]

MAX_CHANGES: Final = 2000
"""Of one recording in its life; its documents are listed for each answer about it.
After them nothing more is put on it. What is lifted is, and so it can be erased."""
ATTEMPTS: Final = 50
"Of one change, where others change the same state at once."


class StateBusyError(StateError):
    """Others change this state without end."""

    permanent = False
    hint = "Try again."


class States:
    """The states in one storage's `url`."""

    def __init__(self, backend: StorageBackend) -> None:
        self._backend = backend

    async def read(self, recording_id: str) -> RecordState:
        """What holds now; a recording without a document has an empty state.

        Raises LayoutError, StateError if the newest document is damaged, StorageError.
        """
        number = 0
        async for info in self._backend.list(state_prefix(recording_id)):
            number = _number(info.key)
        if not number:
            return RecordState(id=recording_id)
        return await self._document(recording_id, number)

    async def change(
        self, recording_id: str, change: Callable[[RecordState], RecordState]
    ) -> RecordState:
        """Make a change durable, whatever others change meanwhile; what holds then.

        `change` may be called several times, each with what holds at the time; what it
        raises goes through, and nothing was changed then. After a StorageError the
        change may have been made: to try it again does no harm.

        Raises RecordErasedError, StateError, LayoutError, StorageError.
        """
        state = await self.read(recording_id)
        for _ in range(ATTEMPTS):
            if state.erasing:
                raise RecordErasedError("The recording is erased.")
            changed = change(state)
            if changed == state:
                return state
            number = state.number + 1
            if number > MAX_CHANGES and not _lessens(state, changed):
                raise StateError("The recording's state was changed too often.")
            changed = msgspec.structs.replace(changed, number=number)
            try:
                await self._backend.put(
                    state_key(recording_id, number), encode_state(changed)
                )
            except ObjectExistsError:
                state = await self.read(recording_id)
            else:
                return changed
        raise StateBusyError("The recording's state is changed by others.")

    async def ids(self) -> AsyncIterator[tuple[str, int]]:
        """Each recording that has a state, and the number of its newest document.

        In the order of ids, by listing alone. Raises StateError, StorageError.
        """
        before, number = "", 0
        async for info in self._backend.list(Folder.STATE):
            recording_id, found = _parsed(info.key)
            if before and recording_id != before:
                yield before, number
            before, number = recording_id, found
        if before:
            yield before, number

    async def all(self) -> AsyncIterator[RecordState]:
        """The newest state of each recording that has one. Raises as `ids` does."""
        async for recording_id, number in self.ids():
            yield await self._document(recording_id, number)

    async def remove(self, recording_id: str) -> None:
        """Take away all documents of a recording that is erased. Raises StorageError.

        The newest goes last: as long as there are any, it is being erased.
        """
        keys = [
            info.key async for info in self._backend.list(state_prefix(recording_id))
        ]
        for key in keys:
            await self._backend.delete(key)

    async def _document(self, recording_id: str, number: int) -> RecordState:
        key = state_key(recording_id, number)
        data = await read_object(self._backend, key, MAX_STATE)
        return parse_state_document(data, recording_id, number)


def _lessens(state: RecordState, changed: RecordState) -> bool:
    """Whether a change only takes away what keeps a record, or begins its end."""
    return (
        changed.holds.items() <= state.holds.items()
        and changed.requests.items() <= state.requests.items()
        and changed.restricted in {None, state.restricted}
        and changed.annotations == state.annotations
    )


def _number(key: str) -> int:
    return _parsed(key)[1]


def _parsed(key: str) -> tuple[str, int]:
    try:
        return parse_state(key)
    except LayoutError as error:
        raise StateError(f"Among documents of state: {error}") from None
