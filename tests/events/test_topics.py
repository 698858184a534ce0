import msgspec
import pytest

from agent.events.topics import Topics, decode, is_retained, level, with_numbers
from agent.model.events import (
    AlarmEvent,
    CallAnswered,
    CallOffered,
    RecordingSealed,
)
from tests.events.examples import SUMMARY

TOPICS = Topics("host-a")
SEALED = RecordingSealed(call_id="c-1", recording_id="r-1")
OFFERED = CallOffered(
    call_id="c-1", route="in", direction="inbound", caller="+35840***67", called="02950"
)
ALARM = AlarmEvent(event="storage_away", active=True)


def test_topics() -> None:
    assert TOPICS.of(SEALED) == "recording-agent/host-a/calls/c-1/sealed"
    assert TOPICS.of(OFFERED) == "recording-agent/host-a/calls/c-1/offered"
    assert TOPICS.of(ALARM) == "recording-agent/host-a/alarms/storage_away"
    assert TOPICS.of(SUMMARY) == "recording-agent/host-a/daily-summary"
    assert TOPICS.status == "recording-agent/host-a/status"
    assert TOPICS.command("pause") == "recording-agent/host-a/commands/pause"
    assert TOPICS.answer("id") == "recording-agent/host-a/answers/id"


@pytest.mark.parametrize("name", ["a/b", "a+", "#", "", "ä b", "x" * 65, "a\0b"])
def test_no_name_changes_what_a_topic_means(name: str) -> None:
    escaped = level(name)
    assert not set(escaped) & set("/+#\0")
    assert Topics(name).status.count("/") == 2


def test_only_alarms_are_kept_for_who_comes_later() -> None:
    assert is_retained(ALARM)
    assert not is_retained(SEALED)
    assert not is_retained(SUMMARY)


def test_events_are_read_as_the_outbox_has_them() -> None:
    for event in (SEALED, OFFERED, ALARM, SUMMARY):
        assert decode(msgspec.json.encode(event)) == event
    with pytest.raises(msgspec.DecodeError):
        decode(b'{"kind": "unknown"}')


def test_whole_numbers_replace_masked_ones() -> None:
    numbers = {"caller": "+358401234567", "officer": "201"}
    offered = with_numbers(OFFERED, numbers)
    assert isinstance(offered, CallOffered)
    assert (offered.caller, offered.called) == ("+358401234567", "02950")
    answered = with_numbers(CallAnswered(call_id="c-1", officer="***"), numbers)
    assert isinstance(answered, CallAnswered)
    assert answered.officer == "201"
    assert with_numbers(OFFERED, {}) is OFFERED
    assert with_numbers(SEALED, numbers) is SEALED


def test_no_number_is_printed() -> None:
    shown = repr(with_numbers(OFFERED, {"caller": "+358401234567"}))
    assert "4012345" not in shown
    assert "201" not in repr(CallAnswered(call_id="c", officer="201"))
