"""What is recorded of recording sessions, and what is marked."""

from agent.call.hearing import SIGNALLED_WITHIN
from agent.call.siprec.recording_session import PATIENCE
from agent.common.clock import monotonic_ns
from agent.media.events import SourceChanged
from agent.model.call import EndCause, Outcome
from agent.model.recording import UNDECIDED, RecordState
from tests.call.siprec.client import (
    BOTH,
    Document,
    directions,
    sdp,
)
from tests.call.siprec.sites import (
    CALLER,
    OFFICER,
    SECOND,
    TALK,
    Recorder,
    names,
    rules,
)
from tests.call.site import until


async def test_metadata_that_is_absent_or_unreadable_costs_no_audio(
    site: Recorder,
) -> None:
    await site.record()
    await site.talk_beside(document=None)
    [begin] = site.media.begins
    assert begin.caller == UNDECIDED
    site.client.send("UPDATE", metadata=b"<not XML")
    await site.client.answered(2)
    flawed = await site.until_logged("metadata_flawed")
    assert flawed["flaws"] == ["unreadable"]
    assert [one.xml for one in site.media.documents] == [b"<not XML"]
    # What it knew is asked for, and what it tells then counts.
    asked = await site.client.asked("UPDATE")
    assert b"requestsnapshot" in asked.body
    assert asked.headers.get("Content-Disposition") == "recording-session"
    assert "+sip.srs" in (asked.headers.get("Contact") or "")
    site.client.send("UPDATE", metadata=TALK.xml)
    await until(lambda: len(site.media.begins) == 2, "the next segment")
    assert site.media.begins[1].caller == "+358401234567"
    site.client.hang_up()
    row = await site.over()
    assert row.outcome == Outcome.RECORDED


async def test_metadata_that_follows_within_a_moment_applies_from_the_start(
    site: Recorder,
) -> None:
    await site.record()
    before = monotonic_ns()
    site.client.record(sdp(*BOTH))
    await site.client.answered()
    after = monotonic_ns()
    # What comes meanwhile waits in the sockets.
    assert not site.media.told("listen")
    assert not site.media.begins
    site.client.send("UPDATE", metadata=TALK.xml)
    await until(lambda: site.media.told("grant_journal"), "a journal")
    [begin] = site.media.begins
    assert begin.caller == "+358401234567"
    assert names(begin.officers) == [OFFICER]
    assert before <= begin.started_monotonic_ns <= after
    assert [one.xml for one in site.media.documents] == [TALK.xml]
    await site.advance(PATIENCE)
    site.client.hang_up()
    row = await site.over()
    assert (row.outcome, len(row.recordings)) == (Outcome.RECORDED, 1)


async def test_of_whom_nobody_has_told_who_they_are_the_first_moment_is_recorded_too(
    site: Recorder,
) -> None:
    await site.record()
    site.client.record(sdp(*BOTH))
    await site.client.answered()
    answered = monotonic_ns()
    await site.advance(PATIENCE / 2)
    site.client.hang_up()
    row = await site.over()
    assert row.outcome == Outcome.RECORDED
    [begin] = site.media.begins
    assert begin.caller == UNDECIDED
    assert begin.started_monotonic_ns <= answered


async def test_of_an_exempt_party_that_is_named_within_a_moment_nothing_is_kept(
    site: Recorder,
) -> None:
    await site.record()
    site.client.record(sdp(*BOTH))
    await site.client.answered()
    exempt = Document({"0409999999": "96", OFFICER: "97"})
    site.client.send("UPDATE", metadata=exempt.xml)
    await site.client.answered(2)
    assert site.media.told("listen")
    site.client.hang_up()
    row = await site.over()
    assert row.outcome == Outcome.EXEMPT
    assert not site.media.begins


async def test_the_wait_for_metadata_goes_on_in_the_next_process(
    site: Recorder,
) -> None:
    await site.record()
    site.client.record(sdp(*BOTH))
    await site.client.answered()
    state = site.call.state
    assert state is not None
    site.call.restore(state)
    assert site.call.state == state
    assert state.machine.untold_until is not None
    assert state.waits_since_ns is not None


