from dataclasses import replace
from typing import Any

import pytest

from agent.call.active import ActiveCall
from agent.call.passthrough import PassthroughCall
from agent.model.call import Outcome
from agent.recording.ledger import LedgerError
from agent.signalling.sip import core as sip
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.headers import Headers
from agent.signalling.sip.message import Request
from agent.signalling.sip.uri import parse_name_addr, parse_uri
from tests.call.site import (
    AGENT,
    OFFICER,
    SERVICE,
    TRUNK,
    Site,
    until,
)


async def refused(site: Site, status: int) -> Any:
    event = await site.trunk.heard(sip.Refused)
    assert event.status == status
    assert not site.control.active_calls
    return event


async def test_a_peer_that_is_gone_from_the_table_is_refused(site: Site) -> None:
    await site.start()
    site.core._admit = None
    site.stranger.call()
    assert (await site.stranger.heard(sip.Refused)).status == 403


@pytest.mark.parametrize("number", ["0295999999", ""])
async def test_no_route_is_404(site: Site, number: str) -> None:
    await site.start()
    site.trunk.call(number)
    await refused(site, 404)
    assert site.logged("no_route")


async def test_a_fault_of_ours_refuses_that_call_and_no_other(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.start()

    def broken(*_: object, **__: object) -> None:
        raise ValueError("a fault")

    monkeypatch.setattr("agent.call.arrivals.caller_tag", broken)
    site.trunk.call()
    await refused(site, 500)
    assert site.logged("invite_failed")
    monkeypatch.undo()
    site.trunk.call()
    await site.officer.heard(sip.InviteReceived)


async def test_no_hops_left_is_483(site: Site) -> None:
    await site.start()
    site.trunk.call(max_forwards=0)
    await refused(site, 483)


async def test_the_hops_left_are_counted_down(site: Site) -> None:
    await site.start()
    site.trunk.call(max_forwards=10)
    invite = await site.officer.heard(sip.InviteReceived)
    assert invite.request.max_forwards == 9


async def test_a_call_of_our_own_that_comes_back_is_482(site: Site) -> None:
    await site.start()
    site.trunk.call()
    invite = await site.officer.heard(sip.InviteReceived)
    text = "".join(site.switch.sent("INVITE", to=OFFICER))
    assert invite.request.call_id in text
    # Another back-to-back user agent gave it a tag of its own, and back it came.
    tag = invite.request.from_.tag
    back = text.replace(f"tag={tag}", "tag=other").replace("z9hG4bK", "z9hG4bKx")
    site.switch.log.clear()
    site.agent._received(back.encode(), Flow("udp", AGENT, TRUNK))
    assert site.switch.sent("SIP/2.0 482", to=TRUNK)
    assert site.logged("loop_refused")
    # With another number asked for it is a spiral, and goes its way.
    spiral = back.replace("INVITE sip:201@", f"INVITE sip:{SERVICE}@")
    spiral = spiral.replace("tag=other", "tag=third").replace("z9hG4bKx", "z9hG4bKy")
    site.agent._received(spiral.encode(), Flow("udp", AGENT, TRUNK))
    await until(lambda: site.control.active_calls == 2)
    for call in list(site.control._calls.values()):
        call.stop()
    await until(lambda: not site.control.active_calls)
    assert not site.control._calls.sent
    assert not site.control._calls._call_ids


async def test_the_hosts_limit_is_503(site: Site) -> None:
    await site.start(max_calls=1)
    await site.talk()
    site.second.call("0409876543")
    event = await site.second.heard(sip.Refused)
    assert event.status == 503
    assert event.response.headers.get("Retry-After") == "10"
    assert site.logged("call_limit")[0]["reason"] == "the host's limit"
    # An emergency call is never counted.
    site.second.call("112")
    await site.trunk.heard(sip.InviteReceived)


async def test_a_peers_own_limit_is_503(site: Site) -> None:
    await site.start(trunk={"max_calls": 1})
    await site.talk()
    session = site.trunk.session
    site.trunk.call()
    assert (await site.trunk.heard(sip.Refused)).status == 503
    assert site.logged("call_limit")[0]["reason"] == "the peer's limit"
    site.trunk.session = session
    site.trunk.hang_up()
    await site.until_logged("ended")
    site.trunk.call()
    await site.until_logged("recording_begun", 2)


async def test_an_unwritable_ledger_does_not_keep_a_call(site: Site) -> None:
    await site.start()
    site.ledger.broken = LedgerError("it is full.")
    await site.talk()
    site.trunk.hang_up()
    await site.until_logged("ended")
    await site.until_logged("ledger_unwritable", 2)


async def test_by_policy_an_unwritable_ledger_refuses_calls(site: Site) -> None:
    await site.start(inbound={"on_recording_failure": "refuse"})
    site.ledger.broken = LedgerError("it is full.")
    site.trunk.call()
    event = await site.trunk.heard(sip.Refused)
    assert event.status == 503
    assert event.response.reason == "Recording Unavailable"
    assert event.response.headers.get("Retry-After") == "30"
    entry = await site.until_logged("ended")
    assert entry["outcome"] == Outcome.BLOCKED


async def test_an_unwritable_ledger_never_refuses_an_emergency(site: Site) -> None:
    await site.start(outbound={"on_recording_failure": "refuse"})
    site.ledger.broken = LedgerError("it is full.")
    site.officer.call("112")
    await site.officer.heard(sip.Accepted)
    assert len(site.logged("ledger_unwritable")) == 1


async def test_a_full_spool_blocks_or_not_as_the_route_says(site: Site) -> None:
    await site.start(min_free=1 << 62, outbound={"on_recording_failure": "refuse"})
    site.officer.call("0409876543")
    assert (await site.officer.heard(sip.Refused)).status == 503
    site.trunk.call()
    await site.until_logged("going_on_unrecorded")
    await until(lambda: site.media.verbs["bridge"])
    assert not site.media.begins
    assert site.logged("spool_refused")


async def test_exempt_calls_do_without_workers(site: Site) -> None:
    await site.start()
    site.media.workers_up = 0
    site.officer.call("112")
    await site.officer.heard(sip.Accepted)
    [call] = site.control._calls.values()
    assert isinstance(call, PassthroughCall)
    assert not site.media.commands


async def test_hops_are_counted_here_too(site: Site) -> None:
    await site.start()
    site.trunk.call()
    request = (await site.officer.heard(sip.InviteReceived)).request
    values = {"Call-ID": "other", "Max-Forwards": "0"}
    spent = Request(
        "INVITE",
        parse_uri(f"sip:{SERVICE}@{AGENT}"),
        Headers([(name, values.get(name, value)) for name, value in request.headers]),
        request.body,
    )
    flow = Flow("udp", AGENT, TRUNK)
    site.control.on_sip(sip.InviteReceived("s99", spent, flow))
    assert site.control.active_calls == 1


async def test_an_officer_who_hides_is_known_by_a_password(site: Site) -> None:
    await site.start()
    asked: list[str] = []

    def proven_number(request: Request, _flow: Flow) -> str:
        asked.append(request.method)
        return "201"

    site.control.connect(replace(site.joint, proven_number=proven_number))
    hidden = parse_name_addr("<sip:anonymous@anonymous.invalid>")
    site.officer.call("0401234567", from_=hidden)
    await site.trunk.heard(sip.InviteReceived)
    [call] = site.control._calls.values()
    assert isinstance(call, ActiveCall)
    assert call._caller == "201"
    # Those who are called are not told.
    [invite] = site.trunk.of(sip.InviteReceived)
    assert invite.request.from_.uri.host == "anonymous.invalid"
    site.trunk.call()
    await site.officer.heard(sip.InviteReceived)
    assert asked == ["INVITE"]
