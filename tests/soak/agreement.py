"""Whether ledger, metrics, events and storage tell the same of a day's calls.

Each of them was written by another part of the agent, at another time: where they agree
to the last call, nothing was lost in silence.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from agent.model.call import EndCause, Outcome
from agent.recording.ledger import LedgerRow

Samples = Mapping[tuple[str, ...], float]
"By the series' name without its prefix, and the values of its labels."
STATES = ("opened", "closed", "sealed", "stored", "purged")
"Events of each recording that went its whole way, in this order."
KEY, JOURNAL = ".key.age", ".journal"
OBJECTS = (KEY, ".wav.age", ".json.age", JOURNAL)
"""What is in storage of a recording, by what its name ends in: its envelope, and audio
and manifest; or, of one that was salvaged, its journals."""


@dataclass(frozen=True, kw_only=True)
class FirstLife:
    """What a main process had told when it was killed; another one came after it."""

    rows: list[LedgerRow]
    "As its ledger was left."
    samples: Samples
    "Its last scrape, and …"
    closed: int
    "… how many calls were closed in the ledger before that."

    @property
    def outcomes(self) -> Counter[str | None]:
        """Of the calls that it closed; its counters have them, and no other's do."""
        return Counter(row.outcome for row in self.rows if row.outcome is not None)

    @property
    def open_recordings(self) -> set[str]:
        """Those that it left open."""
        return {
            one.recording_id
            for row in self.rows
            for one in row.recordings
            if one.state == "open"
        }


@dataclass(frozen=True, kw_only=True)
class Accounts:
    """What each of the four says."""

    rows: list[LedgerRow]
    samples: Samples
    events: list[dict[str, Any]]
    "Of calls, each once, as they came."
    stored: Mapping[str, set[str]]
    "Ids of recordings in storage, by the suffix of what is there."
    answered: int
    "Calls in which an officer's phone answered, as the phones counted."
    missed: set[str] = field(default_factory=set)
    "Calls that `reconcile` names by the phones' own records."
    before: FirstLife | None = None
    "Where main was killed in the middle of the day."


def disagreements(accounts: Accounts) -> list[str]:
    """What does not agree, a sentence each."""
    return [
        *_of_metrics(accounts),
        *_of_events(accounts),
        *_of_storage(accounts),
        *_of_phones(accounts),
    ]


def misses(rows: Iterable[LedgerRow]) -> list[LedgerRow]:
    """Answered calls that are not recorded as a whole."""
    whole = {Outcome.RECORDED, Outcome.EXEMPT}
    return [
        row
        for row in rows
        if row.answered_utc_ns is not None and row.outcome not in whole
    ]


def capture_rate(rows: list[LedgerRow]) -> float:
    """As the ledger's rows have it."""
    due = [
        row
        for row in rows
        if row.answered_utc_ns is not None and row.outcome != Outcome.EXEMPT
    ]
    return sum(row.outcome == Outcome.RECORDED for row in due) / len(due)


def _differ(what: str, *told: tuple[str, object]) -> Iterator[str]:
    if len({repr(value) for _, value in told}) > 1:
        yield f"{what}: " + ", ".join(f"{who} {value}" for who, value in told)


def _of_metrics(accounts: Accounts) -> Iterator[str]:
    rows, samples = accounts.rows, accounts.samples
    counts = Counter(row.outcome for row in rows)
    degraded = int(samples["calls_degraded_total",])
    # Counters begin anew with the process; what the day's gauges tell does not.
    earlier: Counter[str | None] = Counter()
    if accounts.before is not None:
        earlier = accounts.before.outcomes
        yield from _of_first_life(accounts.before)
    for outcome in Outcome:
        day = int(samples["day_calls", outcome])
        counted = earlier[outcome] + int(samples["calls_total", outcome])
        if outcome is Outcome.RECORDED:
            counted -= degraded
        elif outcome is Outcome.PARTIAL:
            counted += degraded
        yield from _differ(
            f"calls {outcome}",
            ("ledger", counts[outcome]),
            ("metrics of the day", day),
            ("metrics' counter", counted),
        )
    answered = sum(row.answered_utc_ns is not None for row in rows)
    yield from _differ(
        "answered calls",
        ("ledger", answered),
        ("metrics", int(samples["day_calls_answered",])),
    )
    yield from _differ(
        "capture rate",
        ("ledger", round(capture_rate(rows), 9)),
        ("metrics", round(samples["capture_ratio",], 9)),
    )
    yield from _differ(
        "missing seconds",
        ("ledger", round(sum(row.missing_ms for row in rows) / 1000, 3)),
        ("metrics", round(samples["day_missing_seconds",], 3)),
    )
    yield from _differ(
        "stored recordings",
        ("ledger", sum(len(row.recordings) for row in rows)),
        ("metrics", int(samples["day_recordings", "stored"])),
    )
    yield from _differ(
        "calls that are up", ("nobody", 0), ("metrics", int(samples["calls_active",]))
    )