async def test_another_officer_is_another_segment_of_the_same_group(
    site: Recorder,
) -> None:
    await site.record()
    await site.talk_beside()
    after = Document({CALLER: "96", OFFICER: "97", SECOND: "97"}, left=(OFFICER,))
    site.client.send("UPDATE", metadata=after.xml)
    await until(lambda: len(site.media.begins) == 2, "the next segment")
    first, second = site.media.begins
    assert names(second.officers) == [SECOND]
    assert (first.group, second.segment) == (second.group, 2)
    [end] = site.media.ends
    assert end.cause == EndCause.TRANSFERRED
    # Nothing falls between the two.
    assert second.started_monotonic_ns == end.ended_monotonic_ns
    assert site.media.since[second.recording_id] == end.ended_monotonic_ns
    # Each segment has what says who is heard in it.
    assert [one.xml for one in site.media.documents][-1] == after.xml


async def test_what_begins_later_does_not_begin_where_another_ended(
    site: Recorder,
) -> None:
    await site.record(max_segment=100.0)
    await site.talk_beside()
    # An exempt party came, and has left again.
    site.call.capture.close(EndCause.TRANSFERRED)
    await site.advance(100.1)
    await until(lambda: len(site.media.begins) == 2, "the next segment")
    second = site.media.begins[1]
    assert second.started_monotonic_ns > site.media.ends[0].ended_monotonic_ns
    assert site.media.since[second.recording_id] == 0


async def test_a_long_document_is_kept_in_every_segment(site: Recorder) -> None:
    await site.record(max_segment=100.0)
    long = Document({CALLER: "96", OFFICER: "97"}, extra=f"<x>{'y' * 30_000}</x>")
    await site.talk_beside(document=long)
    await site.advance(100.1)
    await until(lambda: len(site.media.begins) == 2, "the next segment")
    assert [one.xml for one in site.media.documents] == [long.xml, long.xml]


async def test_metadata_in_the_bye_is_kept(site: Recorder) -> None:
    await site.record()
    await site.talk_beside()
    last = Document({CALLER: "96", OFFICER: "97"}, stopped=True)
    site.client.hang_up(last.xml)
    row = await site.over()
    assert row.outcome == Outcome.RECORDED
    assert site.media.documents[-1].xml == last.xml


async def test_a_session_may_outlast_the_calls_it_records(site: Recorder) -> None:
    await site.record()
    await site.talk_beside()
    stopped = Document({CALLER: "96", OFFICER: "97"}, stopped=True)
    site.client.send("UPDATE", metadata=stopped.xml)
    await until(lambda: site.media.ends, "the segment's end")
    [status] = site.control.orders.status()
    assert (status.state, status.recording) == ("idle", RecordState.OFF)
    site.client.send("UPDATE", metadata=Document({CALLER: "96", SECOND: "97"}).xml)
    await until(lambda: len(site.media.begins) == 2, "the next call")
    [status] = site.control.orders.status()
    assert (status.state, status.recording) == ("talking", RecordState.ON)


async def test_a_pause_of_the_clients_is_marked_and_nothing_is_tapped(
    site: Recorder,
) -> None:
    await site.record()
    await site.talk_beside()
    site.client.send("INVITE", sdp("inactive", "sendonly", version=2))
    answer = await site.client.answered(2)
    assert directions(answer) == ["inactive", "recvonly"]
    site.client.send("INVITE", sdp("inactive", "inactive", version=3))
    await site.client.answered(3)
    site.client.send("INVITE", sdp(*BOTH, version=4))
    await site.client.answered(4)
    assert site.spans == [
        ("inactive-begin", 0),
        ("inactive-end", 0),
        ("pause-begin", None),
        ("pause-end", None),
    ]
    assert [on for *_, on in site.media.told("tap")] == [False, False, True, True]
    assert len(site.media.begins) == 1


