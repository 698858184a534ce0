"""Recording sessions as they run, from the client's INVITE to the ledger's row."""

import asyncio

import pytest

from agent.call import segment_series
from agent.call.orders import UnknownCallError
from agent.call.siprec.budget import BURST
from agent.call.siprec.snapshots import INTERVAL
from agent.common.clock import monotonic_ns
from agent.media.events import KeysSpent, MediaHeard, MediaQuiet, RecordingFailed
from agent.model.call import EndCause, Outcome
from agent.model.recording import UNDECIDED, Channel, RecordState
from agent.signalling.sip.timers import DEFAULT_TIMERS
from tests.call.siprec.client import (
    BOTH,
    Document,
    directions,
    sdp,
)
from tests.call.siprec.sites import (
    CALLER,
    OFFICER,
    TALK,
    Recorder,
    names,
    rules,
)
from tests.call.site import until


async def test_it_is_recorded_and_tagged_and_its_row_is_closed(site: Recorder) -> None:
    await site.record()
    await site.talk_beside()
    answer = site.client.responses[0]
    assert answer.status == 200
    assert directions(answer) == ["recvonly", "recvonly"]
    assert answer.headers.get("Content-Type") == "application/sdp"
    assert "+sip.srs" in (answer.headers.get("Contact") or "")
    accept = answer.headers.get("Accept") or ""
    assert accept.split(", ") == [
        "application/sdp",
        "multipart/mixed",
        "application/rs-metadata+xml",
        "application/rs-metadata",
    ]
    [begin] = site.media.begins
    assert begin.caller == "+358401234567"
    assert names(begin.officers) == [OFFICER]
    assert begin.channels == (Channel.CUSTOMER, Channel.OFFICER)
    assert begin.codecs == {"0": {"8": "PCMA"}, "1": {"8": "PCMA"}}
    assert begin.session is not None
    assert begin.session.source == "client"
    assert begin.session.session_ids == ("aa;remote=bb",)
    assert begin.session.notice.given
    assert [one.xml for one in site.media.documents] == [TALK.xml]
    site.client.hang_up()
    row = await site.over()
    assert (row.outcome, row.route) == (Outcome.RECORDED, "beside")
    assert row.cause == EndCause.SESSION_ENDED
    assert not site.media.open
    [job] = site.finishers.jobs
    assert job.end.cause == EndCause.SESSION_ENDED
    assert site.control.active_calls == 0


async def test_ports_are_bound_and_tapped_before_the_answer_leaves(
    site: Recorder,
) -> None:
    await site.record()
    heard: list[set[str]] = []
    site.agent.before_leaving = lambda: heard.append(set(site.media.verbs))
    await site.talk_beside()
    assert {"open_leg", "configure", "start_recording"} <= heard[-1]
    # What comes before the tap waits in the socket.
    assert site.media.deaf == site.media.open


async def test_the_intent_stands_before_the_answer(site: Recorder) -> None:
    await site.record(rules(direction="inbound"))
    site.media.gate = asyncio.Event()
    site.client.record(sdp(*BOTH), TALK.xml)
    await until(lambda: site.media.told("open_leg"), "ports")
    [row] = await site.rows()
    assert (row.route, row.direction, row.outcome) == ("beside", "inbound", None)
    site.media.gate.set()
    await site.client.answered()


# -- streams -------------------------------------------------------------------


# -- refusals ------------------------------------------------------------------


async def test_without_a_place_to_record_it_is_refused_or_goes_on(
    site: Recorder,
) -> None:
    await site.record(rules(on_recording_failure="unrecorded"), min_free=1 << 60)
    site.client.record(sdp(*BOTH), TALK.xml)
    assert (await site.client.answered()).status == 200
    assert site.logged("going_on_unrecorded")
    assert site.media.told("listen")
    site.client.hang_up()
    row = await site.over()
    assert row.outcome == Outcome.UNRECORDED
    assert not site.media.begins


async def test_a_client_that_gives_up_gets_nothing_recorded(site: Recorder) -> None:
    await site.record()
    site.media.gate = asyncio.Event()
    site.client.record(sdp(*BOTH), TALK.xml)
    await until(lambda: site.media.told("open_leg"), "ports")
    site.client.cancel()
    await until(lambda: not site.control.active_calls, "the end")
    site.media.gate.set()
    row = await site.over()
    assert row.outcome == Outcome.ABANDONED
    assert not site.media.begins
    assert not site.media.open


