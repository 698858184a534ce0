"""What the documents of a recording session have said, by id: RFC 7865 section 5."""

from collections.abc import Iterator
from typing import Final

import msgspec

from agent.signalling.siprec.bounded_table import Allowance, BoundedTable
from agent.signalling.siprec.metadata import (
    CommunicationSession,
    Flaw,
    Group,
    Participant,
    ParticipantSession,
    ParticipantStreams,
    RecordingMetadata,
    SessionRecording,
    Stream,
)

MAX_KNOWN: Final = 96 * 1024
"""Octets of JSON of all that is kept; the RFCs' documents have two thousand.

A recording session can last for years and its peer tell something each day. Who is who
is decided anew with every message, of some 1300 people in 15 ms, while all calls wait.
"""
_CROWDED: Final = MAX_KNOWN // 2
"Room under which sessions that are over are forgotten."
_MAX_IMPLIED: Final = 16
"Sessions that an association which names none is taken for."


class MetadataTables:
    """Elements and associations, merged document by document."""

    def __init__(self) -> None:
        room = self._room = Allowance(MAX_KNOWN)
        self.groups = BoundedTable[str, Group](room)
        self.sessions = BoundedTable[str, CommunicationSession](room)
        self.participants = BoundedTable[str, Participant](room)
        self.streams = BoundedTable[str, Stream](room)
        self.members = BoundedTable[tuple[str, str], ParticipantSession](room)
        self.sessions_of: dict[str, dict[str, None]] = {}
        "By participant; those that they left, too."
        self.carried = BoundedTable[str, ParticipantStreams](room)
        self.recordings = BoundedTable[str, SessionRecording](room)
        self._besides = BoundedTable[str, RecordingMetadata](room)
        "Under no name: what stood beside the elements of the model, the last time."

    @property
    def going_on(self) -> tuple[CommunicationSession, ...]:
        """Sessions that are not over."""
        every = self.sessions.values()
        return tuple(one for one in every if not self.is_over(one.id))

    def is_over(self, session: str) -> bool:
        """Whether it has stopped, or is no longer recorded here."""
        known = self.sessions.get(session)
        recording = self.recordings.get(session)
        return (known is not None and known.stopped is not None) or (
            recording is not None and recording.disassociated is not None
        )

    def is_member(self, participant: str, session: str) -> bool:
        """Whether somebody takes part in it, as far as was said."""
        member = self.members.get((participant, session))
        return member is not None and member.disassociated is None

    @property
    def as_document(self) -> RecordingMetadata:
        """All that is known, for `fill`."""
        return RecordingMetadata(
            groups=self.groups.values(),
            sessions=self.sessions.values(),
            participants=self.participants.values(),
            streams=self.streams.values(),
            participant_sessions=self.members.values(),
            participant_streams=self.carried.values(),
            session_recordings=self.recordings.values(),
            extensions=next((one.extensions for one in self._besides.values()), ()),
        )

    def fill(self, known: RecordingMetadata) -> None:
        """Take what other tables knew, as it is."""
        for group in known.groups:
            self.groups.put(group.id, group)
        for session in known.sessions:
            self.sessions.put(session.id, session)
        for participant in known.participants:
            self.participants.put(participant.id, participant)
        for stream in known.streams:
            self.streams.put(stream.id, stream)
        for member in known.participant_sessions:
            self._join(member.session, member)
        for carried in known.participant_streams:
            self.carried.put(carried.participant, carried)
        for recording in known.session_recordings:
            self.recordings.put(recording.session, recording)
        self._put_besides(known)

    def merge(self, document: RecordingMetadata, flaws: dict[Flaw, None]) -> None:
        """Take a document: what it names is so from now on, all else as it was."""
        if self._room.left < _CROWDED:
            self._forget_what_is_over()
        if not all(list(self._merged(document))):
            flaws[Flaw.TOO_MANY] = None
        kinds = (self.groups, self.sessions, self.participants, self.streams)
        distinct = {key for kind in kinds for key in kind}
        if len(distinct) < sum(len(kind) for kind in kinds):
            flaws[Flaw.DUPLICATE_ID] = None
        self._look_for_strangers(document, flaws)

    def _merged(self, document: RecordingMetadata) -> Iterator[bool]:
        """Merge part by part, and say of each whether there was room."""
        for group in document.groups:
            yield self.groups.put(group.id, self._group(group))
        for session in document.sessions:
            yield self.sessions.put(session.id, self._session(session))
        for participant in document.participants:
            yield self.participants.put(participant.id, self._participant(participant))
        yield from self._merge_streams(document.streams)
        for recording in document.session_recordings:
            yield self.recordings.put(recording.session, recording)
        yield from self._merge_members(document.participant_sessions)
        yield from self._merge_carried(document.participant_streams)
        yield self._put_besides(document)

    def _put_besides(self, document: RecordingMetadata) -> bool:
        besides = RecordingMetadata(extensions=document.extensions)
        return not document.extensions or self._besides.put("", besides)

    def _group(self, new: Group) -> Group:
        old = self.groups.get(new.id) or new
        return Group(
            new.id,
            _or(new.associated, old.associated),
            _or(new.disassociated, old.disassociated),
            new.extensions or old.extensions,
        )

    def _session(self, new: CommunicationSession) -> CommunicationSession:
        old = self.sessions.get(new.id) or new
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
        old = self.participants.get(new.id) or new
        return Participant(
            new.id,
            new.name_ids or old.name_ids,
            new.extensions or old.extensions,
        )

    def _merge_streams(self, streams: tuple[Stream, ...]) -> Iterator[bool]:
        # A label said anew is valid for the stream it was said of now; the one that
        # had it before is no longer to be found in the SDP.
        renewed = {one.label for one in streams if one.label}
        named = {one.id for one in streams}
        for old in self.streams.values():
            if old.label in renewed and old.id not in named:
                self.streams.put(old.id, msgspec.structs.replace(old, label=""))
        for new in streams:
            old = self.streams.get(new.id) or new
            merged = Stream(
                new.id,
                new.session or old.session,
                new.label or old.label,
                new.extensions or old.extensions,
            )
            yield self.streams.put(new.id, merged)

    def _merge_members(self, members: tuple[ParticipantSession, ...]) -> Iterator[bool]:
        last = [session.id for session in self.going_on[-1:]]
        # Who left and is there again in one document, is there.
        for one in sorted(members, key=lambda one: one.disassociated is None):
            theirs = list(self.sessions_of.get(one.participant, ()))
            implied = theirs[-_MAX_IMPLIED:] or last
            for session in [one.session] if one.session else implied:
                yield self._join(session, one)

    def _join(self, session: str, one: ParticipantSession) -> bool:
        named = msgspec.structs.replace(one, session=session)
        kept = self.members.put((one.participant, session), named)
        if kept:
            self.sessions_of.setdefault(one.participant, {})[session] = None
        return kept

    def _merge_carried(self, carried: tuple[ParticipantStreams, ...]) -> Iterator[bool]:
        # Section 6.8: what is said replaces what was, but if it says that it is over;
        # several of one participant in one document are one association.
        sends: dict[str, set[str]] = {}
        receives: dict[str, set[str]] = {}
        since: dict[str, int | None] = {}
        for one in carried:
            name = one.participant
            if name not in since:
                over = one.disassociated is not None
                before = self.carried.get(name) if over else None
                sends[name] = set(before.sends) if before else set()
                receives[name] = set(before.receives) if before else set()
            since[name] = one.associated
            if one.disassociated is None:
                sends[name] |= one.sends
                receives[name] |= one.receives
            elif one.sends or one.receives:
                sends[name] -= one.sends
                receives[name] -= one.receives
            else:
                sends[name].clear()
                receives[name].clear()
        for name, associated in since.items():
            merged = ParticipantStreams(
                name, frozenset(sends[name]), frozenset(receives[name]), associated
            )
            yield self.carried.put(name, merged)

    def _look_for_strangers(
        self, document: RecordingMetadata, flaws: dict[Flaw, None]
    ) -> None:
        """Flag references of this document to what nobody named."""
        groups = {one.group for one in document.sessions}
        sessions = {one.session for one in document.streams}
        sessions |= {one.session for one in document.participant_sessions}
        sessions |= {one.session for one in document.session_recordings}
        participants = {one.participant for one in document.participant_sessions}
        participants |= {one.participant for one in document.participant_streams}
        streams = {
            stream
            for one in document.participant_streams
            for stream in one.sends | one.receives
        }
        for named, known, flaw in (
            (groups, self.groups, Flaw.UNKNOWN_GROUP),
            (sessions, self.sessions, Flaw.UNKNOWN_SESSION),
            (participants, self.participants, Flaw.UNKNOWN_PARTICIPANT),
            (streams, self.streams, Flaw.UNKNOWN_STREAM),
        ):
            if any(one and one not in known for one in named):
                flaws[flaw] = None

    def _forget_what_is_over(self) -> None:
        over = {one for one in self.sessions if self.is_over(one)}
        groups = {self.sessions.remove(session).group for session in over}
        groups -= {one.group for one in self.sessions.values()}
        for session in over & set(self.recordings):
            self.recordings.remove(session)
        for participant, session in list(self.members):
            if session in over:
                self.members.remove((participant, session))
                theirs = self.sessions_of[participant]
                del theirs[session]
                if not theirs:
                    self._forget_participant(participant)
        for stream in self.streams.values():
            if stream.session in over:
                self.streams.remove(stream.id)
        for group in groups & set(self.groups):
            self.groups.remove(group)

    def _forget_participant(self, participant: str) -> None:
        del self.sessions_of[participant]
        if participant in self.participants:
            self.participants.remove(participant)
        if participant in self.carried:
            self.carried.remove(participant)


def _or(new: int | None, old: int | None) -> int | None:
    return old if new is None else new
