"""What a recording client has told of a call, and what is made of it: sans-IO.

Metadata may be absent, late, partial or wrong: whatever can be read of it counts, and
the document itself is kept as it came.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Final

from agent.call.siprec.config import SiprecConfig
from agent.call.siprec.documents import Document, Documents
from agent.call.siprec.grouping import group_of
from agent.call.siprec.notice import notice_of
from agent.call.siprec.parties import Parties, decide
from agent.call.siprec.people import key_of
from agent.call.siprec.situation import Situation, StreamView
from agent.call.siprec.state import KnowledgeState
from agent.identity.numbers import IdentityConfig
from agent.model.recording import NoticeStatement, RecordedSession
from agent.signalling.sip.message import Message, Request
from agent.signalling.siprec.metadata import Flaw, MetadataError
from agent.signalling.siprec.metadata_state import MetadataState
from agent.signalling.siprec.metadata_xml import parse_metadata

UNREADABLE: Final = "unreadable"
"The flaw of a document that is no XML, or of which there is too much."
UNREAD: Final = "unread"
"The flaw of a document for which its client's budget did not suffice."
MAX_IDS: Final = 48
"Of sessions that a manifest names; what a client tells beyond stands in its document."
MAX_ID: Final = 128
"Characters of one; `uuid;remote=uuid` has 72."
MAX_SPEAKERS: Final = 4096
"Characters of all ids of those heard on any label, for another process; it takes a \
label of which it does not know who was heard on it for one on which nobody is on hold."
NO_STREAM: Final = "label-without-stream"
"What is tolerated where metadata names a label that no stream has."


class Knowledge:
    """Of one recording session, which `invite` began."""

    def __init__(
        self,
        invite: Request,
        rules: SiprecConfig,
        *,
        is_officer: Callable[[str], bool],
        is_exempt: Callable[[str], bool],
        identity: IdentityConfig,
    ) -> None:
        self._invite = invite
        self._rules = rules
        self._is_officer = is_officer
        self._is_exempt = is_exempt
        self._identity = identity
        self._tolerated: dict[str, None] = {}
        self._metadata = MetadataState()
        self._documents = Documents()
        self._parties: Parties | None = None
        self._situation: Situation | None = None
        "The last that was looked at anew."
        self._speakers: dict[str, frozenset[str]] = {}
        "By label, the participants who are there and were ever heard on it."
        self._flawed = False
        "Whether the last document was not all that it should be."
        self._before: frozenset[str] | None = None
        "Keys of all who were there before that document; None where some may not be."
        self._behind = False
        "Whether something came unread, or parties were not decided by what came."

    @property
    def state(self) -> KnowledgeState:
        """All of it, for `restore` in another process."""
        return KnowledgeState(
            metadata=self._metadata.state,
            documents=self._documents.state,
            parties=self._parties,
            speakers=self._few_speakers,
            flawed=self._flawed,
            behind=self._behind,
            tolerated=tuple(self._tolerated),
        )

    @property
    def _few_speakers(self) -> dict[str, frozenset[str]]:
        """None, if there are more than another process is told of.

        One id of many octets may be heard on many labels, and stands at each.
        """
        told = sum(
            len(label) + sum(map(len, ids)) for label, ids in self._speakers.items()
        )
        return dict(self._speakers) if told <= MAX_SPEAKERS else {}

    def restore(self, state: KnowledgeState) -> None:
        """Go on where another one stood."""
        self._metadata.restore(state.metadata)
        self._documents = Documents(state.documents)
        self._parties = state.parties
        self._speakers = dict(state.speakers)
        self._flawed = state.flawed
        self._behind = state.behind
        self._tolerated = dict.fromkeys(state.tolerated)

    @property
    def documents(self) -> tuple[Document, ...]:
        """What says who is heard now, as it came."""
        return self._documents.all

    def take(self, message: Message) -> Document | None:
        """Take what a message tells, and say what is wrong with it; None: nothing."""
        xml = message.recording_metadata
        if not xml:
            return None
        self._tolerated |= dict.fromkeys(message.tolerated)
        complete = False
        flaws: tuple[str, ...] = (UNREADABLE,)
        self._before = self._everybody
        try:
            metadata = parse_metadata(xml)
        except MetadataError:
            self._metadata.missed()
            self._flawed = True
        else:
            flaws = self._metadata.apply(metadata)
            complete = metadata.complete
            self._behind = self._behind and not complete
            self._flawed = not {Flaw.EMPTY}.issuperset(flaws)
        document = Document(xml, tuple(map(str, flaws)))
        self._documents.add(document, complete=complete)
        return document

    def leave_unread(self, message: Message) -> Document:
        """Keep what a message tells, without a look at it."""
        self._tolerated |= dict.fromkeys(message.tolerated)
        self._metadata.missed()
        self._flawed = self._behind = True
        document = Document(message.recording_metadata, (UNREAD,))
        self._documents.add(document, complete=False)
        return document

    def tolerate(self, faults: Iterable[str]) -> None:
        """Note what else was not as RFC 7866 demands, in one word each."""
        self._tolerated |= dict.fromkeys(faults)

    def situation(
        self, streams: Sequence[StreamView], *, anew: bool = True
    ) -> Situation:
        """How it stands with these streams; unless `anew`, as before with all else.

        The first time it is anew in any case: nothing is known then, or little.
        """
        if anew or self._situation is None:
            self._situation = self._situated(streams)
        else:
            self._metadata.missed()
            self._behind = True
        return replace(
            self._situation,
            streams=tuple(streams),
            incomplete=self._metadata.needs_snapshot,
            behind=self._behind,
        )

    def _situated(self, streams: Sequence[StreamView]) -> Situation:
        self._parties = parties = self._decided(streams)
        self._look_for_strangers(streams)
        return Situation(
            streams=tuple(streams),
            parties=parties,
            held=self._held(),
            going_on=self._going_on,
            told=self._metadata.known,
            announced=self.notice.given,
            awaits_officer=self._awaits_officer(parties),
            exempt_before=parties.exempt and not self._joins(parties.exempt_keys),
        )

    @property
    def _everybody(self) -> frozenset[str] | None:
        """Keys of all who are there, if there is no sign that more of them are."""
        state = self._metadata
        keys = frozenset(key_of(one.participant.id) for one in state.present)
        sure = state.known and not state.needs_snapshot and len(keys) > 1
        return keys if sure else None

    def _joins(self, keys: frozenset[str]) -> bool:
        """Whether these are people who came to others by the last document."""
        return bool(keys) and self._before is not None and keys.isdisjoint(self._before)

    def forbids(self, streams: Sequence[StreamView]) -> bool:
        """Whether those who are there by now may not be recorded, on any stream."""
        parties = self._decided(streams)
        forbidden = parties.exempt or parties.outsiders_only
        return forbidden or self._awaits_officer(parties)

    def _awaits_officer(self, parties: Parties) -> bool:
        return self._rules.without_officer == "wait" and not parties.officer_known

    def _decided(self, streams: Sequence[StreamView]) -> Parties:
        return decide(
            self._metadata,
            self._invite,
            [one.label for one in streams],
            rules=self._rules,
            is_officer=self._is_officer,
            is_exempt=self._is_exempt,
            identity=self._identity,
            before=self._parties,
        )

    def recorded_session(self, parties: Parties) -> RecordedSession:
        """What a segment's manifest says of the recording session."""
        sessions = self._metadata.sessions
        return RecordedSession(
            source=self._rules.from_,
            session_ids=tuple(
                dict.fromkeys(
                    name[:MAX_ID]
                    for one in sessions
                    for name in one.sip_session_ids or (one.id,)
                )
            )[:MAX_IDS],
            group_id=self._metadata.group[:MAX_ID],
            basis=parties.basis,
            mixed=parties.mixed,
            participants=parties.participants,
            tolerated=self.tolerated,
            notice=self.notice,
        )

    @property
    def tolerated(self) -> tuple[str, ...]:
        """What was not as RFC 7866 demands so far, in one word each."""
        return tuple(self._tolerated)

    @property
    def notice(self) -> NoticeStatement:
        """What shows now that the parties were told."""
        return notice_of(self._metadata, self._invite, self._rules)

    def group(self, fallback: str) -> str:
        """The group that a segment which begins now belongs to."""
        peer = self._rules.from_
        return group_of(self._metadata, peer=peer, fallback=fallback)

    def _look_for_strangers(self, streams: Sequence[StreamView]) -> None:
        """Flag labels that no stream has: somebody is said to be heard nowhere."""
        labels = {one.label for one in streams}
        said = {label for one in self._metadata.present for label in one.sends}
        if streams and not said <= labels:
            self.tolerate((NO_STREAM,))

    @property
    def _going_on(self) -> bool:
        """Whether anybody talks: only a sound document is believed that nobody does."""
        state = self._metadata
        if state.ended:
            return False
        return bool(not state.known or state.sessions or state.present or self._flawed)

    def _held(self) -> frozenset[str]:
        """Labels on which somebody who is there was heard, and nobody is now.

        One on which nobody was ever said to be heard is none: what its client does
        not tell, or tells of other labels, is no reason to record nothing.
        """
        speaking: dict[str, set[str]] = {}
        for one in self._metadata.present:
            for label in one.sends:
                speaking.setdefault(label, set()).add(one.participant.id)
        present = {one.participant.id for one in self._metadata.present}
        known = {label: who & present for label, who in self._speakers.items()}
        held = {label for label, who in known.items() if who and label not in speaking}
        for label, who in speaking.items():
            known[label] = known.get(label, frozenset()) | who
        self._speakers = {label: who for label, who in known.items() if who}
        return frozenset(held)