# -- who may not be recorded ---------------------------------------------------


async def test_an_exempt_number_is_accepted_and_never_written(site: Recorder) -> None:
    await site.record()
    exempt = Document({"0409999999": "96", OFFICER: "97"})
    site.client.record(sdp(*BOTH), exempt.xml)
    assert (await site.client.answered()).status == 200
    site.client.hang_up()
    row = await site.over()
    assert row.outcome == Outcome.EXEMPT
    assert not site.media.begins
    assert row.answered_utc_ns is not None


async def test_what_was_recorded_of_an_exempt_party_is_destroyed(
    site: Recorder,
) -> None:
    await site.record()
    await site.talk_beside(document=None)
    [begin] = site.media.begins
    exempt = Document({"0409999999": "96", OFFICER: "97"})
    site.client.send("UPDATE", metadata=exempt.xml)
    await until(lambda: not site.recorder.unfinished, "it is gone")
    assert not [*site.spool.keys_directory.iterdir()]
    assert not site.spool.journals_of(begin.recording_id)
    assert not site.finishers.jobs
    assert site.logged("recording_discarded")
    site.client.hang_up()
    row = await site.over()
    assert row.outcome == Outcome.EXEMPT
    assert not row.recordings


async def test_an_exempt_party_may_be_told_of_at_the_very_end(site: Recorder) -> None:
    await site.record()
    await site.talk_beside(document=None)
    site.client.hang_up(Document({"0409999999": "96", OFFICER: "97"}).xml)
    row = await site.over()
    assert row.outcome == Outcome.EXEMPT
    await until(lambda: not [*site.spool.keys_directory.iterdir()], "it is gone")
    assert not site.finishers.jobs


async def test_what_others_said_before_an_exempt_party_joined_is_kept(
    site: Recorder,
) -> None:
    await site.record()
    await site.talk_beside()
    both = {CALLER: "96", OFFICER: "97"}
    site.client.send("UPDATE", metadata=Document(both | {"0409999999": "98"}).xml)
    await until(lambda: site.finishers.jobs, "it is sealed")
    assert not site.logged("recording_discarded")
    # They leave, and who is left talks on.
    site.client.send("UPDATE", metadata=TALK.xml)
    await until(lambda: len(site.media.begins) == 2, "another segment")
    site.client.hang_up()
    row = await site.over()
    assert row.outcome == Outcome.RECORDED
    assert len(row.recordings) == 2


async def test_what_forbids_recording_waits_for_no_ports(site: Recorder) -> None:
    await site.record()
    await site.talk_beside()
    site.media.gate = asyncio.Event()
    exempt = Document({CALLER: "96", OFFICER: "97", "112": "98"})
    offer = sdp(*BOTH, "sendonly", version=2)
    site.client.send("INVITE", offer, exempt.xml)
    await until(lambda: site.media.ends, "the segment's end")
    assert len(site.client.responses) == 1
    site.media.gate.set()
    await site.client.answered(2)
    assert len(site.media.begins) == 1


async def test_a_client_that_gives_up_while_ports_are_bound_leaves_nothing(
    site: Recorder,
) -> None:
    await site.record()
    site.media.gate = asyncio.Event()
    site.client.record(sdp(*BOTH), TALK.xml)
    await until(lambda: site.media.told("open_leg"), "a leg")
    site.client.cancel()
    await until(lambda: not site.control.active_calls, "the end")
    site.media.gate.set()
    row = await site.over()
    assert row.outcome == Outcome.ABANDONED
    await until(lambda: not site.media.open, "the ports are given back")
    assert not site.control._calls._by_name
    assert not site.media.begins


async def test_without_evidence_of_a_notice_nothing_is_written(site: Recorder) -> None:
    await site.record(rules(notice="header:X-Notice=played"))
    site.client.record(sdp(*BOTH), TALK.xml)
    assert (await site.client.answered()).status == 200
    assert site.logged("notice_missing")
    site.client.hang_up()
    row = await site.over()
    assert row.outcome == Outcome.EXEMPT
    assert not site.media.begins


