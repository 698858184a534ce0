import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.formats.cdr import CdrRecord, Span
from agent.model.call import CallDirection, EndCause, Outcome
from agent.recording.cdr_matching import MAX_NAMED, CdrMatching, Compared, Finding
from agent.recording.ledger import CallIntent, Ledger, LedgerError

KEY = b"k" * 32
NS = 10**9
NOON = 1_795_437_296 * NS


class Site:
    """A ledger, and a file of records."""

    def __init__(self, path: Path, ledger: Ledger) -> None:
        self.path = path
        self.ledger = ledger
        self.records: list[CdrRecord] = []

    async def call(
        self,
        name: str,
        at: float,
        seconds: float | None,
        outcome: Outcome = Outcome.RECORDED,
        *,
        route: str = "service",
    ) -> None:
        """A call that was answered and had its segment, unless the outcome says no."""
        begun = NOON + int(at * NS)
        intent = CallIntent(
            call_id=name,
            sip_call_id=f"{name}@pbx",
            route=route,
            direction=CallDirection.INBOUND,
            begun_utc_ns=begun,
        )
        await self.ledger.begin(intent)
        await self.ledger.answered(name, begun + 1)
        if outcome in {Outcome.RECORDED, Outcome.PARTIAL}:
            await self.ledger.segment(name, f"of-{name}", name, begun)
        if seconds is not None:
            await self.ledger.close_call(
                name,
                outcome,
                ended_utc_ns=begun + int(seconds * NS),
                cause=EndCause.CALLER_HANGUP,
                missing_ms=300 if outcome is Outcome.PARTIAL else 0,
            )

    def record(self, at: float, seconds: float, call_id: str = "") -> None:
        begun = NOON + int(at * NS)
        span = Span(begun, begun + int(seconds * NS))
        self.records.append(CdrRecord((span,), True, call_id))

    def compare(self, tests: tuple[str, ...] = ()) -> list[Compared]:
        with CdrMatching(self.path, hash_key=KEY, tests=tests) as matching:
            for line, record in enumerate(self.records, 1):
                matching.add(line, record)
            return list(matching.compare(window=5.0))

    def findings(self) -> list[tuple[int | None, str, tuple[str, ...]]]:
        return [(one.line, one.finding, one.calls) for one in self.compare()]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    path = tmp_path / "ledger.sqlite"
    ledger = Ledger(path, hash_key=KEY, reserve_bytes=1 << 16)
    await ledger.start()
    yield Site(path, ledger)
    await ledger.close()


async def test_a_call_is_known_by_its_id(site: Site) -> None:
    await site.call("a", 0, 60)
    await site.call("b", 0, 60, Outcome.UNRECORDED)
    await site.call("c", 0, 60, Outcome.PARTIAL)
    await site.call("d", 0, 60, Outcome.EXEMPT)
    for name in "abcd":
        # Its clock is an hour wrong: an id is an id.
        site.record(3600, 50, f"{name}@pbx")
    told = site.compare()
    assert [one.finding for one in told] == [
        Finding.CAPTURED, Finding.NOT_CAPTURED, Finding.NOT_CAPTURED, Finding.EXEMPT,
    ]  # fmt: skip
    assert [one.matched_by for one in told] == ["call-id"] * 4
    assert (told[1].outcome, told[1].cause) == ("unrecorded", "caller-hangup")
    assert (told[2].outcome, told[2].missing_ms) == ("partial", 300)


async def test_of_a_session_that_outlasts_its_calls_the_last_is_known(
    site: Site,
) -> None:
    """A limit that README tells of: the others are asked after, none is passed over."""
    await site.call("session", 0, 3600)
    await site.call("up", 0, None)
    for at in (100, 900, 3500):
        site.record(at, 100)
    assert site.findings() == [
        (1, Finding.UNKNOWN_HERE, ()),
        (2, Finding.UNKNOWN_HERE, ()),
        (3, Finding.CAPTURED, ("session",)),
    ]


async def test_a_call_is_known_by_its_end(site: Site) -> None:
    await site.call("a", 0, 60)
    await site.call("b", 30, 60, Outcome.BLOCKED)
    # What is behind us hears of a call once the notice was played.
    site.record(20, 41)
    # And the leg to it has an id of its own.
    site.record(45, 42, "leg@pbx")
    told = site.compare()
    assert [(one.finding, one.calls, one.matched_by) for one in told] == [
        (Finding.CAPTURED, ("a",), "time"),
        (Finding.NOT_CAPTURED, ("b",), "time"),
    ]


