"""Segments: from the officer's answer to central storage.

The order is the promise. At the answer: key pair, tap (in the worker's memory), then
the envelope made durable, and only then the first journal block on disk. At the end:
journal closed, finished into sealed files, shipped. The private key is forgotten as
soon as its envelope is sealed; what stays until sealing is the one-way journal key.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

import msgspec
import structlog

from agent.call.keeper import Keeper
from agent.call.open_segment import OpenSegment
from agent.call.sealing import Sealing
from agent.call.state import SegmentState
from agent.common.clock import monotonic_ns, utc_ns
from agent.common.errors import AgentError
from agent.common.tasks import TaskSet
from agent.formats import journal
from agent.formats.age import AgeError, KeyKind, Recipient
from agent.formats.envelope import SegmentKey
from agent.formats.seal import Addressees
from agent.media.events import RecordingClosed, RecordingOpened
from agent.media.pool import MediaPool
from agent.model.call import EndCause, Outcome
from agent.model.recording import (
    LEFT_OUT,
    MAX_DOCUMENTS,
    MAX_METADATA,
    SegmentBegin,
    SegmentEnd,
    SegmentMark,
    metadata_notes,
)
from agent.recording.ledger import Ledger
from agent.recording.room import SpoolRoom
from agent.recording.spool import Spool

CLOSE_TIMEOUT: Final = 120.0
"Seconds a worker may take to write a journal's end, on a disk that is slow; then it \
counts as torn."
ENVELOPES: Final = 8
"Made durable at once; nothing that another disk may hold up shares their threads."


class Recorder:
    """Opens, closes, seals and ships segments.

    `on_failed(call_id, reason, kept)` hears, once per segment, that capture broke;
    `kept` says whether a journal holds what came before.
    """

    def __init__(
        self,
        *,
        media: MediaPool,
        spool: Spool,
        room: SpoolRoom,
        ledger: Ledger,
        sealing: Sealing,
        quality: Callable[[], Sequence[Recipient]],
        on_failed: Callable[[str, str, bool], None],
        keeper: Keeper | None = None,
        signs: bool = False,
    ) -> None:
        """`signs` says whether the host will have to tell to whom envelopes are."""
        self._media = media
        self._spool = spool
        self._room = room
        self._ledger = ledger
        self._sealing = sealing
        sealing.on_sealed = self._forget
        self._quality = quality
        self._on_failed = on_failed
        self._keeper = keeper
        self._signs = signs
        self._segments: dict[str, OpenSegment] = {}
        self._log = structlog.get_logger()
        self._tasks = TaskSet(self._task_failed)
        self._threads = ThreadPoolExecutor(ENVELOPES, thread_name_prefix="envelope")

    @property
    def kind(self) -> KeyKind:
        """The kind of every segment's pair: that of the quality recipients."""
        return self._quality()[0].kind

    @property
    def unfinished(self) -> int:
        """Segments captured or waiting to be sealed."""
        return len(self._segments)

    def can_record(self) -> bool:
        """Whether a recording that begins now has a place to go."""
        if self._media.workers_up == 0:
            return False
        try:
            self._room.check()
            self._sealing.check()
        except AgentError as error:
            self._log.error("spool_refused", reason=str(error))
            return False
        return True

    # -- taking over --------------------------------------------------------------

    def resume(
        self,
        states: Iterable[SegmentState],
        taken: Container[str],
        keys: Mapping[str, bytes],
    ) -> None:
        """Go on with segments of the process before.

        Those that are not `taken`, because they are sealed, and those without a key
        are recovery's business.
        """
        for state in states:
            key = keys.get(state.recording_id)
            if key is None or state.recording_id not in taken:
                self._forget(state.recording_id)
                continue
            closed: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
            if state.closed is not None:
                closed.set_result(state.closed)
            segment = OpenSegment(
                recording_id=state.recording_id,
                call_id=state.call_id,
                key_id=state.key_id,
                recipient=state.recipient,
                journal_key=key,
                gap=state.gap,
                journals=self._spool.journals_of(state.recording_id),
                discarded=state.discarded,
                end=state.end,
                closed=closed,
            )
            self._segments[segment.recording_id] = segment
            if segment.end is None and not self._is_durable(segment):
                segment.lost = segment.gap = True
                closed.set_result(False)
            if state.end is not None:
                self._tasks.spawn(
                    self._hand_over(segment, state.end),
                    name=f"finish-{segment.recording_id}",
                )

    def segment(self, recording_id: str) -> OpenSegment | None:
        """A segment that is captured, or waits to be sealed."""
        return self._segments.get(recording_id)

    def grant_again(self) -> None:
        """Let the workers write what they may, whether they were told before or not."""
        for segment in self._segments.values():
            if self._is_durable(segment):
                self._media.grant_journal(segment.recording_id)

    def _is_durable(self, segment: OpenSegment) -> bool:
        return self._spool.envelope_path(segment.recording_id).exists()

    # -- opening --------------------------------------------------------------

    def open(
        self,
        call_id: str,
        begin: SegmentBegin,
        *,
        legs: tuple[str, ...],
        officers: Sequence[Recipient],
        tapped: Sequence[bool] | bool = True,
        since_ns: int = 0,
    ) -> OpenSegment:
        """Begin a segment at once; `legs` are in the worker, channels in `begin`.

        What they say is kept from now on if they are `tapped`, else from `tap` on.
        `officers` are the keys that may open it beside the quality recipients'.
        `since_ns` is when one that this one follows was closed, just now: all that
        came since is in this one. 0: it follows none.
        Everything that may fail or wait happens behind: `on_failed` tells of it.
        """
        key = SegmentKey.generate(self.kind, os.urandom)
        segment = OpenSegment(
            recording_id=begin.recording_id,
            call_id=call_id,
            key_id=journal.key_id(key.recipient),
            recipient=key.recipient,
            journal_key=key.journal_key(begin.recording_id),
            closed=asyncio.get_running_loop().create_future(),
        )
        self._segments[segment.recording_id] = segment
        if self._keeper is not None:
            self._keeper.keep_segment(segment.state, segment.journal_key)
        self._media.start_recording(
            segment.recording_id,
            legs=legs,
            journal_key=segment.journal_key,
            key_id=segment.key_id,
            begin=_encoded(begin),
            tapped=(tapped,) * len(legs) if isinstance(tapped, bool) else tuple(tapped),
            since_ns=since_ns,
        )
        everyone = (*self._quality(), *officers)
        self._tasks.spawn(
            self._make_durable(segment, key, begin, everyone),
            name=f"open-{segment.recording_id}",
        )
        return segment

    async def _make_durable(
        self,
        segment: OpenSegment,
        key: SegmentKey,
        begin: SegmentBegin,
        recipients: tuple[Recipient, ...],
    ) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(
                self._threads,
                self._write_envelope,
                segment.recording_id,
                key,
                recipients,
            )
            await self._ledger.segment(
                segment.call_id, segment.recording_id, begin.group, begin.started_at
            )
        except (AgentError, OSError, AgeError) as error:
            self._capture_broke(segment, f"its envelope cannot be kept: {error}")
            return
        self._media.grant_journal(segment.recording_id)
        if self._keeper is not None:
            self._keeper.keep_media(segment.call_id)

    def _write_envelope(
        self, recording_id: str, key: SegmentKey, recipients: tuple[Recipient, ...]
    ) -> None:
        addressees = None
        if self._signs:
            addressees = Addressees.of(key.recipient, map(str, recipients)).to_bytes()
        envelope = key.seal(recipients, os.urandom)
        self._spool.write_envelope(recording_id, envelope, addressees)

    # -- what the workers say -------------------------------------------------

    def opened(self, event: RecordingOpened) -> None:
        """A journal exists on disk."""
        segment, path = self._segments.get(event.recording), Path(event.path)
        # A worker tells it again to another main process.
        if segment is not None and path not in segment.journals:
            segment.journals.append(path)

    def failed(self, recording_id: str, reason: str) -> None:
        """A worker cannot go on writing a journal."""
        if (segment := self._segments.get(recording_id)) is not None:
            self._capture_broke(segment, reason)

    def closed(self, event: RecordingClosed) -> None:
        """A journal is complete and durable."""
        segment = self._segments.get(event.recording)
        if segment is not None and not segment.closed.done():
            segment.closed.set_result(True)
            self._keep(segment)

    def interrupted(self, recording_id: str) -> None:
        """The worker that captured a segment died; another goes on with it."""
        if (segment := self._segments.get(recording_id)) is not None:
            segment.gap = True
            self._keep(segment)
            self._log.warning(
                "recording_interrupted",
                call_id=segment.call_id,
                recording_id=recording_id,
                reason="its media worker died; another goes on with it",
            )

    def _keep(self, segment: OpenSegment) -> None:
        """Let the process after this one know what has become of a segment."""
        if self._keeper is not None and segment.recording_id in self._segments:
            self._keeper.keep_segment(segment.state, None)

    def _forget(self, recording_id: str) -> None:
        self._segments.pop(recording_id, None)
        if self._keeper is not None:
            self._keeper.forget_segment(recording_id)

    def _capture_broke(self, segment: OpenSegment, reason: str) -> None:
        if segment.gap and segment.closed.done():
            return
        segment.gap = True
        if not segment.closed.done():
            segment.closed.set_result(False)
        self._keep(segment)
        self._log.error(
            "recording_failed",
            call_id=segment.call_id,
            recording_id=segment.recording_id,
            reason=reason,
        )
        if segment.end is None:
            self._on_failed(segment.call_id, reason, bool(segment.journals))

    # -- while it runs --------------------------------------------------------

    def tap(
        self, segment: OpenSegment, legs: Sequence[str], at_ns: int, *, on: bool
    ) -> None:
        """Keep what these legs say from `at_ns` on, or nothing of it any more."""
        for leg in legs:
            self._media.tap(segment.recording_id, leg, on=on, at_ns=at_ns)

    def mark(self, segment: OpenSegment, mark: SegmentMark) -> None:
        """Say in the journal what has happened."""
        self._media.mark(segment.recording_id, msgspec.json.encode(mark))

    def add_leg(self, segment: OpenSegment, leg: str, mark: SegmentMark) -> int | None:
        """Keep what one more leg says; `mark` is a `stream` with its one codec table.

        Returns its index for later marks, which `mark` gets too; None where there is
        no room for it, or the segment is over. Of what goes on without it not all is
        kept, and the segment says so.
        """
        index = self._media.add_leg(segment.recording_id, leg, mark)
        if index is None and segment.end is None:
            segment.gap = True
            self._keep(segment)
            self._log.warning(
                "leg_not_recorded",
                call_id=segment.call_id,
                recording_id=segment.recording_id,
                reason="the recording takes no more legs",
            )
        elif self._keeper is not None:
            self._keeper.keep_media(segment.call_id)
        return index

    def note_metadata(
        self, segment: OpenSegment, xml: bytes, flaws: Sequence[str]
    ) -> None:
        """Keep a document of a recording client's metadata, as it came.

        Of one segment MAX_METADATA octets and MAX_DOCUMENTS at most; told once if that
        is not all.
        """
        if segment.metadata_left_out:
            return
        size = segment.metadata_size + len(xml)
        if size > MAX_METADATA or segment.documents >= MAX_DOCUMENTS:
            segment.metadata_left_out = True
            self._log.warning(
                "metadata_left_out",
                call_id=segment.call_id,
                recording_id=segment.recording_id,
                octets=len(xml),
            )
            xml, flaws = b"", (LEFT_OUT,)
        segment.metadata_size = size
        segment.documents += 1
        for note in metadata_notes(xml, flaws, monotonic_ns()):
            self._media.mark(segment.recording_id, msgspec.json.encode(note))

    # -- closing --------------------------------------------------------------

    def close(
        self, segment: OpenSegment, cause: EndCause, *, discard: bool = False
    ) -> int:
        """End a segment now; finishing and storing go on behind.

        Or, with `discard`, its removal. Returns when that is, of CLOCK_MONOTONIC.
        """
        now_ns = monotonic_ns()
        segment.discarded = discard
        outcome = Outcome.PARTIAL if segment.gap else Outcome.RECORDED
        segment.end = end = SegmentEnd(
            ended_at=utc_ns(),
            ended_monotonic_ns=now_ns,
            cause=cause,
            outcome=outcome,
        )
        self._keep(segment)
        self._media.stop_recording(segment.recording_id, msgspec.json.encode(end))
        self._tasks.spawn(
            self._hand_over(segment, end), name=f"finish-{segment.recording_id}"
        )
        return now_ns

    async def whole(self, segment: OpenSegment) -> bool:
        """Wait for a closed segment's journal: is all of it there?"""
        done, _ = await asyncio.wait({segment.closed}, timeout=CLOSE_TIMEOUT)
        if not done:
            segment.gap = True
        return bool(done) and segment.closed.result() and not segment.gap

    async def _hand_over(self, segment: OpenSegment, end: SegmentEnd) -> None:
        """Have a segment sealed, once its journal is closed or never will be.

        What is discarded is removed: its envelope at once, and with it the only key.
        """
        if segment.discarded:
            await self._remove(segment, self._spool.condemn)
        if not await self.whole(segment):
            segment.end = msgspec.structs.replace(end, outcome=Outcome.PARTIAL)
        if segment.journals and not segment.discarded:
            await self._sealing.add(segment)
            return
        # If nothing was ever written, the envelope opens nothing and goes too.
        spool = self._spool
        remove = spool.forget_sources if segment.discarded else spool.purge
        removed = await self._remove(segment, remove)
        self._forget(segment.recording_id)
        if removed:
            forget = self._ledger.forget_recording(segment.recording_id)
            await self._sealing.note(segment, forget)

    async def _remove(
        self, segment: OpenSegment, remove: Callable[[str], None]
    ) -> bool:
        """Have something removed; whether that could be done."""
        try:
            await asyncio.to_thread(remove, segment.recording_id)
        except OSError as error:
            # A file system that fails; the next start on a sound one drops it.
            self._log.error(
                "envelope_not_removed",
                call_id=segment.call_id,
                recording_id=segment.recording_id,
                reason=str(error),
            )
            return False
        return True

    # -- the end --------------------------------------------------------------

    async def drain(self, seconds: float) -> None:
        """Let closing segments be sealed, for at most `seconds`."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._tasks.drain(seconds)
                await self._sealing.emptied()

    async def stop(self) -> None:
        """Give up what is unfinished: the next start salvages it."""
        await self._tasks.close()
        await self._sealing.stop()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _task_failed(self, name: str, error: BaseException) -> None:
        self._log.critical("task_failed", task=name, exc_info=error)


def _encoded(begin: SegmentBegin) -> bytes:
    """A note that a journal takes: what a recording client told gives way to it."""
    note = msgspec.json.encode(begin)
    if len(note) <= journal.MAX_NOTE or begin.session is None:
        return note
    told = msgspec.structs.replace(
        begin.session, session_ids=(), participants=(), tolerated=(LEFT_OUT,)
    )
    return msgspec.json.encode(msgspec.structs.replace(begin, session=told))
