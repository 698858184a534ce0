"""The states of recordings in storage: numbered documents, of which the newest counts.

Whoever changes a state puts the document after the one that was read; only one of two
who do that at once succeeds, and the other begins anew from what the first wrote. None
of them is ever taken away before the record is erased: a gap would let both succeed.

Where there is a gate it signs them, each names the one before it, and what its audit
log says is in force stays so although documents went missing (agent.archive.witness).
"""

import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

import msgspec

from agent.archive.documents import MAX_SIGNATURE, PLAIN, DocumentError, Documents
from agent.archive.record_state import (
    MAX_STATE,
    RecordErasedError,
    RecordState,
    StateError,
    encode_state,
    parse_state_document,
)
from agent.archive.witness import Witness
from agent.formats.layout import (
    Folder,
    LayoutError,
    parse_state,
    state_key,
    state_prefix,
)
from agent.formats.sshsig import Namespace
from agent.upload.backend import ObjectExistsError, StorageBackend, read_object

__all__ = ["RecordErasedError", "RecordState", "StateBusyError", "StateError", "States"]

MAX_CHANGES: Final = 2000
"""Of one recording in its life; its documents are listed for each answer about it.
After them nothing more is put on it. What is lifted is, and so it can be erased."""
ATTEMPTS: Final = 50
"Of one change, where others change the same state at once."
PASSED: Final = 20
"Newer documents that are not the gate's and are passed by before it gives up."


class StateBusyError(StateError):
    """Others change this state without end."""

    permanent = False
    hint = "Try again."


@dataclass(frozen=True, slots=True)
class _Stored:
    """The newest document, and its digest."""

    state: RecordState
    digest: str = ""


class States:
    """The states in one storage's `url`."""

    def __init__(
        self,
        backend: StorageBackend,
        documents: Documents = PLAIN,
        witness: Witness | None = None,
    ) -> None:
        """`witness` says what is in force, whatever became of the documents."""
        self._backend = backend
        self._documents = documents
        self._witness = witness

    async def read(self, recording_id: str) -> RecordState:
        """What holds now; a recording without a document has an empty state.

        Raises LayoutError, StateError if the newest document is not to be believed,
        StorageError.
        """
        return self._in_force((await self._newest(recording_id)).state)

    async def stored(self, recording_id: str) -> RecordState:
        """What the newest document says, whatever is in force. Raises as `read`."""
        return (await self._newest(recording_id)).state

    async def flaws(self, recording_id: str) -> list[str]:
        """What is wrong with the chain of its documents. Raises StorageError."""
        found, before, expected = [], "", 1
        async for info in self._backend.list(state_prefix(recording_id)):
            number = _number(info.key)
            if number != expected:
                found.append(f"{state_key(recording_id, expected)}: missing")
                before = ""
            try:
                one = await self._document(recording_id, number)
            except StateError as error:
                found.append(f"{info.key}: {error}")
                before = ""
            else:
                if before and one.state.previous != before:
                    found.append(f"{info.key}: it follows another document")
                before = one.digest
            expected = number + 1
        return found

    async def change(
        self, recording_id: str, change: Callable[[RecordState], RecordState]
    ) -> RecordState:
        """Make a change durable, whatever others change meanwhile; what holds then.

        `change` may be called several times, each with what holds at the time; what it
        raises goes through, and nothing was changed then. After a StorageError the
        change may have been made: to try it again does no harm.

        Raises RecordErasedError, StateError, LayoutError, StorageError.
        """
        newest = await self._newest(recording_id)
        for _ in range(ATTEMPTS):
            stored = newest.state
            if stored.erasing:
                raise RecordErasedError("The recording is erased.")
            state = self._in_force(stored)
            changed = change(state)
            if changed == stored:
                return stored
            number = stored.number + 1
            if number > MAX_CHANGES and not _lessens(state, changed):
                raise StateError("The recording's state was changed too often.")
            changed = msgspec.structs.replace(
                changed, number=number, previous=newest.digest
            )
            data = self._documents.sealed(encode_state(changed), Namespace.STATE)
            try:
                await self._backend.put(state_key(recording_id, number), data)
            except ObjectExistsError:
                newest = await self._newest(recording_id)
                if newest.state.number >= number:
                    continue
                # What lies there is none of the gate's, which alone changes anything.
                await self._backend.replace(state_key(recording_id, number), data)
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
        async for recording_id, _ in self.ids():
            yield await self.read(recording_id)

    async def restore(self, recording_id: str) -> RecordState:
        """Put back what is in force and went missing. Raises as `change` does."""
        return await self.change(recording_id, lambda state: state)

    async def adopt(self, recording_id: str) -> bool:
        """Sign documents that nobody has signed, each in its place; whether any was.

        Raises StateError: one is malformed; StorageError.
        """
        before, adopted = "", False
        async for info in self._backend.list(state_prefix(recording_id)):
            number = _number(info.key)
            data = await read_object(self._backend, info.key, MAX_STATE + MAX_SIGNATURE)
            try:
                self._documents.opened(data, Namespace.STATE)
            except DocumentError:
                state = parse_state_document(data, recording_id, number)
                state = msgspec.structs.replace(state, previous=before)
                data = self._documents.sealed(encode_state(state), Namespace.STATE)
                await self._backend.replace(info.key, data)
                adopted = True
            before = hashlib.sha256(data).hexdigest()
        return adopted

    async def remove(self, recording_id: str) -> None:
        """Take away all documents of a recording that is erased. Raises StorageError.

        The newest goes last: as long as there are any, it is being erased.
        """
        keys = [
            info.key async for info in self._backend.list(state_prefix(recording_id))
        ]
        for key in keys:
            await self._backend.delete(key)

    def _in_force(self, state: RecordState) -> RecordState:
        return state if self._witness is None else self._witness.in_force(state)

    async def _newest(self, recording_id: str) -> _Stored:
        """The newest document that counts.

        Once all there were are signed, what somebody else puts behind them neither
        lifts what they say nor keeps a record from being judged: it is passed by, and
        the day's comparison tells of it.
        """
        numbers = [
            _number(info.key)
            async for info in self._backend.list(state_prefix(recording_id))
        ]
        passes = self._witness is not None and self._witness.adopted
        for passed, number in enumerate(reversed(numbers), 1):
            try:
                return await self._document(recording_id, number)
            except StateError:
                if not passes or passed > PASSED:
                    raise
        return _Stored(RecordState(id=recording_id))

    async def _document(self, recording_id: str, number: int) -> _Stored:
        key = state_key(recording_id, number)
        data = await read_object(self._backend, key, MAX_STATE + MAX_SIGNATURE)
        try:
            payload = self._documents.opened(data, Namespace.STATE)
        except DocumentError as error:
            raise StateError(
                f"A document of state: {error.args[0]}", hint=error.hint
            ) from None
        state = parse_state_document(payload, recording_id, number)
        return _Stored(state, hashlib.sha256(data).hexdigest())


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