def _of_first_life(life: FirstLife) -> Iterator[str]:
    """Its counters were scraped between two looks at the ledger."""
    counted = sum(int(life.samples["calls_total", outcome]) for outcome in Outcome)
    least, most = life.closed, life.outcomes.total()
    if not least <= counted <= most:
        yield f"closed before the kill: ledger {least} to {most}, metrics {counted}"


def _of_events(accounts: Accounts) -> Iterator[str]:
    by_call: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in accounts.events:
        by_call[event["call_id"]].append(event)
    rows = {row.call_id: row for row in accounts.rows}
    for call_id in by_call.keys() - rows.keys():
        yield f"call {call_id}: events, and the ledger has none such"
    for call_id, row in rows.items():
        events = by_call.get(call_id, [])
        numbers = [event["sequence"] for event in events]
        if numbers != list(range(1, len(numbers) + 1)):
            yield f"call {call_id}: its events are numbered {numbers}"
        yield from _of_call(row, events, accounts)


def _of_call(
    row: LedgerRow, events: list[dict[str, Any]], accounts: Accounts
) -> Iterator[str]:
    here = f"call {row.call_id}"
    kinds = Counter(event["kind"] for event in events)
    expected = {
        "offered": 1, "ended": 1, "answered": int(row.answered_utc_ns is not None),
    }  # fmt: skip
    for kind, count in expected.items():
        yield from _differ(
            f"{here}, {kind}", ("ledger", count), ("events", kinds[kind])
        )
    told = [event for event in events if event["kind"] in {"ended", "corrected"}]
    if told:
        yield from _differ(
            f"{here}, outcome",
            ("ledger", (row.outcome, row.missing_ms)),
            ("events", (told[-1]["outcome"], told[-1]["missing_ms"])),
        )
    for recording in row.recordings:
        states = [
            event["kind"]
            for event in events
            if event.get("recording_id") == recording.recording_id
        ]
        way = list(STATES)
        if (
            accounts.before is not None
            and "closed" not in states
            and recording.recording_id in accounts.before.open_recordings
        ):
            # Nobody was there to close it: it was sealed as it was left.
            way.remove("closed")
        yield from _differ(
            f"recording {recording.recording_id}", ("its way", way), ("events", states)
        )


def _of_storage(accounts: Accounts) -> Iterator[str]:
    noted = {one.recording_id for row in accounts.rows for one in row.recordings}
    for row in accounts.rows:
        for one in row.recordings:
            if one.state != "purged":
                yield f"recording {one.recording_id}: the ledger has it {one.state}"
    salvaged = {
        event["recording_id"]
        for event in accounts.events
        if event["kind"] == "sealed" and event["salvaged"]
    }
    for suffix, found in accounts.stored.items():
        due = noted
        if suffix != KEY:
            due = salvaged if suffix == JOURNAL else noted - salvaged
        for recording_id in due - found:
            yield f"recording {recording_id}: storage has no {suffix}"
        for recording_id in found - due:
            yield f"recording {recording_id}: {suffix} that the ledger knows nothing of"


def _of_phones(accounts: Accounts) -> Iterator[str]:
    told = {row.call_id for row in misses(accounts.rows)}
    # Who was answered in the last moment of a process that was killed, the phones know.
    untold = {
        row.call_id
        for row in accounts.rows
        if row.cause == EndCause.AGENT_DIED
        and row.answered_utc_ns is None
        and row.call_id in accounts.missed
    }
    answered = sum(row.answered_utc_ns is not None for row in accounts.rows)
    yield from _differ(
        "answered calls",
        ("phones", accounts.answered),
        ("ledger", answered + len(untold)),
    )
    yield from _differ(
        "calls without a whole recording",
        ("ledger", sorted(told | untold)),
        ("reconcile", sorted(accounts.missed)),
    )
