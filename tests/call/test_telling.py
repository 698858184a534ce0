from typing import Any

import msgspec
import pytest

from agent.call.pause import NotRecordedError
from agent.model.call import Outcome
from agent.model.events import Event
from agent.signalling.sip import core as sip
from tests.call.site import Site, until


async def told(site: Site) -> list[dict[str, Any]]:
    """The events of the site's calls, as they would be sent."""
    assert site.ledger.outbox is not None
    rows = await site.ledger.outbox.exchange((), after=0, limit=1000)
    for row in rows:
        msgspec.json.decode(row.body, type=Event)  # type: ignore[arg-type]
    return [msgspec.json.decode(row.body) for row in rows]


async def test_a_recorded_call_is_told_from_offer_to_seal(site: Site) -> None:
    await site.start()
    await site.talk()
    site.trunk.hang_up()
    await site.ended()
    await until(lambda: site.uploads.notified)
    events = await told(site)
    kinds = [event["kind"] for event in events]
    assert sorted(kinds) == sorted(
        ["offered", "notice-played", "answered", "opened", "closed", "ended", "sealed"]
    )
    assert kinds[:3] == ["offered", "notice-played", "answered"]
    assert [event["sequence"] for event in events] == list(range(1, 8))
    assert (events[0]["caller"], events[0]["called"]) == ("…67", "…00")
    assert events[2]["officer"] == "…01"
    [row] = await site.rows()
    assert row.answered_utc_ns is not None
    assert "401234567" not in str(events)


async def test_nobody_answered(site: Site) -> None:
    await site.start()
    site.officer.answers = False
    site.trunk.call()
    await site.officer.heard(sip.InviteReceived)
    site.trunk.hang_up()
    await site.ended()
    kinds = [event["kind"] for event in await told(site)]
    assert kinds[-1] == "ended"
    assert "answered" not in kinds
    assert (await site.rows())[0].answered_utc_ns is None


async def test_a_pause_is_told(site: Site) -> None:
    await site.start(inbound={"max_pause": 300.0})
    await site.talk()
    [call] = site.control.orders.status()
    site.control.orders.pause(call.call_id, by="uid:0", reason="card", seconds=20.0)
    site.control.orders.resume(call.call_id, by="uid:0")
    site.trunk.hang_up()
    await site.ended()
    events = {event["kind"]: event for event in await told(site)}
    paused, resumed = events["paused"], events["resumed"]
    assert (paused["by"], paused["reason"], paused["seconds"]) == ("uid:0", "card", 20)
    assert resumed["by"] == "uid:0"
    assert paused["sequence"] < resumed["sequence"]


async def test_a_recording_that_somebody_ends_is_partial(site: Site) -> None:
    await site.start()
    await site.talk()
    [call] = site.control.orders.status()
    told_now = site.control.orders.stop_recording(
        call.call_id, by="mqtt:p-1", reason="consent"
    )
    assert told_now.recording == "off"
    assert site.control.active_calls == 1
    with pytest.raises(NotRecordedError):
        site.control.orders.stop_recording(call.call_id, by="mqtt:p-1")
    site.trunk.hang_up()
    row = await site.ended()
    assert (row.outcome, row.cause) == (Outcome.PARTIAL, "caller-hangup")
    await until(lambda: site.uploads.notified)
    events = {event["kind"]: event for event in await told(site)}
    assert (events["stopped"]["by"], events["stopped"]["reason"]) == (
        "mqtt:p-1",
        "consent",
    )
    assert events["ended"]["outcome"] == "partial"
    [job] = site.finishers.jobs
    assert (job.end.cause, job.end.outcome) == ("recording-stopped", "partial")
