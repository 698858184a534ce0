import asyncio
from typing import Any

import pytest

from agent.call.answering import Answering
from agent.call.control import DROP, CallControl
from agent.media.events import (
    Latched,
    MemoryRefused,
    RecordingFailed,
    SourceChanged,
    WorkerLost,
    WorkerReady,
)
from agent.model.call import Outcome
from agent.model.media import Address
from agent.signalling.sip import core as sip
from agent.signalling.sip.flow import Flow
from tests.call.site import (
    AGENT,
    SECOND,
    SERVICE,
    STRANGER,
    TRUNK,
    Site,
    until,
)


async def test_strangers_are_refused_then_ignored(site: Site) -> None:
    await site.start()
    for _ in range(2):
        site.stranger.call()
    await site.stranger.heard(sip.Refused, 2)
    assert [e.status for e in site.stranger.of(sip.Refused)] == [403, 403]
    assert site.control.refused_strangers == 2
    site.trunk.call()
    request = (await site.officer.heard(sip.InviteReceived)).request
    assert site.control.admit(request, Flow("udp", AGENT, STRANGER)) == DROP
    assert site.control.admit(request, Flow("udp", AGENT, TRUNK)) is None
    assert len(await site.rows()) == 1


async def test_draining_takes_no_calls_and_lets_running_ones_end(site: Site) -> None:
    await site.start()
    await site.talk()
    draining = site.control._tasks
    drained = asyncio.get_running_loop().create_task(site.control.drain(60.0))
    await until(lambda: site.control.arrivals.draining)
    site.second.call("0409876543")
    assert (await site.second.heard(sip.Refused)).status == 503
    site.trunk.hang_up()
    await drained
    assert not draining
    [row] = await site.rows()
    assert row.outcome == Outcome.RECORDED


async def test_calls_are_taken_again_and_an_emergency_always(site: Site) -> None:
    await site.start()
    site.control.take_calls(on=False)
    assert site.control.draining
    site.second.call("0409876543")
    refused = await site.second.heard(sip.Refused)
    assert refused.status == 503
    assert refused.response.headers.get("Retry-After") == "10"
    site.second.call("112")
    await site.trunk.heard(sip.InviteReceived)
    site.control.take_calls(on=True)
    await site.talk()


async def test_a_stop_that_is_in_a_hurry_waits_for_no_call(site: Site) -> None:
    await site.start()
    await site.talk()
    drained = asyncio.get_running_loop().create_task(site.control.drain(600.0))
    await until(lambda: site.control.draining)
    site.control.hurry()
    await drained
    assert (await site.ended()).cause == "agent-stopped"


async def test_what_runs_when_the_time_is_up_is_cleared(site: Site) -> None:
    await site.start()
    await site.talk()
    await site.control.drain(0.0)
    row = await site.ended()
    assert (row.outcome, row.cause) == (Outcome.RECORDED, "agent-stopped")
    await site.trunk.heard(sip.Ended)
    await site.officer.heard(sip.Ended)


async def test_a_call_that_only_rings_is_cleared_too(site: Site) -> None:
    await site.start()
    site.trunk.answers = False
    site.officer.call("0409876543")
    await site.officer.heard(sip.Progressed)
    await site.control.drain(0.0)
    assert (await site.ended()).outcome == Outcome.FAILED


