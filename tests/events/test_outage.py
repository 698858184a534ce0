"""A broker that is away for a day, by a clock that is driven: what waits, what goes."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import structlog

from agent.events import publisher as publisher_module
from agent.model.call import CallDirection, Outcome
from agent.model.events import OutboxRow
from agent.recording import outbox as outbox_module
from agent.recording.ledger import CallIntent, Ledger
from tests.events.publishing import Site

HOUR_NS = 3600 * 1_000_000_000
BEGUN_NS = 1_800_000_000 * 1_000_000_000
KINDS = ["offered", "answered", "opened", "ended"]
CALLS_AN_HOUR = 20
EVENTS_AN_HOUR = CALLS_AN_HOUR * len(KINDS)
ALWAYS = 1 << 30
"Attempts that fail: more than a day has."


class Clock:
    """The host's clock, as both who write events and who drop them read it."""

    def __init__(self) -> None:
        self.utc_ns = BEGUN_NS

    def __call__(self) -> int:
        return self.utc_ns


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in (publisher_module, outbox_module):
        monkeypatch.setattr(module, "utc_ns", clock)
    for name in ("FIRST_DELAY", "LONGEST_DELAY", "TRIM_INTERVAL", "FORGET_WITHIN"):
        monkeypatch.setattr(publisher_module, name, 0.01)
    return clock


@pytest.fixture
async def ledger(tmp_path: Path) -> AsyncIterator[Ledger]:
    ledger = Ledger(
        tmp_path / "ledger.sqlite", hash_key=b"h" * 32, host="h", reserve_bytes=1 << 14
    )
    await ledger.start()
    yield ledger
    await ledger.close()


async def call(ledger: Ledger, call_id: str, now_ns: int) -> None:
    """One call, and its four events."""
    await ledger.begin(
        CallIntent(
            call_id=call_id,
            sip_call_id=call_id,
            route="in",
            direction=CallDirection.INBOUND,
            begun_utc_ns=now_ns,
        )
    )
    await ledger.answered(call_id, now_ns)
    await ledger.segment(call_id, f"of-{call_id}", call_id, now_ns)
    await ledger.close_call(call_id, Outcome.RECORDED, ended_utc_ns=now_ns)


@pytest.mark.parametrize(
    ("bounds", "most", "dropped"),
    [
        # Of 1920 events as many as there is room for …
        ({"max_events": 1000}, 1000, 920),
        # … those of the last six hours …
        ({"max_age_days": 0.25}, 6 * EVENTS_AN_HOUR, 18 * EVENTS_AN_HOUR),
        # … and, by default, all.
        ({}, 24 * EVENTS_AN_HOUR, 0),
    ],
)
async def test_a_day_without_a_broker(
    ledger: Ledger, clock: Clock, bounds: dict[str, float], most: int, dropped: int
) -> None:
    assert ledger.outbox is not None
    site = Site(ledger.outbox, **bounds)
    site.unreachable = ALWAYS
    stats = site.publisher.stats
    written: list[OutboxRow] = []
    with structlog.testing.capture_logs() as log:
        site.publisher.start()
        for hour in range(24):
            async with asyncio.TaskGroup() as group:
                for number in range(CALLS_AN_HOUR):
                    one = call(ledger, f"{hour:02}-{number:02}", clock())
                    group.create_task(one)
            after = written[-1].position if written else 0
            written += await ledger.outbox.exchange((), after=after, limit=1000)
            clock.utc_ns += HOUR_NS
            kept = min(len(written), most)
            wanted = kept, len(written) - kept
            await site.until(
                lambda wanted=wanted: (stats.waiting, stats.dropped) == wanted
            )
        # Nothing of it was in memory.
        assert site.publisher._sending.idle
        assert site.publisher.away
        site.unreachable = 0
        await site.until(lambda: len(calls_told(site)) == len(written) - dropped)
        await site.publisher.close()
    told = [line["count"] for line in log if line["event"] == "events_dropped"]
    assert sum(told) == stats.dropped == dropped
    # The oldest went, and no other; what was left came once, each call's in order.
    left = [msgspec.json.decode(row.body)["event_id"] for row in written[dropped:]]
    events = calls_told(site)
    assert sorted(event["event_id"] for event in events) == sorted(left)
    of_call: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for event in events:
        of_call[event["call_id"]].append(event)
    for told_of_it in of_call.values():
        # The number of the first says how many are missing before it.
        first = told_of_it[0]["sequence"]
        assert [e["sequence"] for e in told_of_it] == list(range(first, 5))
        assert [e["kind"] for e in told_of_it] == KINDS[first - 1 :]
    assert (await ledger.outbox.backlog()).rows == 0


def calls_told(site: Site) -> list[dict[str, Any]]:
    """Events of calls that the broker has, as they came."""
    return [told for topic, told, _ in site.published if "/calls/" in topic]
