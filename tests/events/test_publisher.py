import asyncio

import pytest
import structlog

from agent.common.errors import AgentError
from agent.events import publisher as module
from agent.events.broker import Message
from agent.events.host_state import Life
from agent.model.events import (
    AlarmEvent,
    Backlog,
    CallEnded,
    CallOffered,
    Event,
    OutboxRow,
    RecordingSealed,
)
from tests.events.publishing import Site

NOT_AUTHORIZED = 0x87


def offered(call_id: str) -> Event:
    return CallOffered(call_id=call_id, route="r", direction="inbound", caller="***")


def sealed(call_id: str) -> Event:
    return RecordingSealed(call_id=call_id, recording_id="r")


def ended(call_id: str) -> Event:
    return CallEnded(
        call_id=call_id,
        outcome="recorded",
        cause="",
        sip_status=None,
        missing_ms=0,
        ended_utc_ns=1,
    )


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FIRST_DELAY", "FORGET_WITHIN", "LEAVING_SECONDS", "_OUTBOX_DELAY"):
        monkeypatch.setattr(module, name, 0.01)
    monkeypatch.setattr(module, "LONGEST_DELAY", 0.02)
    monkeypatch.setattr(module, "TRIM_INTERVAL", 0.01)


async def test_events_are_sent_and_forgotten() -> None:
    site = Site()
    site.outbox.add(offered("a"), offered("b"), sealed("a"))
    site.publisher.start()
    await site.until(lambda: not site.outbox.rows)
    site.outbox.add(AlarmEvent(event="storage_away", active=True))
    await site.until(lambda: not site.outbox.rows)
    assert site.kinds("a") == ["offered", "sealed"]
    assert site.kinds("b") == ["offered"]
    topic, told, retained = site.published[-1]
    assert topic == "recording-agent/h/alarms/storage_away"
    assert told["active"]
    assert retained
    assert site.publisher.away is False
    assert site.publisher.stats.sent == 4
    [connection] = site.connections
    assert connection.will["state"] == "offline"
    assert connection.subscribed == ["recording-agent/h/commands/+"]
    await site.publisher.close()
    assert site.states() == ["online", "stopped"]


async def test_without_commands_nothing_is_subscribed_to() -> None:
    site = Site(commands=())
    site.publisher.start()
    await site.until(site.states)
    assert site.connections[0].subscribed == []
    await site.publisher.close()


async def test_a_broker_that_lets_us_hear_no_commands_is_told_events() -> None:
    site = Site()
    site.deaf = True
    site.outbox.add(offered("a"))
    site.publisher.start()
    await site.until(lambda: not site.outbox.rows)
    assert len(site.connections) == 1
    await site.publisher.close()


async def test_a_broker_that_is_away_is_tried_again() -> None:
    site = Site()
    site.unreachable = 3
    assert site.publisher.away is None
    site.outbox.add(offered("a"))
    site.publisher.start()
    await site.until(lambda: site.publisher.away)
    await site.until(lambda: not site.outbox.rows)
    assert site.publisher.away is False
    await site.publisher.close()


async def test_an_event_of_a_later_version_holds_up_its_own_call_alone() -> None:
    site = Site()
    site.outbox.add(offered("a"), offered("b"))
    first = site.outbox.rows[1]
    later = b'{"kind":"from-the-future","call_id":"a","caller":"0401234567"}'
    site.outbox.rows[1] = OutboxRow(first.position, first.line, later)
    site.outbox.add(sealed("a"), sealed("b"))
    with structlog.testing.capture_logs() as log:
        site.publisher.start()
        await site.until(lambda: len(site.outbox.rows) == 2)
        # And what comes later is still sent.
        site.outbox.add(offered("c"))
        await site.until(lambda: site.kinds("c"))
        assert site.kinds("b") == ["offered", "sealed"]
        assert site.kinds("a") == []
        # A version that knows it finds it there.
        site.outbox.rows[1] = first
        await site.until(lambda: not site.outbox.rows)
    assert site.kinds("a") == ["offered", "sealed"]
    assert "event_unreadable" in [line["event"] for line in log]
    assert "0401234567" not in str(log)
    await site.publisher.close()


async def test_a_publisher_that_fails_is_no_broker_that_is_up() -> None:
    site = Site()
    with structlog.testing.capture_logs() as log:
        site.publisher.start()
        await site.until(lambda: site.publisher.away is False)
        site.judge = lambda topic: 1 // 0
        site.outbox.add(offered("a"))
        await site.until(lambda: site.publisher.away)
    assert [e["task"] for e in log if e["event"] == "task_failed"] == ["publisher"]
    assert site.outbox.rows
    await site.publisher.close()


async def test_how_much_waits_is_known_before_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "TRIM_INTERVAL", 1000.0)
    monkeypatch.setattr(module, "LOOK_INTERVAL", 0.01)
    site = Site()
    site.unreachable = 10**6
    site.publisher.start()
    for count in (1, 2):
        site.outbox.add(offered(f"{count}"))
        await site.until(
            lambda count=count: site.publisher.stats.waiting == count  # type: ignore[misc]
        )
    await site.publisher.close()


async def test_an_outbox_that_breaks_at_the_end_ends_nothing_else() -> None:
    site = Site()
    site.publisher.start()
    await site.until(site.states)

    async def broken() -> Backlog:
        raise AgentError("the disk is full.")

    site.outbox.backlog = broken  # type: ignore[method-assign]
    with structlog.testing.capture_logs() as log:
        await site.publisher.close()
    assert "task_failed" not in [line["event"] for line in log]


