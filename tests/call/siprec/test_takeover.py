"""Recording sessions that another main process goes on with."""

from agent.media.events import RecordingClosed
from agent.model.call import EndCause, Outcome
from tests.call.siprec.client import (
    BOTH,
    Document,
    directions,
    sdp,
)
from tests.call.siprec.sites import (
    CALLER,
    OFFICER,
    Recorder,
)
from tests.call.site import until


async def test_another_process_goes_on_as_if_nothing_had_been(site: Recorder) -> None:
    await site.record()
    await site.talk_beside()
    held = Document({CALLER: "96", OFFICER: ""}, mode="partial")
    site.client.send("UPDATE", metadata=held.xml)
    await until(lambda: site.spans == [("hold", 1)], "the hold")
    await site.take_over()
    assert site.control.active_calls == 1
    assert site.call.status.state == "talking"
    back = Document({CALLER: "96", OFFICER: "97"}, mode="partial")
    site.client.send("UPDATE", metadata=back.xml)
    await until(lambda: site.spans[1:] == [("resume", 1)], "its end")
    site.client.send("INVITE", sdp(*BOTH, "sendonly", version=2))
    answer = await site.client.answered(4)
    assert directions(answer) == ["recvonly"] * 3
    assert len(site.media.told("add_leg")) == 1
    site.client.hang_up()
    row = await site.over()
    assert row.outcome == Outcome.RECORDED
    assert not site.media.open
    assert site.keeper.documents("") == {}


async def test_another_process_discards_what_was_to_be_discarded(
    site: Recorder,
) -> None:
    await site.record()
    await site.talk_beside(document=None)
    [begin] = site.media.begins
    site.media.journals = False  # the worker takes its time
    exempt = Document({"0409999999": "96", OFFICER: "97"})
    site.client.send("UPDATE", metadata=exempt.xml)
    envelope = site.spool.envelope_path(begin.recording_id)
    await until(lambda: not envelope.exists(), "the key is destroyed")
    await site.take_over()
    [segment] = site.recorder._segments.values()
    assert segment.discarded
    closed = RecordingClosed(
        recording=begin.recording_id, path="", packets=0, blocks=0, bytes=0
    )
    site.recorder.closed(closed)
    await until(lambda: not site.recorder.unfinished, "it is gone")
    assert not [*site.spool.keys_directory.iterdir()]
    assert not site.finishers.jobs
    site.client.hang_up()
    row = await site.over()
    assert row.outcome == Outcome.EXEMPT


async def test_a_session_that_signalling_has_lost_is_over(site: Recorder) -> None:
    await site.record()
    await site.talk_beside()
    del site.core._sessions._by_id[site.call.names[0]]
    await site.take_over()
    row = await site.over()
    assert row.cause == EndCause.AGENT_DIED


async def test_a_session_whose_rules_are_gone_is_cleared(site: Recorder) -> None:
    await site.record()
    await site.talk_beside()
    site.sources.replace(())
    await site.take_over()
    assert site.logged("call_not_resumed")
    assert site.control.active_calls == 0
