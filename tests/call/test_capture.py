from typing import Any

import pytest

from agent.call import segment_series
from agent.call.active import ActiveCall
from agent.call.capture import Capture
from agent.common.clock import monotonic_ns
from agent.formats.age import KeyKind
from agent.identity.directory import OfficerEntry
from agent.model.call import EndCause, Outcome
from agent.model.media import PCMU, Direction
from agent.signalling.sip import core as sip
from tests.call.site import Site, key, until


async def test_every_segment_is_of_one_group(site: Site) -> None:
    await site.start(max_segment=3600.0)
    await site.talk()
    await site.advance(3601)
    await site.until_logged("recording_begun", 2)
    site.trunk.hang_up()
    row = await site.ended()
    assert row.outcome == Outcome.RECORDED
    first, second = site.media.begins
    assert first.group == second.group
    assert (first.segment, second.segment) == (1, 2)
    assert first.recording_id != second.recording_id
    assert [end.cause for end in site.media.ends] == [
        EndCause.SEGMENT_LIMIT,
        EndCause.CALLER_HANGUP,
    ]
    assert len(row.recordings) == 2
    await until(lambda: len(site.uploads.notified) == 2)


async def test_nothing_falls_between_two_segments(site: Site) -> None:
    await site.start(max_segment=3600.0)
    await site.talk()
    await site.advance(3601)
    await site.until_logged("recording_begun", 2)
    first, second = site.media.begins
    [end] = site.media.ends
    assert second.started_monotonic_ns == end.ended_monotonic_ns
    assert abs(second.started_at - end.ended_at) < 1_000_000_000
    begun = [site.media.since[one.recording_id] for one in (first, second)]
    assert begun == [0, end.ended_monotonic_ns]


async def test_what_begins_later_does_not_begin_where_another_ended(site: Site) -> None:
    await site.start(max_segment=3600.0)
    await site.talk()
    [call] = site.control._calls.values()
    assert isinstance(call, ActiveCall)
    # An exempt party came, and has left again.
    call.capture.close(EndCause.TRANSFERRED)
    await site.advance(3601)
    await site.until_logged("recording_begun", 2)
    second = site.media.begins[1]
    assert second.started_monotonic_ns > site.media.ends[0].ended_monotonic_ns
    assert site.media.since[second.recording_id] == 0


async def test_a_held_party_is_not_journalled_and_the_timeline_says_so(
    site: Site,
) -> None:
    await site.start()
    await site.talk()
    site.officer.change(Direction.SENDONLY)
    await site.officer.heard(sip.OfferAnswered)
    site.officer.change(Direction.SENDRECV)
    await site.until_logged("resumed")
    assert [mark.kind for mark in site.media.marks] == ["hold", "resume"]
    recording = site.media.begins[0].recording_id
    legs = site.media.told("bridge")[0]
    assert site.media.told("tap") == [
        (recording, legs[0], False),
        (recording, legs[1], False),
        (recording, legs[0], True),
        (recording, legs[1], True),
    ]


async def test_a_segment_that_begins_on_hold_is_held(site: Site) -> None:
    await site.start(max_segment=3600.0)
    await site.talk()
    site.officer.change(Direction.INACTIVE)
    await until(lambda: site.trunk.direction is Direction.INACTIVE)
    await site.officer.heard(sip.OfferAnswered)
    await site.advance(3601)
    await site.until_logged("held", 2)
    assert [mark.kind for mark in site.media.marks] == ["hold", "hold"]


PAUSABLE = {"max_pause": 300.0}


def taps(site: Site) -> list[bool]:
    """Whether the customer's leg was told to be kept, each time it was told."""
    customer = site.media.told("bridge")[0][0]
    return [on for _, leg, on in site.media.told("tap") if leg == customer]


async def test_hold_and_pause_overlap(site: Site) -> None:
    await site.start(inbound=PAUSABLE)
    await site.talk()
    [call] = site.control.orders.status()
    site.officer.change(Direction.SENDONLY)
    await site.until_logged("held")
    await site.officer.heard(sip.OfferAnswered)
    site.control.orders.pause(call.call_id, by="x")
    site.control.orders.pause(call.call_id, by="x")  # longer, and no other span
    site.officer.change(Direction.SENDRECV)
    await site.until_logged("resumed")
    # Nobody is held any more, and still nothing is kept.
    assert taps(site) == [False]
    site.control.orders.resume(call.call_id, by="x")
    assert taps(site) == [False, True]
    assert [mark.kind for mark in site.media.marks] == [
        "hold",
        "pause-begin",
        "resume",
        "pause-end",
    ]


