"""What is known of a recording session by all of its documents: RFC 7865 section 5.

A complete document replaces what was known; a partial one changes what it names, by id.
What contradicts itself is flagged and read in the kindest way: audio is recorded
whatever is said of it, and the documents themselves are kept.
"""

from typing import Final

import msgspec

from agent.signalling.siprec.metadata import (
    CommunicationSession,
    Extension,
    Flaw,
    Group,
    Participant,
    RecordingMetadata,
    Stream,
)
from agent.signalling.siprec.metadata_tables import MetadataTables

MAX_STATE: Final = 16 * 1024
"Octets of MessagePack that go to the next process: half of what a call may take there."


class Present(msgspec.Struct, frozen=True):
    """Somebody in a session that goes on, and where they are heard and hear."""

    participant: Participant
    session: str
    sends: frozenset[str]
    receives: frozenset[str]
    "Labels of m-lines, both."

    def __repr__(self) -> str:
        return "Present(…)"


class KnownMetadata(msgspec.Struct, frozen=True):
    """A state on its way to the process that goes on with the recording session."""

    metadata: RecordingMetadata
    known: bool = False
    needs_snapshot: bool = False
    ended: bool = False


class MetadataState:
    """Applies documents in their order, and says what holds now."""

    def __init__(self) -> None:
        self.known = False
        "Whether there was a complete document."
        self.needs_snapshot = False
        "Whether the peer should be asked for a complete one."
        self.ended = False
        "Whether a document said that all sessions are over."
        self._tables = MetadataTables()
        self._present: tuple[Present, ...] = ()

    @property
    def sessions(self) -> tuple[CommunicationSession, ...]:
        """Those that go on."""
        return self._tables.going_on

    @property
    def group(self) -> str:
        """The id of the group of the sessions going on, else of the last; or empty."""
        every = self._tables.sessions.values()
        named = [one.group for one in self.sessions if one.group]
        named += [one.group for one in reversed(every) if one.group]
        if not named and len(self.groups) == 1:
            named = [self.groups[0].id]
        return next(iter(named), "")

    @property
    def groups(self) -> tuple[Group, ...]:
        return self._tables.groups.values()

    @property
    def participants(self) -> tuple[Participant, ...]:
        """All that were named, whether or not they are still there."""
        return self._tables.participants.values()

    @property
    def streams(self) -> tuple[Stream, ...]:
        return self._tables.streams.values()

    @property
    def extensions(self) -> tuple[Extension, ...]:
        """Those of the sessions going on, of their groups and of the document."""
        going_on = self.sessions
        theirs = {one.group for one in going_on}
        found = [more for one in going_on for more in one.extensions]
        for group in self.groups:
            if group.id in theirs:
                found += group.extensions
        return (*found, *self._tables.as_document.extensions)

    @property
    def present(self) -> tuple[Present, ...]:
        """Who takes part now, in the order in which the documents named them."""
        return self._present

    @property
    def state(self) -> KnownMetadata:
        """For `restore`; what is too much for MAX_STATE will be asked for anew."""
        state = KnownMetadata(
            self._tables.as_document, self.known, self.needs_snapshot, self.ended
        )
        if len(msgspec.msgpack.encode(state)) <= MAX_STATE:
            return state
        return KnownMetadata(RecordingMetadata(), needs_snapshot=True)

    def restore(self, state: KnownMetadata) -> None:
        """Go on where another left off."""
        self._tables = MetadataTables()
        self._tables.fill(state.metadata)
        self._present = self._who_is_present({})
        self.known, self.needs_snapshot = state.known, state.needs_snapshot
        self.ended = state.ended

    def missed(self) -> None:
        """A document came that could not be read: what is known may be old."""
        self.needs_snapshot = True

    def apply(self, metadata: RecordingMetadata) -> tuple[Flaw, ...]:
        """Take a document; what is wrong with it, in itself and with what was known."""
        flaws = dict.fromkeys(metadata.flaws)
        if Flaw.NOT_METADATA in flaws:
            self.needs_snapshot = True
            return tuple(flaws)
        if metadata.complete:
            self._tables = MetadataTables()
            self.known, self.needs_snapshot, self.ended = True, False, False
        elif not self.known:
            flaws[Flaw.PARTIAL_FIRST] = None
            self.needs_snapshot = True
        self._tables.merge(metadata, flaws)
        self._present = self._who_is_present(flaws)
        if len(self._tables.sessions):
            self.ended = not self.sessions
        return tuple(flaws)

    def _who_is_present(self, flaws: dict[Flaw, None]) -> tuple[Present, ...]:
        tables = self._tables
        last = [session.id for session in tables.going_on[-1:]]
        present = []
        for participant in tables.participants.values():
            carried = tables.carried.get(participant.id)
            sends = self._labels(carried.sends if carried else frozenset())
            receives = self._labels(carried.receives if carried else frozenset())
            if participant.id in tables.sessions_of:
                sessions = [
                    session
                    for session in tables.sessions_of[participant.id]
                    if tables.is_member(participant.id, session)
                ]
            else:
                flaws[Flaw.NOT_ASSOCIATED] = None
                sessions = [one for one in sorted(sends | receives) if one] or last
            present += [
                Present(
                    participant, session, _in(session, sends), _in(session, receives)
                )
                for session in sessions
                if not tables.is_over(session)
            ]
        return tuple(present)

    def _labels(self, streams: frozenset[str]) -> dict[str, frozenset[str]]:
        """Labels of these streams by their session, and of all under no session."""
        by_session: dict[str, set[str]] = {}
        for one in streams:
            stream = self._tables.streams.get(one)
            if stream is not None and stream.label:
                by_session.setdefault(stream.session, set()).add(stream.label)
                by_session.setdefault("", set()).add(stream.label)
        return {session: frozenset(labels) for session, labels in by_session.items()}


def _in(session: str, labels: dict[str, frozenset[str]]) -> frozenset[str]:
    """Those of the session; where there are none, as of a mixed stream, all."""
    return labels.get(session) or labels.get("", frozenset())
