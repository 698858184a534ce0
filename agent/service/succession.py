"""What one main process leaves to the next, where a service manager keeps it.

Memory with the state of established calls, memory with journal keys, and the sockets
of signalling. Whatever of it cannot be read is not guessed at: the calls end, with BYE
if at least their sessions are understood, and their recordings are salvaged.
"""

import os
import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self
from uuid import UUID

import msgspec
import structlog

from agent.call.any_state import AnyCallState
from agent.call.keeper import MEDIA, SESSION, Keeper, read
from agent.call.state import EndingState, SegmentState
from agent.common.errors import AgentError
from agent.common.memory import Memory, create_memory, map_memory
from agent.common.service_manager import ServiceManager
from agent.formats.checkpoint import HEADER_SIZE, Checkpoint
from agent.media.pool import MediaPool
from agent.media.state import STATE_VERSION as MEDIA_VERSION, MediaState
from agent.recording.journal_keys import SLOT_SIZE, JournalKeys
from agent.recording.recovery import TakenOver
from agent.recording.spool import Spool
from agent.signalling.kept import STORED, Given, SavedConnection
from agent.signalling.sip.state import SessionState, decode_state, encode_state
from agent.signalling.useragent import UserAgent

STATE: Final = "state"
KEYS: Final = "keys"
SIP: Final = "sip-"
"Names of what is kept; an index follows the last."
CALL_BYTES: Final = 32 * 1024
"Room for each call that there may be: it takes some 15 kB with its two sessions."
MIN_CALLS: Final = 64
MAX_ATTEMPTS: Final = 5
"What has ended so many processes in a row is not what the next one begins with."
KEY_SLOTS: Final = 8
"For each of those calls: of recordings that wait to be sealed, too."


@dataclass(frozen=True, slots=True)
class Inheritance:
    """What the process before has left of its calls."""

    calls: list[AnyCallState] = field(default_factory=list)
    endings: list[EndingState] = field(default_factory=list)
    segments: list[SegmentState] = field(default_factory=list)
    sessions: list[SessionState] = field(default_factory=list)
    media: list[MediaState] = field(default_factory=list)
    connections: dict[str, SavedConnection] = field(default_factory=dict)

    @classmethod
    def of(cls, keeper: Keeper) -> Self:
        """All that is kept. Raises AgentError if it is of another version."""
        media = keeper.documents(MEDIA).values()
        return cls(
            calls=keeper.calls(),
            endings=keeper.endings(),
            segments=keeper.segments(),
            sessions=[decode_state(s) for s in keeper.documents(SESSION).values()],
            media=[read(one, MediaState, MEDIA_VERSION) for one in media],
            connections=keeper.connections(),
        )

    @classmethod
    def to_be_ended(cls, keeper: Keeper) -> Self:
        """Sessions alone, of calls that are not understood, if those are."""
        try:
            return cls(
                sessions=[decode_state(s) for s in keeper.documents(SESSION).values()],
                connections=keeper.connections(),
            )
        except AgentError:
            return cls()

    def taken(self, spool: Spool) -> TakenOver:
        """What goes on, and recovery must leave alone."""
        recordings = {segment.recording_id for segment in self.segments}
        return TakenOver(
            recordings=frozenset(r for r in recordings if not spool.is_sealed(r)),
            calls=frozenset(
                [call.call_id for call in self.calls]
                + [ending.call_id for ending in self.endings]
            ),
        )


