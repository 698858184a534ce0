"""What is known of a recording session by all of its documents: RFC 7865 section 5.

A complete document replaces what was known; a partial one changes what it names, by id.
What contradicts itself is flagged and read in the kindest way: audio is recorded
whatever is said of it, and the documents themselves are kept.
"""

from typing import Final

import msgspec

from agent.signalling.siprec.bounded_table import Allowance, BoundedTable
from agent.signalling.siprec.metadata import (
    CommunicationSession,
    Extension,
    Flaw,
    Group,
    Participant,
    ParticipantSession,
    ParticipantStreams,
    RecordingMetadata,
    SessionRecording,
    Stream,
)

MAX_KNOWN: Final = 256 * 1024
"""Octets of JSON of all that is kept; the RFCs' documents have two thousand.

A recording session can last for years and its peer tell something each day.
"""
MAX_STATE: Final = 16 * 1024
"Octets of MessagePack that go to the next process: half of what a call may take there."
_CROWDED: Final = MAX_KNOWN // 2
"Room under which sessions that are over are forgotten."
_MAX_IMPLIED: Final = 16
"Sessions that an association which names none is taken for."


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
        self._present: tuple[Present, ...] = ()
        self._forget()

    def _forget(self) -> None:
        room = self._room = Allowance(MAX_KNOWN)
        self._groups = BoundedTable[str, Group](room)
        self._sessions = BoundedTable[str, CommunicationSession](room)
        self._participants = BoundedTable[str, Participant](room)
        self._streams = BoundedTable[str, Stream](room)
        self._members = BoundedTable[tuple[str, str], ParticipantSession](room)
        self._sessions_of: dict[str, dict[str, None]] = {}
        "By participant; those that they left, too."
        self._carried = BoundedTable[str, ParticipantStreams](room)
        self._recordings = BoundedTable[str, SessionRecording](room)
        self._besides = BoundedTable[str, RecordingMetadata](room)
        "Under no name: what stood beside the elements of the model, the last time."
        self.ended = False

    @property
    def sessions(self) -> tuple[CommunicationSession, ...]:
        """Those that go on."""
        every = self._sessions.values()
        return tuple(one for one in every if not self._is_over(one.id))

    @property
    def group(self) -> str:
        """The id of the group of the sessions going on, else of the last; or empty."""
        going_on = self.sessions
        named = [one.group for one in going_on if one.group]
        named += [one.group for one in reversed(self._sessions.values()) if one.group]
        if not named and len(self._groups) == 1:
            named = [one.id for one in self._groups.values()]
        return next(iter(named), "")

    @property
    def groups(self) -> tuple[Group, ...]:
        return self._groups.values()

    @property
    def participants(self) -> tuple[Participant, ...]:
        """All that were named, whether or not they are still there."""
        return self._participants.values()

    @property
    def streams(self) -> tuple[Stream, ...]:
        return self._streams.values()

    @property
    def extensions(self) -> tuple[Extension, ...]:
        """Those of the sessions going on, of their groups and of the document."""
        going_on = self.sessions
        groups = {one.group for one in going_on}
        besides = self._besides.get("")
        return (
            *(more for one in going_on for more in one.extensions),
            *(
                more
                for group in self.groups
                if group.id in groups
                for more in group.extensions
            ),
            *(besides.extensions if besides else ()),
        )

    @property
    def present(self) -> tuple[Present, ...]:
        """Who takes part now, in the order in which the documents named them."""
        return self._present

    @property
    def state(self) -> KnownMetadata:
        """For `restore`; what is too much for MAX_STATE will be asked for anew."""
        merged = RecordingMetadata(
            groups=self._groups.values(),
            sessions=self._sessions.values(),
            participants=self._participants.values(),
            streams=self._streams.values(),
            participant_sessions=self._members.values(),
            participant_streams=self._carried.values(),
            session_recordings=self._recordings.values(),
            extensions=next((one.extensions for one in self._besides.values()), ()),
        )
        state = KnownMetadata(merged, self.known, self.needs_snapshot, self.ended)
        if len(msgspec.msgpack.encode(state)) <= MAX_STATE:
            return state
        return KnownMetadata(RecordingMetadata(), known=False, needs_snapshot=True)

    def restore(self, state: KnownMetadata) -> None:
        """Go on where another left off."""
        self._forget()
        known = state.metadata
        for group in known.groups:
            self._groups.put(group.id, group)
        for session in known.sessions:
            self._sessions.put(session.id, session)
        for participant in known.participants:
            self._participants.put(participant.id, participant)
        for stream in known.streams:
            self._streams.put(stream.id, stream)
        for member in known.participant_sessions:
            self._join(member.session, member)
        for carried in known.participant_streams:
            self._carried.put(carried.participant, carried)
        for recording in known.session_recordings:
            self._recordings.put(recording.session, recording)
        self._put_besides(known)
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
            self._forget()
            self.known, self.needs_snapshot = True, False
        elif not self.known:
            flaws[Flaw.PARTIAL_FIRST] = None
            self.needs_snapshot = True
        elif self._room.left < _CROWDED:
            self._forget_what_is_over()
        self._merge(metadata, flaws)
        self._look_for_strangers(metadata, flaws)
        self._present = self._who_is_present(flaws)
        if len(self._sessions):
            self.ended = not self.sessions
        return tuple(flaws)

    def _merge(self, metadata: RecordingMetadata, flaws: dict[Flaw, None]) -> None:
        kept = [self._groups.put(new.id, self._group(new)) for new in metadata.groups]
        kept += [
            self._sessions.put(new.id, self._session(new)) for new in metadata.sessions
        ]
        kept += [
            self._participants.put(new.id, self._participant(new))
            for new in metadata.participants
        ]
        kept += self._merge_streams(metadata.streams)
        kept += [
            self._recordings.put(one.session, one)
            for one in metadata.session_recordings
        ]
        kept += [
            self._join(session, one)
            # Who left and is there again in one document, is there.
            for one in sorted(
                metadata.participant_sessions, key=lambda one: one.disassociated is None
            )
            for session in self._meant_by(one)
        ]
        kept += self._merge_carried(metadata.participant_streams)
        kept.append(self._put_besides(metadata))
        if not all(kept):
            flaws[Flaw.TOO_MANY] = None
        kinds = (self._groups, self._sessions, self._participants, self._streams)
        distinct = {key for kind in kinds for key in kind}
        if len(distinct) < sum(len(kind) for kind in kinds):
            flaws[Flaw.DUPLICATE_ID] = None

    def _put_besides(self, metadata: RecordingMetadata) -> bool:
        besides = RecordingMetadata(extensions=metadata.extensions)
        return not metadata.extensions or self._besides.put("", besides)

    def _group(self, new: Group) -> Group:
        old = self._groups.get(new.id) or new
        return Group(
            new.id,
            _or(new.associated, old.associated),
            _or(new.disassociated, old.disassociated),
            new.extensions or old.extensions,
        )

    def _session(self, new: CommunicationSession) -> CommunicationSession:
        old = self._sessions.get(new.id) or new
        return CommunicationSession(
            id=new.id,
            group=new.group or old.group,
            sip_session_ids=new.sip_session_ids or old.sip_session_ids,
            started=_or(new.started, old.started),
            stopped=_or(new.stopped, old.stopped),
            reason=new.reason or old.reason,
            extensions=new.extensions or old.extensions,
        )

    def _participant(self, new: Participant) -> Participant:
        old = self._participants.get(new.id) or new
        return Participant(
            new.id,
            new.name_ids or old.name_ids,
            new.extensions or old.extensions,
        )

    def _merge_streams(self, streams: tuple[Stream, ...]) -> list[bool]:
        # A label said anew is valid for the stream it was said of now; the one that
        # had it before is no longer to be found in the SDP.
        renewed = {one.label: None for one in streams if one.label}
        named = {one.id for one in streams}
        for old in self._streams.values():
            if old.label in renewed and old.id not in named:
                self._streams.put(old.id, msgspec.structs.replace(old, label=""))
        kept = []
        for new in streams:
            old = self._streams.get(new.id) or new
            merged = Stream(
                new.id,
                new.session or old.session,
                new.label or old.label,
                new.extensions or old.extensions,
            )
            kept.append(self._streams.put(new.id, merged))
        return kept

    def _meant_by(self, one: ParticipantSession) -> list[str]:
        if one.session:
            return [one.session]
        theirs = list(self._sessions_of.get(one.participant, ()))[-_MAX_IMPLIED:]
        return theirs or [session.id for session in self.sessions[-1:]]

    def _join(self, session: str, one: ParticipantSession) -> bool:
        named = msgspec.structs.replace(one, session=session)
        kept = self._members.put((one.participant, session), named)
        if kept:
            self._sessions_of.setdefault(one.participant, {})[session] = None
        return kept

    def _merge_carried(self, carried: tuple[ParticipantStreams, ...]) -> list[bool]:
        # Section 6.8: what is said replaces what was, but if it says that it is over;
        # several of one participant in one document are one association.
        merged: dict[str, ParticipantStreams] = {}
        nobody = ParticipantStreams("")
        for one in carried:
            name = one.participant
            if one.disassociated is None:
                before = merged.get(name, nobody)
                sends, receives = (
                    before.sends | one.sends,
                    before.receives | one.receives,
                )
            else:
                before = merged.get(name) or self._carried.get(name) or nobody
                every = not (one.sends or one.receives)
                sends = frozenset() if every else before.sends - one.sends
                receives = frozenset() if every else before.receives - one.receives
            merged[name] = ParticipantStreams(name, sends, receives, one.associated)
        return [self._carried.put(name, one) for name, one in merged.items()]

    def _look_for_strangers(
        self, metadata: RecordingMetadata, flaws: dict[Flaw, None]
    ) -> None:
        """Flag references of this document to what nobody named."""
        groups = {one.group for one in metadata.sessions}
        sessions = {one.session for one in metadata.streams}
        sessions |= {one.session for one in metadata.participant_sessions}
        sessions |= {one.session for one in metadata.session_recordings}
        participants = {one.participant for one in metadata.participant_sessions}
        participants |= {one.participant for one in metadata.participant_streams}
        streams = {
            stream
            for one in metadata.participant_streams
            for stream in one.sends | one.receives
        }
        for named, known, flaw in (
            (groups, self._groups, Flaw.UNKNOWN_GROUP),
            (sessions, self._sessions, Flaw.UNKNOWN_SESSION),
            (participants, self._participants, Flaw.UNKNOWN_PARTICIPANT),
            (streams, self._streams, Flaw.UNKNOWN_STREAM),
        ):
            if any(one and one not in known for one in named):
                flaws[flaw] = None

    def _is_over(self, session: str) -> bool:
        known = self._sessions.get(session)
        recording = self._recordings.get(session)
        return (known is not None and known.stopped is not None) or (
            recording is not None and recording.disassociated is not None
        )

    def _who_is_present(self, flaws: dict[Flaw, None]) -> tuple[Present, ...]:
        present = []
        for participant in self._participants.values():
            carried = self._carried.get(participant.id)
            sends = self._labels(carried.sends if carried else frozenset())
            receives = self._labels(carried.receives if carried else frozenset())
            if participant.id in self._sessions_of:
                sessions = [
                    session
                    for session in self._sessions_of[participant.id]
                    if self._is_member(participant.id, session)
                ]
            else:
                flaws[Flaw.NOT_ASSOCIATED] = None
                sessions = [one for one in (sends | receives) if one]
                if not sessions:
                    sessions = [one.id for one in self.sessions[-1:]]
            present += [
                Present(
                    participant, session, _in(session, sends), _in(session, receives)
                )
                for session in sessions
                if not self._is_over(session)
            ]
        return tuple(present)

    def _is_member(self, participant: str, session: str) -> bool:
        member = self._members.get((participant, session))
        return member is not None and member.disassociated is None

    def _labels(self, streams: frozenset[str]) -> dict[str, frozenset[str]]:
        """Labels of these streams by their session, and of all under no session."""
        by_session: dict[str, set[str]] = {}
        for one in streams:
            stream = self._streams.get(one)
            if stream is not None and stream.label:
                by_session.setdefault(stream.session, set()).add(stream.label)
                by_session.setdefault("", set()).add(stream.label)
        return {session: frozenset(labels) for session, labels in by_session.items()}

    def _forget_what_is_over(self) -> None:
        over = {one for one in self._sessions if self._is_over(one)}
        groups = {self._sessions.remove(session).group for session in over}
        groups -= {one.group for one in self._sessions.values()}
        for session in over & set(self._recordings):
            self._recordings.remove(session)
        for participant, session in list(self._members):
            if session in over:
                self._members.remove((participant, session))
                theirs = self._sessions_of[participant]
                del theirs[session]
                if not theirs:
                    self._forget_participant(participant)
        for stream in self._streams.values():
            if stream.session in over:
                self._streams.remove(stream.id)
        for group in groups & set(self._groups):
            self._groups.remove(group)

    def _forget_participant(self, participant: str) -> None:
        del self._sessions_of[participant]
        if participant in self._participants:
            self._participants.remove(participant)
        if participant in self._carried:
            self._carried.remove(participant)


def _or(new: int | None, old: int | None) -> int | None:
    return old if new is None else new


def _in(session: str, labels: dict[str, frozenset[str]]) -> frozenset[str]:
    """Those of the session; where there are none, as of a mixed stream, all."""
    return labels.get(session) or labels.get("", frozenset())
