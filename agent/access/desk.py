"""A person's desk: their keys, central storage, the roster, and the gate.

Where there is no gate, a desk works straight on storage, as far as its credentials
go, and says plainly what nobody enforces then.
"""

from dataclasses import dataclass, field
from datetime import date

import structlog

from agent.access.gate_client import GateClient
from agent.access.opening import (
    Expected,
    Found,
    Opened,
    OpenError,
    collect,
    open_found,
)
from agent.access.reason import Reason
from agent.archive.states import RecordState, States
from agent.archive.store import Archive, NotFoundError
from agent.common.errors import AgentError
from agent.formats.age import Identity
from agent.formats.blind_index import IndexKeys
from agent.formats.envelope import SegmentKey, open_envelope
from agent.formats.layout import Folder, valid_id
from agent.formats.roster import Role, Roster
from agent.formats.sshsig import SigningKey
from agent.upload.backend import StorageError
from agent.upload.targets import Target

NO_GATE = (
    "no gate is configured: nobody logs what is opened here, and that a recording is"
    " restricted or held binds only those who use these commands."
)
NO_ROSTER = (
    "no roster is configured: nobody vouches for the hosts and people that the"
    " recordings name."
)


class DeskError(AgentError):
    """It cannot be done from here."""


class RestrictedError(DeskError):
    """The recording's processing is restricted."""

    hint = "Only a case handler of the roster opens it, or lifts the restriction."


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """What one command of one person works with."""

    targets: tuple[Target, ...]
    identities: tuple[Identity, ...] = field(default=(), repr=False)
    roster: Roster | None = None
    gate: GateClient | None = None
    index: IndexKeys | bytes | None = field(default=None, repr=False)
    "Keys of some months, or the root of all; None: a number is found by opening."
    person: str = ""
    "Id of the person in the roster."
    signing_key: SigningKey | None = field(default=None, repr=False)
    today: date

    @property
    def archives(self) -> list[Archive]:
        """Every storage, to be looked through; with a gate `keys/` is closed to us."""
        by = Folder.KEYS if self.gate is None else Folder.MANIFEST
        return [Archive.of(target, by=by) for target in self.targets]

    @property
    def warnings(self) -> list[str]:
        """What nobody enforces at this desk, a sentence each."""
        missing = [] if self.gate is not None else [NO_GATE]
        return missing + ([] if self.roster is not None else [NO_ROSTER])

    async def open(
        self,
        recording_id: str,
        reason: Reason,
        *,
        day: date | None = None,
        expected: Expected | None = None,
    ) -> Opened:
        """A recording, verified, before anything of it is given back.

        Raises what the gate refuses (GateError), what storage lacks (OpenError,
        StorageError), RestrictedError, and what verification names.
        """
        found = await self.collect(recording_id, reason, day=day)
        return self.verified(found, expected)

    async def key(
        self, recording_id: str, reason: Reason, *, day: date | None = None
    ) -> SegmentKey:
        """The segment's own key pair. Raises as `open` does, and AgeError."""
        _, envelope = await self.envelope(recording_id, reason, day=day)
        return open_envelope(envelope, self.identities)

    def verified(self, found: Found, expected: Expected | None = None) -> Opened:
        """What `collect` gave, verified and opened."""
        return open_found(found, self.identities, self.roster, expected=expected)

    async def collect(
        self, recording_id: str, reason: Reason, *, day: date | None = None
    ) -> Found:
        """The sealed objects of a recording, its envelope without the gate's layer."""
        day, envelope = await self.envelope(recording_id, reason, day=day)
        failures: list[AgentError] = []
        for target in self.targets:
            try:
                return await collect(recording_id, [target], day=day, envelope=envelope)
            except (StorageError, OpenError) as error:
                # Another storage may have what this one lacks, or be there.
                failures.append(error)
                structlog.get_logger().warning(
                    "not_read", storage=target.name, reason=str(error)
                )
        raise failures[0]

    async def envelope(
        self, recording_id: str, reason: Reason, *, day: date | None = None
    ) -> tuple[date, bytes]:
        """The day of a recording, and its envelope without the gate's layer.

        Raises GateError, RestrictedError, NotFoundError, StorageError.
        """
        if not valid_id(recording_id):
            raise DeskError("this is no recording's id.", hint="Ids are UUIDs.")
        if self.gate is not None:
            released = await self.gate.release(recording_id, reason, day)
            return released.day, released.envelope
        if (await self.record_state(recording_id)).restricted and not self._may_see():
            raise RestrictedError("the recording is restricted.")
        for archive in self.archives:
            found = await archive.locate(recording_id, day)
            if found is not None:
                return found, await archive.envelope(recording_id, found)
        raise NotFoundError("there is no such recording.")

    async def record_state(self, recording_id: str) -> RecordState:
        """Where there is no gate: how it stands with a recording.

        Every storage must tell: one that is away might be the one that restricts it.
        Raises StateError, StorageError.
        """
        states = [await States(one.state).read(recording_id) for one in self.targets]
        return max(
            states, key=lambda state: (state.restricted is not None, state.number)
        )

    def _may_see(self) -> bool:
        """Whether this person may open what is restricted."""
        if self.roster is None or not self.person:
            return False
        person = self.roster.person(self.person)
        return (
            person is not None
            and person.is_active(self.today)
            and Role.CASE_HANDLER in person.roles
        )