async def test_a_segment_that_begins_in_a_pause_is_not_kept(site: Site) -> None:
    await site.start(inbound={"max_pause": 3600.0}, max_segment=600.0)
    await site.talk()
    [call] = site.control.orders.status()
    site.control.orders.pause(call.call_id, by="x", reason="card")
    await site.advance(601)
    await site.until_logged("recording_begun", 2)
    second = site.media.begins[1]
    assert site.media.told("untapped") == [(second.recording_id,)]
    mark = site.media.marks[-1]
    assert (mark.kind, mark.by, mark.reason) == ("pause-begin", "x", "card")
    assert mark.at_monotonic_ns == second.started_monotonic_ns
    site.control.orders.resume(call.call_id, by="x")
    assert taps(site) == [False, True]


async def test_a_pause_outlives_a_segment_that_none_follows(site: Site) -> None:
    """An exempt party came: whoever resumes has nothing to be journalled."""
    await site.start(inbound=PAUSABLE)
    await site.talk()
    [call] = site.control.orders.status()
    site.control.orders.pause(call.call_id, by="x")
    running = site.control._calls[call.call_id]
    assert isinstance(running, ActiveCall)
    running.capture.close(EndCause.TRANSFERRED)
    site.control.orders.resume(call.call_id, by="x")
    assert [mark.kind for mark in site.media.marks] == ["pause-begin"]
    assert taps(site) == [False]


async def test_a_new_codec_is_noted(site: Site) -> None:
    await site.start()
    await site.talk()
    begin = site.media.begins[0]
    assert begin.codecs["0"]["8"] == "PCMA"
    body = site.trunk.negotiation.offer(codecs=(PCMU,))
    site.trunk.core.reoffer(site.trunk.session, site.trunk.agent.now, body=body)
    site.trunk.agent.flush()
    await until(lambda: site.media.marks)
    [mark] = site.media.marks
    assert mark.kind == "codecs"
    assert mark.codecs is not None
    # What the payload types meant before is not forgotten.
    assert mark.codecs["0"].keys() >= {"0", "8"}


async def test_changes_after_the_recording_ended_are_not_noted(site: Site) -> None:
    await site.start()
    await site.talk()
    [call] = site.control._calls.values()
    call.capture.close(EndCause.ERROR)  # type: ignore[attr-defined]
    call.capture.close(EndCause.ERROR)  # type: ignore[attr-defined]
    assert site.media.verbs["stop_recording"] == 1
    site.officer.change(Direction.SENDONLY)
    await until(lambda: site.trunk.direction is Direction.RECVONLY)
    assert not site.media.marks


@pytest.mark.parametrize(
    ("officers", "event", "name"),
    [
        ([], "officer_unknown", ""),
        ([OfficerEntry("201", "One")], "officer_without_key", "One"),
        (
            [OfficerEntry("201", "One", str(key(KeyKind.POST_QUANTUM)))],
            "officer_key_unusable",
            "One",
        ),
        ([OfficerEntry("201", "One", "age1nonsense")], "officer_key_unusable", "One"),
    ],
)
async def test_an_officer_without_a_usable_key_is_recorded_all_the_same(
    site: Site, officers: list[OfficerEntry], event: str, name: str
) -> None:
    await site.start(officers=officers)
    await site.talk()
    [entry] = site.logged(event)
    assert "201" not in str(entry.get("number"))
    [officer] = site.media.begins[0].officers
    assert (officer.number, officer.name) == ("201", name)
    site.trunk.hang_up()
    assert (await site.ended()).outcome == Outcome.RECORDED


async def test_an_officer_with_a_key_is_named_without_a_warning(site: Site) -> None:
    await site.start()
    await site.talk()
    assert site.media.begins[0].officers[0].name == "One"
    said = {e["event"] for e in site.log if e["event"].startswith("officer_")}
    assert said == {"officer_answered"}


async def test_talk_that_nobody_records_is_missing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = monotonic_ns()
    await site.start()
    await site.talk()
    [running] = site.control._calls.values()
    assert isinstance(running, ActiveCall)
    monkeypatch.setattr(segment_series, "monotonic_ns", lambda: now)
    running.on_recording_failed("disk full", kept=True)
    now += 1_500_000_000
    assert running.capture.series.missing_ms == 1500
    # Whoever goes on with the call goes on counting.
    state = running.capture.state
    other = Capture(site.joint, call_id="c", plan=running._plan, called="")
    other.restore(state, running._legs)
    now += 500_000_000
    assert other.series.missing_ms == running.capture.series.missing_ms == 2000
    site.trunk.hang_up()
    row = await site.ended()
    assert (row.outcome, row.missing_ms) == (Outcome.PARTIAL, 2000)


async def test_no_legs_before_a_segment_was_opened(site: Site) -> None:
    await site.start()
    nothing: Any = None
    capture = Capture(site.joint, call_id="c", plan=nothing, called="")
    capture.agreed(codecs_changed=True)
    capture._update_hold()
    assert not capture.series.interrupted
    with pytest.raises(RuntimeError):
        capture._codecs()