async def test_what_is_inactive_from_the_first_is_recorded_once_it_is_heard(
    site: Recorder,
) -> None:
    await site.record()
    await site.talk_beside(sdp("inactive", "inactive"))
    assert directions(site.client.responses[0]) == ["inactive", "inactive"]
    assert site.spans == [("pause-begin", None)]
    assert site.media.told("untapped")
    site.client.send("INVITE", sdp(*BOTH, version=2))
    await site.client.answered(2)
    assert site.spans[-1] == ("pause-end", None)
    assert [on for *_, on in site.media.told("tap")] == [True, True]


async def test_a_hold_in_metadata_is_a_hold_on_the_timeline(site: Recorder) -> None:
    await site.record()
    await site.talk_beside()
    held = Document({CALLER: "96", OFFICER: ""}, mode="partial")
    site.client.send("UPDATE", metadata=held.xml)
    await until(lambda: site.spans == [("hold", 1)], "the hold")
    both = Document({CALLER: "", OFFICER: ""}, mode="partial")
    site.client.send("UPDATE", metadata=both.xml)
    await site.until_logged("held")
    site.client.send("UPDATE", metadata=TALK.xml)
    await site.until_logged("resumed")
    assert site.spans[1:] == [("resume", 1), ("hold", None), ("resume", None)]
    assert len(site.media.begins) == 1


async def test_a_long_segment_goes_on_in_the_next(site: Recorder) -> None:
    await site.record(max_segment=100.0)
    await site.talk_beside()
    await site.advance(100.1)
    await until(lambda: len(site.media.begins) == 2, "the next segment")
    assert site.media.ends[0].cause == EndCause.SEGMENT_LIMIT


async def test_a_segment_that_nobody_can_open_is_followed_by_another(
    site: Recorder,
) -> None:
    await site.record()
    await site.talk_beside()
    [segment] = site.keeper.segments()
    site.spool.envelope_path(segment.recording_id).unlink()
    await site.take_over()
    assert site.logged("segment_lost")
    await until(lambda: len(site.media.begins) == 2, "the next segment")
    site.client.hang_up()
    row = await site.over()
    assert row.outcome == Outcome.PARTIAL


async def test_a_source_that_changes_without_a_word_is_noted(site: Recorder) -> None:
    await site.record()
    await site.talk_beside()
    await site.advance(SIGNALLED_WITHIN + 1)
    leg = site.call.names[2]
    site.media.emit(SourceChanged(leg=leg, ssrc_changes=1))
    await site.until_logged("media_changed_unsignalled")
    site.media.emit(SourceChanged(leg=leg, ssrc_changes=1, payload_types=(18,)))
    await site.until_logged("media_changed_unsignalled", 2)
    changed = [(mark.leg, mark.reason) for mark in site.media.marks]
    assert changed == [(1, "source"), (1, "codec")]
    # What is agreed anew does not have it either.
    site.client.send("INVITE", sdp(*BOTH, version=2))
    await site.client.answered(2)
    await site.advance(SIGNALLED_WITHIN + 1)
    site.media.emit(SourceChanged(leg=leg, ssrc_changes=1, payload_types=(18,)))
    await site.until_logged("media_changed_unsignalled", 3)
    assert site.media.marks[-1].reason == "codec"


async def test_a_session_that_is_not_recorded_marks_nothing(site: Recorder) -> None:
    await site.record(rules(max_pause=60.0))
    await site.talk_beside()
    orders, call_id = site.control.orders, site.call.call_id
    orders.pause(call_id, by="x")
    stopped = Document({CALLER: "96", OFFICER: "97"}, stopped=True)
    site.client.send("UPDATE", metadata=stopped.xml)
    await until(lambda: site.media.ends, "the segment's end")
    count = len(site.media.marks)
    await site.advance(SIGNALLED_WITHIN + 1)
    site.media.emit(SourceChanged(leg=site.call.names[1], ssrc_changes=1))
    await site.until_logged("media_changed_unsignalled")
    # The next call begins in the pause, which has its own end.
    orders.resume(call_id, by="x")
    assert len(site.media.marks) == count
    site.client.send("UPDATE", metadata=TALK.xml)
    await until(lambda: len(site.media.begins) == 2, "the next segment")
    assert not site.media.marks[count:]
