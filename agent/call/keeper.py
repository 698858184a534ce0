"""Keeps what the next main process needs of established calls, before anything is sent.

One round of events changes calls and their sessions; all of it is kept together, just
before the first message of that round leaves: whoever is killed before has done
nothing, whoever is killed after it is known by everything the peers have heard. Without
a service manager that keeps our memory there is no Keeper, and nothing is paid.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Protocol

import msgspec
import structlog

from agent.call.any_state import AnyCallState
from agent.call.state import STATE_VERSION, EndingState, SegmentState
from agent.common.errors import AgentError
from agent.formats.checkpoint import Checkpoint, CheckpointFullError
from agent.recording.journal_keys import JournalKeys
from agent.signalling.kept import (
    ConnectionStateError,
    SavedConnection,
    decode_connection,
)

CALL: Final = "call/"
MEDIA: Final = "media/"
SESSION: Final = "session/"
ENDING: Final = "ending/"
CONNECTION: Final = "connection/"
SEGMENT: Final = "segment/"
"How keys begin; the id of the thing follows."
ATTEMPTS: Final = "attempts"


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
    for nothing. `connections_changed` gives what is to be kept of connections.
    """

    def __init__(self, checkpoint: Checkpoint, keys: JournalKeys) -> None:
        self._checkpoint = checkpoint
        self.keys = keys
        self.session_of: Callable[[str], bytes | None] = lambda _: None
        self.media_of: Callable[[str], bytes | None] = lambda _: None
        self.connections_changed: Callable[[], dict[str, bytes | None]] = dict
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
        for name, connection in self.connections_changed().items():
            changes[CONNECTION + name] = connection
        changed, self._changed = self._changed, {}
        for call_id, call in changed.items():
            document = self._document_of(call)
            if document is not None or CALL + call_id in self._checkpoint:
                changes[CALL + call_id] = document
                changes[MEDIA + call_id] = self.media_of(call_id)
        ended, self._ended = self._ended, {}
        for call_id, ending in ended.items():
            if CALL + call_id in self._checkpoint:
                changes[ENDING + call_id] = msgspec.msgpack.encode(ending)
        self._update(changes)

    def _document_of(self, call: KeptCall) -> bytes | None:
        try:
            state = call.state
        except Exception as error:  # noqa: BLE001 - reported; the call itself goes on
            self._log.critical("state_failed", call_id=call.call_id, exc_info=error)
            return None
        return None if state is None else msgspec.msgpack.encode(state)

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

    def keep_media(self, call_id: str) -> None:
        """The media of a call has changed, and nothing else of it."""
        if CALL + call_id in self._checkpoint:
            self._update({MEDIA + call_id: self.media_of(call_id)})

    # -- attempts -----------------------------------------------------------------

    def count_attempt(self, most: int) -> None:
        """Another process begins with what is kept. Raises UnknownStateError.

        Then `most` have failed one after the other: no `attempt_succeeded` came.
        """
        attempts = int(self._checkpoint.get(ATTEMPTS) or b"0") + 1
        if attempts > most:
            raise UnknownStateError(f"{most} processes have failed with the state.")
        self._update({ATTEMPTS: str(attempts).encode()})

    def attempt_succeeded(self) -> None:
        """This process goes on with what was kept."""
        self._update({ATTEMPTS: None})

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

    def connections(self) -> dict[str, SavedConnection]:
        """What was noted of connections, by name, as far as it is understood."""
        found = {}
        for name, document in self.documents(CONNECTION).items():
            try:
                found[name] = decode_connection(document)
            except ConnectionStateError as error:
                self._log.warning("connection_unknown", reason=str(error))
        return found

    def keep_connections(self, changes: Mapping[str, bytes | None]) -> None:
        """Note what is told of connections, or with None that there is nothing."""
        self._update({CONNECTION + name: saved for name, saved in changes.items()})

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
