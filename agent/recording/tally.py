"""What became of the calls of a span of time, and of their recordings: numbers only."""

from collections.abc import Collection
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec

from agent.formats.layout import HELSINKI
from agent.model.call import Outcome
from agent.model.recording import RecordingState
from agent.recording.ledger_reading import opened

_SPAN: Final = (
    "begun_utc_ns >= ? AND begun_utc_ns < ?"
    " AND route NOT IN (SELECT value FROM json_each(?))"
)
_CALLS: Final = (
    "SELECT coalesce(outcome, ''), count(*), count(answered_utc_ns), sum(missing_ms)"  # noqa: S608 - ours
    f" FROM calls WHERE {_SPAN} GROUP BY 1"
)
_RECORDINGS: Final = (
    "SELECT state, count(*) FROM recordings JOIN calls USING (call_id)"  # noqa: S608
    f" WHERE {_SPAN} GROUP BY 1"
)
_OPEN_ANSWERED: Final = (
    "SELECT call_id FROM calls WHERE outcome IS NULL AND answered_utc_ns IS NOT NULL"
    " AND route NOT IN (SELECT value FROM json_each(?)) ORDER BY begun_utc_ns"
)
_SAFE: Final = {RecordingState.STORED, RecordingState.PURGED}


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """Calls that began in one span."""

    outcomes: dict[str, int]
    "Those that are over, by agent.model.call.Outcome; what did not occur is not there."
    running: int
    "Those that have no outcome yet."
    answered: int
    "In which an officer talked, of those that are over …"
    exempt: int
    "… and of these again those that must not be recorded."
    captured: int
    "Answered, and recorded as a whole."
    missing_ms: int
    "Talk that is in no recording."
    stored: int
    "Recordings that every storage has …"
    waiting: int
    "… and those that it has not yet."

    @property
    def begun(self) -> int:
        """All of them."""
        return sum(self.outcomes.values()) + self.running

    @property
    def capture_rate(self) -> float | None:
        """Of the answered that must be recorded, how many are: 0 to 1; None of none."""
        due = self.answered - self.exempt
        return self.captured / due if due else None


def span_of(day: date) -> tuple[int, int]:
    """A local day's first nanosecond, and the first after it; 23 to 25 hours."""
    first, after = (
        datetime(one.year, one.month, one.day, tzinfo=HELSINKI).timestamp()
        for one in (day, day + timedelta(days=1))
    )
    return int(first) * 1_000_000_000, int(after) * 1_000_000_000


def read_tally(
    path: Path, since_utc_ns: int, until_utc_ns: int, *, tests: Collection[str] = ()
) -> Tally:
    """Count, beside a running daemon or without one; blocks while it reads.

    Calls of the routes `tests` are nobody's, and are left out. Raises LedgerError if
    there is no ledger to read, or one of another version.
    """
    span = since_utc_ns, until_utc_ns, _json(tests)
    with opened(path) as db:
        # Both questions are answered of one moment.
        db.execute("BEGIN")
        calls = db.execute(_CALLS, span).fetchall()
        states = dict(db.execute(_RECORDINGS, span).fetchall())
    return _tally(calls, states)


def read_open_answered(path: Path, *, tests: Collection[str] = ()) -> list[str]:
    """Answered calls without an outcome, the oldest first; as `read_tally` else."""
    with opened(path) as db:
        found = db.execute(_OPEN_ANSWERED, (_json(tests),)).fetchall()
    return [str(call) for (call,) in found]


def _json(tests: Collection[str]) -> str:
    return msgspec.json.encode(sorted(tests)).decode()


def _tally(calls: list[tuple[str, int, int, int]], states: dict[str, int]) -> Tally:
    counts = {outcome: count for outcome, count, _, _ in calls}
    answered = {outcome: answered for outcome, _, answered, _ in calls}
    stored = sum(states.get(state, 0) for state in _SAFE)
    return Tally(
        outcomes={outcome: count for outcome, count in counts.items() if outcome},
        running=counts.get("", 0),
        answered=sum(count for outcome, count in answered.items() if outcome),
        exempt=answered.get(Outcome.EXEMPT, 0),
        captured=answered.get(Outcome.RECORDED, 0),
        missing_ms=sum(missing for _, _, _, missing in calls),
        stored=stored,
        waiting=sum(states.values()) - stored,
    )
