"""At start: what a killed run left behind is sealed, and its calls get an outcome.

Each step is safe to repeat; a start that is killed in the middle of it is followed by
one that finds the same, or less, to do.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
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

Action = Literal["waiting", "salvaged", "kept", "quarantined", "dropped", "left"]


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was done about one recording of a killed run."""

    recording_id: str
    action: Action
    """`waiting`: to be salvaged. `kept`: it was sealed already. `dropped`: nothing of
    it is on disk, or may be. `left`: the disk does not take it now; the next start
    tries again."""


@dataclass(frozen=True, slots=True)
class TakenOver:
    """What goes on where the run before stood, and is none of recovery's business."""

    recordings: frozenset[str] = frozenset()
    calls: frozenset[str] = frozenset()


async def recover(
    spool: Spool, ledger: Ledger, taken: TakenOver = TakenOver()
) -> list[Recovered]:
    """Find what a killed run left; close its ledger rows. Raises LedgerError, OSError.

    To be called before anything is recorded, and after the last writer of the run
    before has ended, but for the recordings that were `taken` over. What is `waiting`
    then is sealed by `salvage_waiting`, while calls are carried again: thousands would
    take minutes.
    """
    found: list[Recovered] = []
    for recording_id in spool.list_discarded():
        # Its key is destroyed, or was about to be: nobody is to hear of it again.
        if recording_id not in taken.recordings:
            await ledger.forget_recording(recording_id)
            spool.forget_sources(recording_id)
            found.append(Recovered(recording_id, "dropped"))
    for recording_id, journals in spool.list_journals().items():
        if recording_id in taken.recordings:
            continue
        if all(map(_is_blank, journals)) and not spool.is_sealed(recording_id):
            # The power went before anything was durable: its envelope is all there is.
            spool.forget_journals(recording_id)
        else:
            found.append(_judge(spool, recording_id))
    sealed = spool.list_sealed()
    journals_left = spool.list_journals()
    there = {*sealed, *journals_left, *spool.list_quarantined(), *taken.recordings}
    for recording_id in spool.list_envelopes():
        if recording_id in taken.recordings:
            continue
        # The envelope is written first: its recording's journal never was, or it is
        # sealed with a copy of this. The ledger first: a start killed in between
        # finds the envelope again.
        if recording_id not in there:
            await ledger.forget_recording(recording_id)
            found.append(Recovered(recording_id, "dropped"))
        if recording_id not in journals_left:
            spool.forget_envelope(recording_id)
    # Here and below few commits for however many: the daemon is not ready before.
    await ledger.advance_all(sealed, RecordingState.SEALED)
    # Their calls may have been closed as recorded, a moment before the end.
    await ledger.note_partial_of(r.recording_id for r in found if r.action == "waiting")
    for recording in await ledger.open_recordings():
        if recording.recording_id in there:
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


async def salvage_waiting(
    found: Iterable[Recovered], spool: Spool, ledger: Ledger, *, indexed: bool = False
) -> AsyncIterator[Recovered]:
    """Seal what is `waiting`, one after the other in a thread; tells of each.

    `indexed` says whether this host's recordings have an index. Raises LedgerError;
    the next start finds the rest.
    """
    for recording_id in (one.recording_id for one in found if one.action == "waiting"):
        try:
            await asyncio.to_thread(salvage, recording_id, spool, indexed=indexed)
        except OSError:
            # A full disk must not keep the daemon from carrying calls.
            yield Recovered(recording_id, "left")
            continue
        await ledger.advance(recording_id, RecordingState.SEALED, salvaged=True)
        yield Recovered(recording_id, "salvaged")


def _is_blank(journal: Path) -> bool:
    try:
        if journal.stat().st_size >= _START:
            return False
        start = journal.read_bytes()
    except OSError:
        return False  # whatever is wrong with it, nothing is known of what it holds
    return is_blank(start)


def _judge(spool: Spool, recording_id: str) -> Recovered:
    if spool.is_sealed(recording_id):
        spool.forget_sources(recording_id)
        return Recovered(recording_id, "kept")
    if not spool.envelope_path(recording_id).exists():
        # A journal nobody has a key for cannot happen by protocol: keep it, say so.
        spool.quarantine(recording_id)
        return Recovered(recording_id, "quarantined")
    return Recovered(recording_id, "waiting")


async def _close(ledger: Ledger, row: LedgerRow) -> None:
    """A row still open belongs to a call that died with the agent."""
    outcome = Outcome.PARTIAL if row.recordings else Outcome.FAILED
    await ledger.close_call(
        row.call_id, outcome, cause=EndCause.AGENT_DIED, ended_utc_ns=utc_ns()
    )