async def test_what_broke_off_is_sent_again_in_order() -> None:
    site = Site()
    site.publisher.start()
    await site.until(site.states)
    site.lost = 1
    site.outbox.add(offered("a"), sealed("a"))
    await site.until(lambda: not site.outbox.rows)
    assert site.kinds("a") == ["offered", "sealed"]
    assert len(site.connections) == 2
    assert site.publisher.stats.connections == 2
    await site.publisher.close()


async def test_what_is_refused_waits_and_nothing_else_does() -> None:
    site = Site()
    refuse = True
    site.judge = lambda topic: NOT_AUTHORIZED if refuse and "/a/" in topic else 0
    site.outbox.add(offered("a"), sealed("a"), offered("b"), sealed("b"))
    site.publisher.start()
    await site.until(lambda: site.kinds("b") == ["offered", "sealed"])
    await site.until(lambda: site.publisher.stats.refused > 2)
    assert site.kinds("a") == []
    await site.until(lambda: len(site.outbox.rows) == 2)
    refuse = False
    await site.until(lambda: not site.outbox.rows)
    assert site.kinds("a") == ["offered", "sealed"]
    await site.until(lambda: not site.publisher._rounds_refused)
    await site.publisher.close()


async def test_states_and_answers_that_are_refused_stop_nothing() -> None:
    site = Site()
    site.judge = lambda topic: 0 if "calls" in topic else NOT_AUTHORIZED
    site.answer = ("recording-agent/h/answers/1", b"{}")
    site.publisher.start()
    await site.until(lambda: site.connections)
    site.connections[0].incoming.put_nowait(Message("t", b"x", retained=False))
    site.outbox.add(offered("a"))
    await site.until(lambda: not site.outbox.rows and site.asked)
    assert site.asked == [Message("t", b"x", retained=False)]
    await site.publisher.close()


async def test_a_command_is_answered() -> None:
    site = Site()
    site.publisher.start()
    await site.until(lambda: site.connections)
    site.connections[0].incoming.put_nowait(Message("t", b"x", retained=False))
    await site.until(lambda: site.asked)
    site.answer = ("recording-agent/h/answers/1", b'{"id":"1"}')
    site.connections[0].incoming.put_nowait(Message("t", b"y", retained=False))
    await site.until(lambda: any("answers" in topic for topic, *_ in site.published))
    await site.publisher.close()


async def test_whole_numbers_while_they_are_known() -> None:
    site = Site(numbers="full")
    site.numbers.remember("a", "caller", "+358401234567")
    site.outbox.add(offered("a"), offered("b"), ended("a"))
    site.publisher.start()
    await site.until(lambda: not site.outbox.rows)
    callers = {t["call_id"]: t["caller"] for _, t, _ in site.published if "caller" in t}
    assert callers == {"a": "+358401234567", "b": "***"}
    assert site.numbers.of("a") == {}
    await site.publisher.close()


async def test_masked_is_masked_whatever_is_known() -> None:
    site = Site()
    site.numbers.remember("a", "caller", "+358401234567")
    site.outbox.add(offered("a"))
    site.publisher.start()
    await site.until(lambda: not site.outbox.rows)
    assert "4012345" not in str(site.published)
    await site.publisher.close()


async def test_a_disk_that_fails_loses_and_repeats_nothing() -> None:
    site = Site()
    site.publisher.start()
    await site.until(site.states)
    site.outbox.broken = 4
    site.outbox.add(offered("a"))
    await site.until(lambda: not site.outbox.rows)
    assert site.kinds("a") == ["offered"]
    await site.publisher.close()


async def test_a_long_backlog_is_read_a_piece_at_a_time() -> None:
    site = Site()
    site.outbox.add(*(offered(f"call-{n}") for n in range(1000)))
    site.publisher.start()
    await site.until(lambda: not site.outbox.rows)
    assert len(site.published) >= 1000
    assert site.outbox.most <= 200
    await site.publisher.close()


async def test_bounds_are_kept_and_told() -> None:
    site = Site(max_events=5000, max_age_days=2.0)
    site.outbox.to_drop = 7
    site.publisher.start()
    await site.until(lambda: site.publisher.stats.dropped)
    assert site.publisher.stats.dropped == 7
    rows, before = site.outbox.bounds[0]
    assert rows == 5000
    assert before > 0
    await site.publisher.close()


async def test_leaving_does_not_wait_for_a_broker_that_is_away() -> None:
    site = Site()
    site.unreachable = 10**9
    site.publisher.start()
    await site.until(lambda: site.publisher.away)
    async with asyncio.timeout(1):
        await site.publisher.close()


async def test_a_fault_of_ours_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    site = Site()
    failed: list[str] = []
    monkeypatch.setattr(
        site.publisher._tasks, "_on_failure", lambda name, _: failed.append(name)
    )
    site.outbox.add(offered("a"))
    monkeypatch.setattr(site.publisher, "_topics", None)
    site.publisher.start()
    await site.until(lambda: failed)
    assert failed == ["publisher"]
    await site.publisher.close()


def test_lives() -> None:
    assert {life.value for life in Life} == {"online", "stopped", "offline"}
