"""Keeps what the next main process needs of established calls, before anything is sent.

One round of events changes calls and their sessions; all of it is kept together, just
before the first message of that round leaves: whoever is killed before has done
nothing, whoever is killed after it is known by everything the peers have heard. Without
a service manager that keeps our memory there is no Keeper, and nothing is paid.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, Protocol

import msgspec
import structlog

from agent.call.state import (
    STATE_VERSION,
    AnyCallState,
    EndingState,
    SegmentState,
)
from agent.common.errors import AgentError
from agent.formats.checkpoint import Checkpoint, CheckpointFullError
from agent.recording.journal_keys import JournalKeys

CALL: Final = "call/"
MEDIA: Final = "media/"
SESSION: Final = "session/"
ENDING: Final = "ending/"
SEGMENT: Final = "segment/"
"How keys begin; the id of the thing follows."


class UnknownStateError(AgentError):
    """What an older or newer version kept cannot be read by this one."""

    hint = "Nothing need be done: what was recorded is salvaged."


class KeptCall(Protocol):
    """What is asked of a call that is kept."""

    call_id: str

    @property
    def state(self) -> AnyCallState | None:
        """What the next process needs of it; None if that would be of no use."""
        ...


class Keeper:
    """Kept calls, sessions and recordings of one main process.

    `session_of` and `media_of` give what signalling and media want kept, encoded; None
    for nothing.
    """

    def __init__(self, checkpoint: Checkpoint, keys: JournalKeys) -> None:
        self._checkpoint = checkpoint
        self.keys = keys
        self.session_of: Callable[[str], bytes | None] = lambda _: None
        self.media_of: Callable[[str], bytes | None] = lambda _: None
        self._changed: dict[str, KeptCall] = {}
        self._ended: dict[str, EndingState] = {}
        self._log = structlog.get_logger()

    # -- calls --------------------------------------------------------------------

    def changed(self, call: KeptCall) -> None:
        """Something happened to a call: keep it with the next round."""
        self._changed[call.call_id] = call

    def commit(self, sessions: Iterable[str] = ()) -> None:
        """Keep what has changed, before the peers hear of it."""
        changes: dict[str, bytes | None] = {}
        for session in sessions:
            changes[SESSION + session] = self.session_of(session)
        changed, self._changed = self._changed, {}
        for call_id, call in changed.items():
            state = call.state
            if state is not None or CALL + call_id in self._checkpoint:
                changes[CALL + call_id] = _encoded(state)
                changes[MEDIA + call_id] = self.media_of(call_id)
        ended, self._ended = self._ended, {}
        for call_id, ending in ended.items():
            if CALL + call_id in self._checkpoint:
                changes[ENDING + call_id] = msgspec.msgpack.encode(ending)
        self._update(changes)

    def end(self, ending: EndingState) -> None:
        """A call is over: what is left of it is a row of the ledger."""
        self._ended[ending.call_id] = ending

    def forget(self, call_id: str) -> None:
        """A call's row is closed."""
        self._update({ENDING + call_id: None, MEDIA + call_id: None})

    # -- recordings ---------------------------------------------------------------

    def keep_segment(self, state: SegmentState, journal_key: bytes | None) -> None:
        """Keep what a recording is sealed with; the key once, when it begins."""
        try:
            if journal_key is not None:
                self.keys.keep(state.recording_id, journal_key)
        except AgentError as error:
            self._log.error("state_not_kept", reason=str(error))
            return
        self._update({SEGMENT + state.recording_id: msgspec.msgpack.encode(state)})

    def forget_segment(self, recording_id: str) -> None:
        """A recording is sealed, or there is nothing of it."""
        self.keys.forget(recording_id)
        self._update({SEGMENT + recording_id: None})

    # -- what was kept ------------------------------------------------------------

    def calls(self) -> list[AnyCallState]:
        """Every established call. Raises UnknownStateError."""
        return self._read(CALL, AnyCallState)

    def endings(self) -> list[EndingState]:
        """Every call whose row is to be closed. Raises UnknownStateError."""
        return self._read(ENDING, EndingState)

    def segments(self) -> list[SegmentState]:
        """Every recording that is not sealed. Raises UnknownStateError."""
        return self._read(SEGMENT, SegmentState)

    def documents(self, prefix: str) -> dict[str, bytes]:
        """What is kept under keys that begin so, by the rest of the key."""
        return {
            key.removeprefix(prefix): value
            for key, value in self._checkpoint.items()
            if key.startswith(prefix)
        }

    def _read(self, prefix: str, kind: Any) -> list[Any]:
        return [
            read(value, kind, STATE_VERSION)
            for value in self.documents(prefix).values()
        ]

    def clear(self) -> None:
        """Forget everything: it is salvaged, or of no use."""
        for recording_id in list(self.keys.all()):
            self.keys.forget(recording_id)
        self._update({key: None for key, _ in self._checkpoint.items()})

    def _update(self, changes: dict[str, bytes | None]) -> None:
        news = {k: v for k, v in changes.items() if self._checkpoint.get(k) != v}
        if not news:
            return
        try:
            self._checkpoint.update(news)
        except CheckpointFullError as error:
            # What is out of date is worse than nothing.
            self._log.error("state_not_kept", reason=str(error))
            self._checkpoint.update(dict.fromkeys(news))


def _encoded(state: AnyCallState | None) -> bytes | None:
    return None if state is None else msgspec.msgpack.encode(state)


class _Version(msgspec.Struct):
    version: int


def read(document: bytes, kind: Any, version: int) -> Any:
    """Read a kept document of a `kind` (msgspec's).

    Raises UnknownStateError, whatever is wrong with it.
    """
    try:
        found = msgspec.msgpack.decode(document, type=_Version).version
        if found != version:
            raise UnknownStateError(f"The state is of version {found}.")
        return msgspec.msgpack.decode(document, type=kind)
    except msgspec.DecodeError as error:
        raise UnknownStateError(f"The state cannot be read: {error}.") from error