async def test_a_call_whose_code_fails_is_cleared_alone(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.start()
    site.second.call("0409876543")
    await site.until_logged("recording_begun")
    await site.talk()
    [sound, broken] = site.control._calls.values()

    def fail(event: object) -> None:
        raise KeyError("a mistake of ours")

    monkeypatch.setattr(broken, "on_sip", fail)
    site.officer.hang_up()
    await site.until_logged("call_failed")
    await site.until_logged("ended")
    assert list(site.control._calls.values()) == [sound]
    await site.trunk.heard(sip.Ended)


async def test_a_call_that_cannot_even_be_cleared_hurts_no_other(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.start()
    await site.talk()
    [broken] = site.control._calls.values()

    def fail(*_: object) -> None:
        raise KeyError("a mistake of ours")

    monkeypatch.setattr(broken, "on_sip", fail)
    monkeypatch.setattr(broken, "stop", fail)
    site.officer.hang_up()
    await site.until_logged("call_stuck")
    site.second.call("0409876543")
    await site.until_logged("recording_begun", 2)


async def test_a_calls_task_that_fails_clears_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.start()

    async def fail(*_: object) -> None:
        raise KeyError("a mistake of ours")

    monkeypatch.setattr(Answering, "open_and_answer", fail)
    site.trunk.call()
    await site.until_logged("task_failed")
    await site.trunk.heard(sip.Refused)
    assert (await site.ended()).outcome == Outcome.FAILED
    site.control._task_failed("close-unknown", KeyError())


async def test_calls_of_exempt_numbers_are_not_recorded(site: Site) -> None:
    await site.start(exempt=(SERVICE,))
    site.trunk.call()
    await site.trunk.heard(sip.Accepted)
    await until(lambda: site.media.verbs["bridge"])
    assert not site.media.told("play")
    site.trunk.hang_up()
    assert (await site.ended()).outcome == Outcome.EXEMPT
    assert not site.media.begins


@pytest.mark.parametrize(
    ("policy", "outcome"),
    [("unrecorded", Outcome.PARTIAL), ("refuse", Outcome.PARTIAL)],
)
async def test_a_recording_that_breaks_follows_the_policy(
    site: Site, policy: str, outcome: Outcome
) -> None:
    await site.start(inbound={"on_recording_failure": policy})
    await site.talk()
    recording = site.media.begins[0].recording_id
    await site.advance(0)
    site.media.emit(RecordingFailed(recording=recording, reason="ENOSPC"))
    site.media.emit(RecordingFailed(recording="unknown", reason="ENOSPC"))
    await site.until_logged("recording_failed")
    if policy == "unrecorded":
        await site.until_logged("going_on_unrecorded")
        assert not site.logged("ended")
        site.trunk.hang_up()
    row = await site.ended()
    assert row.outcome == outcome
    assert site.media.ends[0].outcome == "partial"


async def test_a_lost_worker_makes_the_recording_partial(site: Site) -> None:
    await site.start()
    await site.talk()
    recording = site.media.begins[0].recording_id
    site.media.emit(WorkerLost(worker=0, legs=(), recordings=(recording, "other")))
    site.media.emit(WorkerReady(worker=0))
    site.media.emit(SourceChanged(leg="x", ssrc_changes=1))  # of no call any more
    site.media.emit(Latched(leg="x"))
    await site.until_logged("media_worker_lost")
    assert site.logged("media_worker_ready")
    site.trunk.hang_up()
    row = await site.ended()
    assert row.outcome == Outcome.PARTIAL
    assert site.media.ends[0].outcome == "partial"
    assert [e for e in site.logged("ended") if e["level"] == "warning"]


async def test_memory_that_the_kernel_refuses_is_told_with_what_to_do(
    site: Site,
) -> None:
    await site.start()
    reason = "Raise LimitMEMLOCK= of the unit."
    site.media.emit(MemoryRefused(recording="r", reason=reason))
    await site.until_logged("open_block_not_kept")
    [told] = site.logged("open_block_not_kept")
    assert (told["level"], told["reason"]) == ("warning", reason)


async def test_news_of_calls_that_are_over_changes_nothing(site: Site) -> None:
    await site.start()
    site.control.on_sip(sip.Cancelled("s77"))
    site.control.on_recording_failed("none", "ENOSPC", False)
    site.media.emit(site.media.play_ended("none", 1))
    await site.advance(0)
    assert not site.log


def test_control_must_be_connected() -> None:
    nothing: Any = None
    control = CallControl(ledger=nothing, guard=nothing, max_calls=1)
    with pytest.raises(RuntimeError):
        _ = control.joint


async def test_deadlines_of_several_calls(site: Site) -> None:
    await site.start(outbound={"ring_timeout": 5.0}, inbound={"ring_timeout": 9.0})
    site.trunk.answers = site.officer.answers = site.second.answers = False
    site.trunk.call()
    await site.officer.heard(sip.InviteReceived)
    site.second.call("0409876543")
    await site.trunk.heard(sip.InviteReceived)
    await site.advance(6)
    assert (await site.second.heard(sip.Refused)).status == 480
    assert len(site.control._schedule) == 1
    await site.advance(4)
    await site.officer.heard(sip.Cancelled)
    assert isinstance(SECOND, Address)
