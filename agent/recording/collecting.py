"""What one segment's journals hold: how it began, its legs, marks and documents."""

from typing import Final

import msgspec

from agent.common.errors import AgentError
from agent.formats.journal import RECORD_SIZE, NoteRecord, iter_records
from agent.formats.timeline import SPAN_MARKS, LegTimeline, Source
from agent.model.recording import (
    MAX_LEGS,
    Channel,
    Note,
    SegmentBegin,
    SegmentEnd,
    SegmentMark,
    SegmentMetadata,
)
from agent.recording.documents import Documents
from agent.recording.pauses import Pauses

_NOTES: Final = msgspec.json.Decoder(Note)


class AssemblyError(AgentError):
    """The journals do not make a recording."""

    hint = "Keep the journal: it can be opened by hand, or by a newer version."


class Collector:
    """Takes the blocks of all journals of a segment, in order.

    Payloads stay where they are: `source` is asked for them later.
    """

    def __init__(self, source: Source) -> None:
        self._source = source
        self.begin: SegmentBegin | None = None
        self.end: SegmentEnd | None = None
        self.timelines: list[LegTimeline] = []
        self.channels: list[Channel] = []
        self.pauses = Pauses()
        self.documents = Documents()
        self.last_arrival_ns = 0
        self.marks: list[SegmentMark] = []
        self._joined: dict[int, int] = {}
        "When the legs joined that were not there at the beginning, by their index."

    def take(self, place: int, block: bytes) -> None:
        """Take an opened block, the place of its first octet beside it.

        Raises AssemblyError, JournalRecordError.
        """
        timelines = self.timelines
        for record in iter_records(block):
            place += RECORD_SIZE
            if isinstance(record, NoteRecord):
                try:
                    self._note(_NOTES.decode(record.note))
                except msgspec.DecodeError as error:
                    raise AssemblyError("a note in the journal is unknown.") from error
            elif record[0] < len(timelines):
                timelines[record[0]].add(record[1], record[2], place)
                self.last_arrival_ns = record[1]
            place += len(record[-1])

    def _note(self, note: Note) -> None:
        match note:
            case SegmentBegin():
                self._take_begin(note)
            case SegmentEnd():
                self.end = note
            case SegmentMetadata():
                self.documents.note(note)
            case SegmentMark():
                if self.begin is not None:
                    self.pauses.mark(note)
                    self._mark(note, self.begin)

    def _take_begin(self, note: SegmentBegin) -> None:
        if self.begin is not None:
            return  # each epoch's journal repeats it
        self.begin = note
        for number, channel in enumerate(note.channels[:MAX_LEGS]):
            codecs = _codecs(note.codecs, number)
            self.timelines.append(self._leg(codecs, note.started_monotonic_ns))
            self.channels.append(channel)

    def _mark(self, note: SegmentMark, begin: SegmentBegin) -> None:
        if note.kind == "stream" and note.leg is not None:
            self._join(note.leg, note, begin.started_monotonic_ns)
            return
        if note.kind in SPAN_MARKS:
            self.marks.append(note)
        for number, timeline in enumerate(self.timelines):
            if note.codecs is not None:
                if str(number) in note.codecs:
                    timeline.set_codecs(_codecs(note.codecs, number))
            elif note.leg in {None, number}:
                timeline.mark(note.at_monotonic_ns, note.kind)

    def _join(self, leg: int, note: SegmentMark, start_ns: int) -> None:
        """One more leg; each epoch's journal repeats those that joined before it."""
        at_ns = note.at_monotonic_ns
        if self._joined.get(leg) == at_ns or not 0 <= leg < MAX_LEGS:
            return
        self._joined[leg] = at_ns
        codecs = _codecs(note.codecs or {}, leg)
        if leg < len(self.timelines):
            # A main process died before it could remember whom it had given the index.
            self.timelines[leg].set_codecs(codecs)
            return
        while len(self.timelines) < leg:
            # Its note was in a block that is lost, and so is its audio.
            self.timelines.append(self._leg({}, start_ns))
            self.channels.append(Channel.BOTH)
        self.timelines.append(self._leg(codecs, start_ns, at_ns))
        self.channels.append(note.channel or Channel.BOTH)

    def _leg(
        self, codecs: dict[int, str], start_ns: int, joined_ns: int | None = None
    ) -> LegTimeline:
        return LegTimeline(codecs, start_ns, self._source, joined_ns=joined_ns)


def _codecs(table: dict[str, dict[str, str]], leg: int) -> dict[int, str]:
    return {int(number): name for number, name in table.get(str(leg), {}).items()}
