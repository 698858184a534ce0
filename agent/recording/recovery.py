"""At start: what a killed run left behind is sealed, and its calls get an outcome.

Each step is safe to repeat; a start that is killed in the middle of it is followed by
one that finds the same, or less, to do.
"""

from dataclasses import dataclass
from typing import Literal

from agent.common.clock import utc_ns
from agent.model.call import EndCause, Outcome
from agent.model.recording import RecordingState
from agent.recording.finisher import salvage
from agent.recording.ledger import Ledger, LedgerRow
from agent.recording.spool import Spool

Action = Literal["salvaged", "kept", "quarantined", "dropped"]


@dataclass(frozen=True, slots=True)
class Recovered:
    """What was done about one recording of a killed run."""

    recording_id: str
    action: Action
    "`kept`: it was sealed already. `dropped`: nothing of it was ever written."


async def recover(spool: Spool, ledger: Ledger) -> list[Recovered]:
    """Seal what a killed run left; close its ledger rows. Raises LedgerError, OSError.

    To be called before anything is recorded.
    """
    found = []
    sealed = set(spool.list_sealed())
    for recording_id in spool.list_journals():
        if recording_id in sealed:
            spool.forget_sources(recording_id)
            found.append(Recovered(recording_id, "kept"))
        elif spool.envelope_path(recording_id).exists():
            salvage(recording_id, spool)
            sealed.add(recording_id)
            found.append(Recovered(recording_id, "salvaged"))
        else:
            _quarantine(spool, recording_id)
            found.append(Recovered(recording_id, "quarantined"))
    for path in sorted(spool.keys_directory.glob("*.key.age")):
        # The envelope is written first: this recording's journal never was.
        recording_id = path.name.partition(".")[0]
        path.unlink()
        if recording_id not in sealed:
            await ledger.forget_recording(recording_id)
            found.append(Recovered(recording_id, "dropped"))
    for recording_id in sealed:
        await ledger.advance(recording_id, RecordingState.SEALED)
    for row in await ledger.open_calls():
        await _close(ledger, row)
    return found


def _quarantine(spool: Spool, recording_id: str) -> None:
    """A journal nobody has a key for cannot happen by protocol: keep it, and say so."""
    for journal in spool.journals_of(recording_id):
        journal.rename(spool.quarantine_directory / journal.name)


async def _close(ledger: Ledger, row: LedgerRow) -> None:
    """A row still open belongs to a call that died with the agent."""
    outcome = Outcome.PARTIAL if row.recordings else Outcome.FAILED
    await ledger.close_call(
        row.call_id, outcome, cause=EndCause.AGENT_DIED, ended_utc_ns=utc_ns()
    )