class Succession:
    """What was left to this process, and what it leaves itself."""

    def __init__(self, manager: ServiceManager) -> None:
        self._manager = manager
        self._log = structlog.get_logger()
        self.keeper: Keeper | None = None
        "None where nobody keeps our memory."
        self.inheritance = Inheritance()
        self.sockets: dict[str, socket.socket] = {}
        "Those of signalling, by their names."
        self.connections: dict[str, Given] = {}
        "Those of SIP over TCP, by their names."

    def begin(self, max_calls: int) -> None:
        """Take what there is, and make what there is not. Raises AgentError.

        Without a service manager that keeps descriptors nothing is done.
        """
        given = self._manager.take()
        if not self._manager.keeps:
            return
        boot = UUID(Path("/proc/sys/kernel/random/boot_id").read_text().strip()).bytes
        state, keys = given.pop(STATE, None), given.pop(KEYS, None)
        if state is not None and keys is not None:
            self._inherit(state, keys, boot)
        if self.keeper is None:
            self._make(max(max_calls, MIN_CALLS), boot)
        for name, fd in given.items():
            if name.startswith(SIP):
                self.sockets[name] = socket.socket(fileno=fd)
            elif (saved := self._saved(name)) is not None:
                connection = name.removeprefix(STORED)
                self.connections[connection] = Given(saved, socket.socket(fileno=fd))
            else:
                self._manager.remove(name)
                os.close(fd)
        if self.keeper is not None:
            self.keeper.keep_connections(
                dict.fromkeys(set(self.inheritance.connections) - set(self.connections))
            )

    def _saved(self, name: str) -> SavedConnection | None:
        """What was noted of a connection, by the name of what is kept of it."""
        if self.keeper is None or not name.startswith(STORED):
            return None
        return self.inheritance.connections.get(name.removeprefix(STORED))

    def _inherit(self, state: int, keys: int, boot: bytes) -> None:
        try:
            checkpoint = Checkpoint.open(map_memory(state).view, boot)
            keeper = Keeper(checkpoint, JournalKeys(map_memory(keys).view))
        except AgentError as error:
            self._log.error("state_unknown", reason=str(error))
            for name, fd in ((STATE, state), (KEYS, keys)):
                self._manager.remove(name)
                os.close(fd)
            return
        self.keeper = keeper
        try:
            keeper.count_attempt(MAX_ATTEMPTS)
        except AgentError as error:
            self._unknown(keeper, error)
            return
        try:
            self.inheritance = Inheritance.of(keeper)
        except AgentError as error:
            self.inheritance = Inheritance.to_be_ended(keeper)
            self._unknown(keeper, error)

    def _unknown(self, keeper: Keeper, error: AgentError) -> None:
        self._log.error("state_unknown", reason=str(error))
        keeper.clear()

    def _make(self, calls: int, boot: bytes) -> None:
        state = create_memory(STATE, HEADER_SIZE + 2 * calls * CALL_BYTES)
        keys = create_memory(KEYS, calls * KEY_SLOTS * SLOT_SIZE)
        self._keep(STATE, state)
        self._keep(KEYS, keys)
        checkpoint = Checkpoint.create(state.view, boot)
        self.keeper = Keeper(checkpoint, JournalKeys(keys.view))

    def _keep(self, name: str, memory: Memory) -> None:
        self._manager.put(name, memory.fd)

    def keep_sockets(self, sockets: dict[str, socket.socket]) -> None:
        """Have the listeners kept that were not kept before; forget the others."""
        if self.keeper is None:
            return
        for name, one in self.sockets.items():
            if sockets.get(name) is not one:
                self._manager.remove(name)
                one.close()
        for name, one in sockets.items():
            if self.sockets.get(name) is not one:
                self._manager.put(name, one.fileno())


def keep_calls(keeper: Keeper, media: MediaPool, user_agent: UserAgent) -> None:
    """Have everything kept of calls, before peers hear of it."""
    core = user_agent.core
    core.track()

    def session_of(session: str) -> bytes | None:
        state = core.state_of(session)
        return None if state is None else encode_state(state)

    def media_of(call_id: str) -> bytes | None:
        state = media.state_of(call_id)
        return msgspec.msgpack.encode(state) if state.legs else None

    keeper.session_of = session_of
    keeper.media_of = media_of
    user_agent.before_sending = keeper.commit
