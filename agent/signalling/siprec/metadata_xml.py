"""Recording metadata as XML: RFC 7865 section 9, and what the field makes of it.

Elements are known by their name in the namespace of RFC 7865, of one of its drafts, or
in whichever the outermost has; the case of a name does not matter. The drafts nest what
the RFC has apart: a participant's session, streams and times within the participant.
Whatever the model has no place for is kept as an extension of what it stands in.
"""

import base64
import binascii
import re
from collections.abc import Iterable
from typing import Final

from agent.signalling.siprec.metadata import (
    CommunicationSession,
    Extension,
    Flaw,
    Group,
    NameId,
    Participant,
    ParticipantSession,
    ParticipantStreams,
    RecordingMetadata,
    SessionRecording,
    Stream,
)
from agent.signalling.siprec.metadata_time import parse_time
from agent.signalling.siprec.xml_tree import Element, read_tree

NAMESPACES: Final = (
    "urn:ietf:params:xml:ns:recording:1",
    "urn:ietf:params:xml:ns:recording",
    "urn:ietf:params:xml:ns:siprec",
)
_ROOTS: Final = ("recording", "recording_metadata", "recording-metadata")
_UUID: Final = re.compile(r"(?:urn:uuid:)?[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_SCHEME: Final = re.compile(r"(?:sips?|tel|urn):", re.IGNORECASE)


def parse_metadata(xml: bytes) -> RecordingMetadata:
    """Read one document, as far as it can be read.

    Raises MetadataError for what is not XML, has a DOCTYPE or is over a bound of
    `xml_tree`; all else that is wrong is among the flaws.
    """
    root, flaws = read_tree(xml)
    return _Reader(root, flaws).read()


def is_uuid(identity: str) -> bool:
    """Whether an id is a UUID: its 16 octets in base64, or written in hexadecimal."""
    if _UUID.fullmatch(identity.lower()):
        return True
    try:
        return len(base64.b64decode(identity, validate=True)) == 16
    except (binascii.Error, ValueError):
        return False


class _Reader:
    """Makes a model of a tree."""

    def __init__(self, root: Element, flaws: Iterable[Flaw]) -> None:
        self._root = root
        self._flaws = dict.fromkeys(flaws)
        self._namespaces = {*NAMESPACES, root.namespace}
        self._complete = True
        self._groups: list[Group] = []
        self._sessions: list[CommunicationSession] = []
        self._participants: list[Participant] = []
        self._streams: list[Stream] = []
        self._participant_sessions: list[ParticipantSession] = []
        self._participant_streams: list[ParticipantStreams] = []
        self._session_recordings: list[SessionRecording] = []
        self._extensions: list[Extension] = []
        self._readers: Final = {
            "datamode": self._data_mode,
            "group": self._group,
            "session": self._session,
            "participant": self._participant,
            "stream": self._stream,
            "sessionrecordingassoc": self._session_recording,
            "participantsessionassoc": self._participant_session,
            "participantstreamassoc": self._participant_stream,
        }

    def read(self) -> RecordingMetadata:
        root = self._root
        if root.name.lower() not in _ROOTS:
            self._note(Flaw.NOT_METADATA)
            return RecordingMetadata(complete=False, flaws=tuple(self._flaws))
        if root.namespace not in NAMESPACES:
            self._note(Flaw.NAMESPACE)
        for element in root.children:
            read = self._readers.get(self._name(element))
            if read is None:
                self._extensions.append(_extension(element))
            else:
                read(element)
        self._look_for_duplicates()
        if self._complete and not (
            self._sessions or self._participants or self._streams
        ):
            strange = self._extensions or root.text
            self._note(Flaw.NOT_UNDERSTOOD if strange else Flaw.EMPTY)
        return RecordingMetadata(
            complete=self._complete,
            groups=tuple(self._groups),
            sessions=tuple(self._sessions),
            participants=tuple(self._participants),
            streams=tuple(self._streams),
            participant_sessions=tuple(self._participant_sessions),
            participant_streams=tuple(self._participant_streams),
            session_recordings=tuple(self._session_recordings),
            extensions=tuple(self._extensions),
            flaws=tuple(self._flaws),
        )

    def _data_mode(self, element: Element) -> None:
        mode = element.text.lower()
        self._complete = mode != "partial"
        if mode not in ("complete", "partial"):
            self._note(Flaw.DATA_MODE)

    def _group(self, element: Element) -> None:
        identity = self._id(element, "group_id", "id")
        if identity:
            parts = self._parts(element, "associate-time", "disassociate-time")
            self._groups.append(Group(identity, *self._span(parts), parts.others))

    def _session(self, element: Element) -> None:
        identity = self._id(element, "session_id", "id")
        if not identity:
            return
        parts = self._parts(
            element,
            *("sipsessionid", "group-ref", "start-time", "stop-time", "reason"),
            *("associate-time", "disassociate-time"),
        )
        ids = ("".join(text.split()) for text in parts.texts("sipsessionid"))
        self._sessions.append(
            CommunicationSession(
                id=identity,
                group=parts.text("group-ref") or element.attributes.get("group", ""),
                sip_session_ids=tuple(one for one in ids if one),
                started=self._time(parts.text("start-time")),
                stopped=self._time(parts.text("stop-time")),
                reason="; ".join(text for text in parts.texts("reason") if text),
                extensions=parts.others,
            )
        )
        span = self._span(parts)
        if span != (None, None):
            self._session_recordings.append(SessionRecording(identity, *span))

    def _participant(self, element: Element) -> None:
        identity = self._id(element, "participant_id", "id")
        if not identity:
            return
        parts = self._parts(
            element,
            *("nameid", "aor", "send", "recv"),
            *("associate-time", "disassociate-time"),
        )
        name_ids = [self._name_id(one) for one in parts.named("nameid")]
        name_ids += [NameId(aor) for aor in parts.texts("aor")]
        known = tuple(one for one in name_ids if one.aor or one.name)
        # In a partial document it may be named for what else has changed of it.
        if not any(one.aor for one in known) and self._complete:
            self._note(Flaw.NO_AOR)
        if any(one.aor and not _SCHEME.match(one.aor) for one in known):
            self._note(Flaw.AOR_WITHOUT_SCHEME)
        self._participants.append(Participant(identity, known, parts.others))
        span = self._span(parts)
        session = element.attributes.get("session", "").strip()
        if session:
            self._participant_sessions.append(
                ParticipantSession(identity, session, *span)
            )
        if parts.named("send") or parts.named("recv"):
            self._participant_streams.append(self._streams_of(identity, parts, span))

    def _stream(self, element: Element) -> None:
        identity = self._id(element, "stream_id", "id")
        if not identity:
            return
        parts = self._parts(element, "label")
        label = parts.text("label")
        if not label:
            self._note(Flaw.NO_LABEL)
        session = _attribute(element, "session_id", "session")
        self._streams.append(Stream(identity, session, label, parts.others))

    def _session_recording(self, element: Element) -> None:
        session = self._id(element, "session_id", "session")
        if session:
            span = self._span(self._parts(element))
            self._session_recordings.append(SessionRecording(session, *span))

    def _participant_session(self, element: Element) -> None:
        participant = self._id(element, "participant_id", "participant")
        if participant:
            parts = self._parts(element)
            params = tuple(text for text in parts.texts("param") if text)
            session = _attribute(element, "session_id", "session")
            self._participant_sessions.append(
                ParticipantSession(participant, session, *self._span(parts), params)
            )

    def _participant_stream(self, element: Element) -> None:
        participant = self._id(element, "participant_id", "participant")
        if participant:
            parts = self._parts(element)
            self._participant_streams.append(
                self._streams_of(participant, parts, self._span(parts))
            )

    def _name_id(self, element: Element) -> NameId:
        parts = self._parts(element)
        aor = element.attributes.get("aor", "").strip() or parts.text("aor")
        return NameId(aor, " ".join(parts.text("name").split()))

    def _streams_of(
        self, participant: str, parts: "_Parts", span: tuple[int | None, int | None]
    ) -> ParticipantStreams:
        return ParticipantStreams(
            participant,
            frozenset(self._references(parts.named("send"))),
            frozenset(self._references(parts.named("recv"))),
            *span,
        )

    def _references(self, elements: Iterable[Element]) -> Iterable[str]:
        for element in elements:
            # A draft has the id in an element of its own.
            inner = [one.text for one in element.children if self._name(one) == "id"]
            yield from (text for text in (element.text, *inner) if text)

    def _look_for_duplicates(self) -> None:
        ids = [one.id for one in self._groups]
        ids += [one.id for one in self._sessions]
        ids += [one.id for one in self._participants]
        ids += [one.id for one in self._streams]
        if len(set(ids)) < len(ids):
            self._note(Flaw.DUPLICATE_ID)
        if not all(is_uuid(one) for one in ids):
            self._note(Flaw.ID_FORM)
        labels = {one.id: one.label for one in self._streams if one.label}
        if len(set(labels.values())) < len(labels):
            self._note(Flaw.DUPLICATE_LABEL)

    def _id(self, element: Element, *names: str) -> str:
        identity = _attribute(element, *names)
        if not identity:
            self._note(Flaw.NO_ID)
        return identity

    def _span(self, parts: "_Parts") -> tuple[int | None, int | None]:
        return (
            self._time(parts.text("associate-time")),
            self._time(parts.text("disassociate-time")),
        )

    def _time(self, text: str) -> int | None:
        if not text:
            return None
        moment, flaw = parse_time(text)
        if flaw is not None:
            self._note(flaw)
        return moment

    def _name(self, element: Element) -> str:
        """In lower case; empty for an element of somebody else's."""
        known = element.namespace in self._namespaces
        return element.name.lower() if known else ""

    def _parts(self, element: Element, *known: str) -> "_Parts":
        parts = _Parts()
        others = []
        for child in element.children:
            name = self._name(child)
            parts.add(name, child)
            if name not in known:
                others.append(_extension(child))
        parts.others = tuple(others)
        return parts

    def _note(self, flaw: Flaw) -> None:
        self._flaws[flaw] = None


class _Parts:
    """The children of an element by name."""

    def __init__(self) -> None:
        self._by_name: dict[str, list[Element]] = {}
        self.others: tuple[Extension, ...] = ()
        "Those that the model has no place for."

    def add(self, name: str, element: Element) -> None:
        self._by_name.setdefault(name, []).append(element)

    def named(self, name: str) -> list[Element]:
        return self._by_name.get(name, [])

    def texts(self, name: str) -> list[str]:
        return [element.text for element in self.named(name)]

    def text(self, name: str) -> str:
        """Of the last of them; empty where there is none."""
        return next(reversed(self.texts(name)), "")


def _attribute(element: Element, *names: str) -> str:
    """The first of these that is there."""
    values = (element.attributes.get(name, "").strip() for name in names)
    return next((value for value in values if value), "")


def _extension(element: Element) -> Extension:
    return Extension(
        element.namespace,
        element.name,
        element.attributes,
        element.text,
        tuple(_extension(child) for child in element.children),
    )