async def test_a_call_that_did_not_come_by_is_named(site: Site) -> None:
    await site.call("a", 0, 60)
    site.record(0, 60)
    site.record(-30, 90)  # longer than what ended when it did
    site.record(500, 60, "elsewhere@pbx")
    assert site.findings() == [
        (1, Finding.CAPTURED, ("a",)),
        (2, Finding.UNKNOWN_HERE, ()),
        (3, Finding.UNKNOWN_HERE, ()),
    ]


async def test_a_call_that_the_file_has_not_is_named(site: Site) -> None:
    await site.call("first", -100, 10)
    await site.call("a", 0, 60)
    await site.call("b", 100, 60)
    await site.call("talks", 130, None)
    await site.call("last", 500, 60)
    site.record(0, 60)
    site.record(200, 60, "x")
    # Of what was before the file begins, or after its end, it need not tell.
    assert site.findings()[-1] == (None, Finding.UNKNOWN_THERE, ("b",))
    assert len(site.findings()) == 3


async def test_calls_of_one_moment_are_told_apart_by_nothing(site: Site) -> None:
    await site.call("a", 0, 60)
    await site.call("b", 1, 60)
    site.record(0, 60)
    site.record(1, 60)
    # Whichever is which, both are recorded.
    assert [finding for _, finding, _ in site.findings()] == [Finding.CAPTURED] * 2
    await site.call("c", 1, 60, Outcome.FAILED)
    site.record(2, 60)
    assert site.findings() == [
        (line, Finding.AMBIGUOUS, ("a", "b", "c")) for line in (1, 2, 3)
    ]


async def test_more_records_than_calls_are_ambiguous(site: Site) -> None:
    await site.call("a", 0, 60)
    site.record(0, 60)
    site.record(1, 60)
    assert site.findings() == [(line, Finding.AMBIGUOUS, ("a",)) for line in (1, 2)]
    # But several lines of one id tell of one call.
    site.records.clear()
    site.record(0, 20, "a@pbx")
    site.record(20, 40, "a@pbx")
    assert site.findings() == [(line, Finding.CAPTURED, ("a",)) for line in (1, 2)]


async def test_who_is_named_by_an_id_is_no_candidate(site: Site) -> None:
    await site.call("a", 0, 60)
    site.record(0, 60, "a@pbx")
    site.record(0, 60)
    assert site.findings() == [
        (1, Finding.CAPTURED, ("a",)),
        (2, Finding.UNKNOWN_HERE, ()),
    ]


async def test_a_recorded_call_without_a_recording_is_none(site: Site) -> None:
    await site.call("a", 0, 60)
    await site.ledger.forget_recording("of-a")
    site.record(0, 60)
    assert site.findings() == [(1, Finding.NOT_CAPTURED, ("a",))]


async def test_a_call_that_runs_is_no_miss(site: Site) -> None:
    await site.call("a", 0, None)
    site.record(0, 60, "a@pbx")
    assert site.findings() == [(1, Finding.RUNNING, ("a",))]


async def test_test_calls_are_left_out(site: Site) -> None:
    await site.call("probe", 20, 10, route="probe")
    site.record(0, 60)
    [one] = site.compare(tests=("probe",))
    assert one.finding is Finding.UNKNOWN_HERE


async def test_an_hour_that_comes_twice_is_looked_at_twice(site: Site) -> None:
    await site.call("a", 3600, 60)
    spans = tuple(Span(NOON + at * NS, NOON + (at + 60) * NS) for at in (0, 3600))
    site.records.append(CdrRecord(spans, True, ""))
    assert site.findings() == [(1, Finding.CAPTURED, ("a",))]


async def test_not_all_candidates_are_named(site: Site) -> None:
    for number in range(MAX_NAMED + 3):
        await site.call(f"c{number:02}", 0, 60)
    site.record(0, 60)
    [one] = site.compare()
    assert one.finding is Finding.CAPTURED
    assert len(one.calls) == MAX_NAMED


async def test_nothing_to_compare(site: Site) -> None:
    await site.call("a", 0, 60)
    assert site.compare() == []


def test_what_is_no_ledger_is_said(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with pytest.raises(LedgerError, match="cannot be read"):
        CdrMatching(path, hash_key=KEY)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 99")
    with pytest.raises(LedgerError, match="version 99"):
        CdrMatching(path, hash_key=KEY)