async def test_what_is_recorded_all_the_same_is_told_all_the_same(
    site: Recorder,
) -> None:
    entry = rules(notice="header:X-Notice=played", on_notice_failure="record")
    await site.record(entry)
    site.client.record(sdp(*BOTH), Document({"900": "96", "901": "97"}).xml)
    await site.client.answered()
    await site.until_logged("recording_begun")
    [begin] = site.media.begins
    assert (begin.caller, begin.officers) == (UNDECIDED, ())
    assert begin.session is not None
    assert not begin.session.notice.given
    assert site.logged("notice_missing")
    assert site.logged("parties_undecided")
    site.client.hang_up()
    assert (await site.over()).outcome == Outcome.RECORDED


# -- failures, operators, time -------------------------------------------------


async def test_a_recording_that_fails_ends_the_session(site: Recorder) -> None:
    await site.record()
    await site.talk_beside()
    [(recording, *_)] = site.media.told("start_recording")
    site.media.emit(RecordingFailed(recording=recording, reason="ENOSPC"))
    bye = await site.client.asked("BYE")
    assert bye.headers.get("Reason")
    row = await site.over()
    assert row.outcome == Outcome.PARTIAL


async def test_silence_on_all_streams_ends_it_and_on_one_does_not(
    site: Recorder,
) -> None:
    await site.record()
    await site.talk_beside()
    one, other = site.call.names[1:]
    site.media.emit(MediaQuiet(leg=one, seconds=60.0))
    site.media.emit(MediaHeard(leg=one))
    site.media.emit(MediaQuiet(leg=other, seconds=60.0))
    site.media.emit(KeysSpent(leg=other))
    await site.advance(0)
    assert site.control.active_calls == 1
    site.media.emit(MediaQuiet(leg=one, seconds=60.0))
    await site.client.asked("BYE")
    row = await site.over()
    assert row.cause == EndCause.MEDIA_TIMEOUT


async def test_one_that_is_paused_by_its_client_is_not_missed(site: Recorder) -> None:
    await site.record()
    await site.talk_beside()
    site.client.send("INVITE", sdp("inactive", "inactive", version=2))
    await site.client.answered(2)
    for leg in site.call.names[1:]:
        site.media.emit(MediaQuiet(leg=leg, seconds=60.0))
    await site.advance(0)
    assert site.control.active_calls == 1


@pytest.mark.parametrize("hold", ["in SDP", "in metadata"])
async def test_who_waits_for_somebody_on_hold_may_be_silent(
    site: Recorder, hold: str
) -> None:
    await site.record()
    await site.talk_beside()
    if hold == "in SDP":
        site.client.send("INVITE", sdp("inactive", "sendonly", version=2))
    else:
        held = Document({CALLER: "", OFFICER: "97"}, mode="partial")
        site.client.send("UPDATE", metadata=held.xml)
    await site.client.answered(2)
    for leg in site.call.names[1:]:
        site.media.emit(MediaQuiet(leg=leg, seconds=60.0))
    await site.advance(0)
    assert site.control.active_calls == 1


async def test_a_stream_that_is_no_more_has_nobody_on_hold(site: Recorder) -> None:
    await site.record()
    await site.talk_beside()
    site.client.send("INVITE", sdp("", "sendonly", version=2))
    await site.client.answered(2)
    site.media.emit(MediaQuiet(leg=site.call._streams["s2"].media_id, seconds=60.0))
    await site.client.asked("BYE")
    row = await site.over()
    assert row.cause == EndCause.MEDIA_TIMEOUT


async def test_a_queue_is_not_recorded_where_officers_are_waited_for(
    site: Recorder,
) -> None:
    await site.record(
        rules(without_officer="wait", direction="inbound", service="0295000000")
    )
    queue = Document({CALLER: "96", "0295000000": "97"})
    site.client.record(sdp(*BOTH), queue.xml)
    await site.client.answered()
    waits = await site.until_logged("not_recorded")
    assert waits["reason"] == "no-officer"
    assert not site.media.begins
    [row] = await site.rows()
    assert row.answered_utc_ns is None
    site.client.send("UPDATE", metadata=TALK.xml)
    await until(lambda: site.media.told("grant_journal"), "a segment")
    site.client.hang_up()
    row = await site.over()
    assert row.outcome == Outcome.RECORDED
    assert row.answered_utc_ns is not None
    assert len(row.recordings) == 1


