"""What an audit log tells: a person about their recording, others about who did what.

Sans IO: rows come in, in order, and are looked at once.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from agent.formats.audit import Act, Row


@dataclass(frozen=True, slots=True)
class Consultation:
    """When and why a recording was dealt with; not by whom."""

    time: str
    act: str
    purpose: str
    result: str


def when_and_why(rows: Iterable[Row], recording_id: str) -> list[Consultation]:
    """What the person in a recording may be told of it: no employee, no case.

    After the judgment C-579/21 of the EU's Court of Justice.
    """
    return [
        Consultation(row.time, row.act, row.purpose, row.result)
        for row in rows
        if row.id == recording_id
    ]


@dataclass(slots=True)
class Touched:
    """What one person did in some time: to learn how far a breach went."""

    who: str
    first: str = ""
    last: str = ""
    acts: Counter[str] = field(default_factory=Counter)
    "How often each act was done, or denied."
    recordings: dict[str, list[Consultation]] = field(default_factory=dict)
    "By id, in the order in which they were touched first."


def touched(
    rows: Iterable[Row],
    who: str,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
) -> Touched:
    """Every recording that a person had to do with, from `since` to before `until`."""
    report = Touched(who)
    for row in rows:
        if row.who != who:
            continue
        if (since and row.moment < since) or (until and row.moment >= until):
            continue
        report.first = report.first or row.time
        report.last = row.time
        report.acts[row.act if row.result == "ok" else f"{row.act} {row.result}"] += 1
        if row.id:
            report.recordings.setdefault(row.id, []).append(
                Consultation(row.time, row.act, row.purpose, row.result)
            )
    return report


@dataclass(frozen=True, slots=True)
class Disclosure:
    """One recording that was given out of the agency."""

    time: str
    who: str
    id: str
    purpose: str
    reference: str
    detail: dict[str, str]
    "To whom and on what basis, in words."


def disclosures(rows: Iterable[Row]) -> list[Disclosure]:
    """Everything that was given out: what, when, by whom and why."""
    return [
        Disclosure(
            row.time, row.who, row.id, row.purpose, row.reference, dict(row.detail)
        )
        for row in rows
        if row.result == "ok"
        and (
            row.act == Act.EXPORT
            or (row.act == Act.RELEASE and row.purpose == "disclosure")
        )
    ]
