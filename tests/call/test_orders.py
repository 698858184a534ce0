import pytest

from agent.call.orders import Orders, UnknownCallError
from agent.call.pause import NotPausedError, NotRecordedError, PausesForbiddenError
from agent.model.recording import RecordState
from tests.call.site import TRUNK, Site, until

PAUSABLE = {"max_pause": 300.0}


def call_id(site: Site) -> str:
    [call] = site.control.orders.status()
    return call.call_id


async def test_a_recording_is_paused_and_goes_on(site: Site) -> None:
    await site.start(inbound=PAUSABLE)
    await site.talk()
    orders = site.control.orders
    assert orders.status()[0].recording is RecordState.ON
    told = orders.pause(call_id(site), by="uid:7", reason="card", seconds=60.0)
    assert told.recording is RecordState.PAUSED
    assert told.resumes_in == pytest.approx(60.0, abs=1.0)
    assert told.paused_for == pytest.approx(0.0, abs=1.0)
    assert (told.state, told.exempt, told.route) == ("talking", False, "in")
    [paused] = site.logged("recording_paused")
    assert (paused["by"], paused["reason"]) == ("uid:7", "card")
    told = orders.resume(call_id(site), by="uid:8")
    assert told.recording is RecordState.ON
    assert told.resumes_in is told.paused_for is None
    [resumed] = site.logged("recording_resumed")
    assert (resumed["by"], resumed["reason"]) == ("uid:8", "command")
    begin, end = site.media.marks
    assert (begin.kind, begin.by, begin.reason) == ("pause-begin", "uid:7", "card")
    assert (end.kind, end.by, end.reason) == ("pause-end", "uid:8", "command")
    assert [on for _, _, on in site.media.told("tap")] == [False, False, True, True]


async def test_a_forgotten_pause_ends_by_itself(site: Site) -> None:
    await site.start(inbound=PAUSABLE)
    await site.talk()
    site.control.orders.pause(call_id(site), by="uid:7")
    await site.advance(299)
    assert not site.logged("recording_resumed")
    await site.advance(2)
    resumed = await site.until_logged("recording_resumed")
    assert (resumed["by"], resumed["reason"]) == ("agent", "limit")
    assert site.control.orders.status()[0].recording is RecordState.ON


async def test_a_call_is_named_by_the_beginning_of_its_id(site: Site) -> None:
    await site.start(inbound=PAUSABLE)
    await site.talk()
    name = call_id(site)
    orders = site.control.orders
    for wrong in ("", name[:7], "0" * 8, name + "0"):
        with pytest.raises(UnknownCallError):
            orders.pause(wrong, by="uid:7")
    orders.pause(name[:8], by="uid:7")
    running = site.control._calls
    both = {**running, name[:9] + "x": running[name]}
    twins = Orders(both, site.control.guard)
    with pytest.raises(UnknownCallError):
        twins.resume(name[:8], by="uid:7")


async def test_what_is_not_recorded_cannot_be_paused(site: Site) -> None:
    await site.start(inbound=PAUSABLE)
    site.media.plays = False
    site.trunk.call()
    await until(lambda: site.media.told("play"))
    orders = site.control.orders
    with pytest.raises(NotRecordedError):
        orders.pause(call_id(site), by="uid:7")
    with pytest.raises(NotPausedError):
        orders.resume(call_id(site), by="uid:7")
    assert orders.status()[0].recording is RecordState.OFF


async def test_the_route_must_allow_it(site: Site) -> None:
    await site.start()
    await site.talk()
    with pytest.raises(PausesForbiddenError):
        site.control.orders.pause(call_id(site), by="uid:7")
    assert site.control.orders.status()[0].recording is RecordState.ON


async def test_a_call_that_passes_by_is_not_recorded(site: Site) -> None:
    await site.start()
    site.media.workers_up = 0
    site.officer.call("112")
    await until(site.control.orders.status)
    await until(lambda: site.switch.sent("INVITE", to=TRUNK))
    [status] = site.control.orders.status()
    assert (status.state, status.exempt) == ("direct", True)
    with pytest.raises(NotRecordedError):
        site.control.orders.pause(status.call_id, by="uid:7")


async def test_a_fault_of_ours_ends_that_call(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.start(inbound=PAUSABLE)
    await site.talk()
    name = call_id(site)
    call = site.control._calls[name]
    monkeypatch.setattr(call.recording, "_run", lambda: 1 / 0)
    site.control.orders.pause(name, by="uid:7")
    assert site.logged("call_failed")