async def test_operators_pause_resume_and_stop_it(site: Recorder) -> None:
    await site.record(rules(max_pause=60.0))
    await site.talk_beside()
    orders, call_id = site.control.orders, site.call.call_id
    status = orders.pause(call_id, by="mqtt", reason="card")
    assert status.recording is RecordState.PAUSED
    assert status.resumes_in == pytest.approx(60.0, abs=1.0)
    assert site.spans == [("pause-begin", None)]
    assert orders.resume(call_id, by="mqtt").recording is RecordState.ON
    assert site.media.marks[-1].reason == "command"
    orders.pause(call_id, by="mqtt", seconds=5.0)
    await site.advance(5.1)
    assert site.media.marks[-1].reason == "limit"
    assert orders.stop_recording(call_id, by="x").recording is RecordState.OFF
    with pytest.raises(UnknownCallError):
        orders.resume("another", by="x")
    site.client.hang_up()
    row = await site.over()
    assert row.outcome == Outcome.PARTIAL


async def test_talk_that_nobody_records_is_missing(
    site: Recorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.record()
    await site.talk_beside()
    now = monotonic_ns()
    monkeypatch.setattr(segment_series, "monotonic_ns", lambda: now)
    site.control.orders.stop_recording(site.call.call_id, by="x")
    now += 1_500_000_000
    # Whoever goes on with it goes on counting.
    kept = site.call.capture
    kept.restore(kept.state)
    assert kept.series.missing_ms == 1500
    site.client.hang_up()
    row = await site.over()
    assert (row.outcome, row.missing_ms) == (Outcome.PARTIAL, 1500)


async def test_the_agent_that_stops_says_so(site: Recorder) -> None:
    await site.record()
    await site.talk_beside()
    site.call.stop()
    await site.client.asked("BYE")
    row = await site.over()
    assert row.cause == EndCause.AGENT_STOPPED


async def test_nobody_is_handed_on_by_a_recording_client(site: Recorder) -> None:
    await site.record()
    await site.talk_beside()
    site.client.send("REFER", headers=("Refer-To: <sip:201@192.0.2.1>",))
    assert (await site.client.answered(2)).status == 603
    assert site.call.transfers is None


async def test_a_client_that_tells_no_more_than_it_did_is_left_in_peace(
    site: Recorder,
) -> None:
    await site.record()
    site.client.answers = 405
    part = Document({CALLER: "96", OFFICER: "97"}, mode="partial")
    await site.talk_beside(document=part)
    refused = await site.until_logged("snapshot_refused")
    assert refused["status"] == 405
    assert site.control.active_calls == 1


async def test_what_there_is_no_time_to_read_costs_no_audio_and_is_asked_for_later(
    site: Recorder,
) -> None:
    await site.record()
    budget = site.sources.budget_of("client")
    budget.charge(2 * BURST)
    await site.talk_beside()
    [begin] = site.media.begins
    assert (begin.caller, begin.officers) == (UNDECIDED, ())
    assert [one.xml for one in site.media.documents] == [TALK.xml]
    assert [one.flaws for one in site.media.documents] == [("unread",)]
    [line] = site.logged("metadata_unread")
    assert (line["peer"], line["call_id"]) == ("client", site.call.call_id)
    assert budget.unread == 1
    assert not site.logged("snapshot_requested")
    await site.advance(INTERVAL + 0.1)
    await site.client.asked("UPDATE")
    assert site.logged("snapshot_requested")
    site.client.send("UPDATE", b"", TALK.xml)
    await until(lambda: len(site.media.begins) == 2, "a segment of known people")
    assert names(site.media.begins[1].officers) == [OFFICER]


async def test_a_client_that_never_acknowledges_is_gone(site: Recorder) -> None:
    await site.record()
    site.client.acknowledges = None
    site.client.record(sdp(*BOTH), TALK.xml)
    await site.client.answered()
    await site.advance(64 * DEFAULT_TIMERS.t1 + 1)
    row = await site.over()
    assert row.cause == EndCause.SIGNALLING_TIMEOUT
