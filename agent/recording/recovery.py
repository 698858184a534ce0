"""At start: what a killed run left behind is sealed, and its calls get an outcome.

Each step is safe to repeat; a start that is killed in the middle of it is followed by
one that finds the same, or less, to do.
"""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from agent.common.clock import utc_ns
from agent.formats.journal import is_blank
from agent.model.call import EndCause, Outcome
from agent.model.recording import RecordingState
from agent.recording.finisher import salvage
from agent.recording.ledger import Ledger, LedgerRow
from agent.recording.spool import Spool

_START: Final = 1 << 17
"Bytes of a journal that are looked at; one that has more than that is not blank."

Action = Literal["salvaged", "kept", "quarantined", "dropped", "left"]


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was done about one recording of a killed run."""

    recording_id: str
    action: Action
    """`kept`: it was sealed already. `dropped`: nothing of it is on disk.
    `left`: the disk does not take it now; the next start tries again."""


@dataclass(frozen=True, slots=True)
class TakenOver:
    """What goes on where the run before stood, and is none of recovery's business."""

    recordings: frozenset[str] = frozenset()
    calls: frozenset[str] = frozenset()


async def recover(
    spool: Spool, ledger: Ledger, taken: TakenOver = TakenOver()
) -> list[Recovered]:
    """Seal what a killed run left; close its ledger rows. Raises LedgerError, OSError.

    To be called before anything is recorded, and after the last writer of the run
    before has ended, but for the recordings that were `taken` over.
    """
    found: list[Recovered] = []
    for recording_id, journals in spool.list_journals().items():
        if recording_id in taken.recordings:
            continue
        if all(map(_is_blank, journals)) and not spool.is_sealed(recording_id):
            # The power went before anything was durable: its envelope is all there is.
            spool.forget_journals(recording_id)
        else:
            found.append(_seal(spool, recording_id))
    sealed = spool.list_sealed()
    there = {*sealed, *spool.list_journals(), *spool.list_quarantined()}
    for recording_id in spool.list_envelopes():
        if recording_id in taken.recordings:
            continue
        # The envelope is written first: its recording's journal never was, or it is
        # sealed with a copy of this. The ledger first: a start killed in between
        # finds the envelope again.
        if recording_id not in there:
            await ledger.forget_recording(recording_id)
            found.append(Recovered(recording_id, "dropped"))
        if not spool.journals_of(recording_id):
            spool.envelope_path(recording_id).unlink()
    # Here and below few commits for however many: the daemon is not ready before.
    await ledger.advance_all(sealed, RecordingState.SEALED)
    await asyncio.gather(
        *(
            _note_partial(ledger, recovered.recording_id)
            for recovered in found
            if recovered.action == "salvaged"
        )
    )
    for recording in await ledger.open_recordings():
        if recording.recording_id in there | taken.recordings:
            continue
        if recording.state == RecordingState.OPEN:
            await ledger.forget_recording(recording.recording_id)
        elif recording.state == RecordingState.STORED:
            await ledger.advance(recording.recording_id, RecordingState.PURGED)
    rows = await ledger.open_calls()
    await asyncio.gather(
        *(_close(ledger, row) for row in rows if row.call_id not in taken.calls)
    )
    return found


def _is_blank(journal: Path) -> bool:
    try:
        with journal.open("rb") as file:
            start = file.read(_START)
    except OSError:
        return False  # whatever is wrong with it, nothing is known of what it holds
    return len(start) < _START and is_blank(start)


def _seal(spool: Spool, recording_id: str) -> Recovered:
    if spool.is_sealed(recording_id):
        spool.forget_sources(recording_id)
        return Recovered(recording_id, "kept")
    if not spool.envelope_path(recording_id).exists():
        # A journal nobody has a key for cannot happen by protocol: keep it, say so.
        spool.quarantine(recording_id)
        return Recovered(recording_id, "quarantined")
    try:
        salvage(recording_id, spool)
    except OSError:
        # A full disk must not keep the daemon from carrying calls.
        return Recovered(recording_id, "left")
    return Recovered(recording_id, "salvaged")


async def _note_partial(ledger: Ledger, recording_id: str) -> None:
    """Its call may have been closed as recorded, a moment before the end."""
    await ledger.note_partial(await ledger.call_of(recording_id))


async def _close(ledger: Ledger, row: LedgerRow) -> None:
    """A row still open belongs to a call that died with the agent."""
    outcome = Outcome.PARTIAL if row.recordings else Outcome.FAILED
    await ledger.close_call(
        row.call_id, outcome, cause=EndCause.AGENT_DIED, ended_utc_ns=utc_ns()
    )
