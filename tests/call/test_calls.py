from agent.signalling.sip import core as sip
from tests.call.site import (
    Site,
)


async def test_a_call_is_forgotten_once(site: Site) -> None:
    await site.start()
    await site.talk()
    [call] = site.control._calls.values()
    site.trunk.hang_up()
    await site.ended()
    site.control._forget(call)
    site.control.register("late", call)
    assert not site.control._calls._by_name
    assert site.control._calls._of_peer == {"trunk": 0}


async def test_every_name_of_a_call_leads_to_it(site: Site) -> None:
    await site.start()
    await site.talk()
    calls = site.control._calls
    [call] = calls.values()
    assert {calls.of_name(name) for name in call.names} == {call}
    assert list(calls) == [call.call_id]
    assert calls.of_peer("trunk") == 1
    assert calls.of_peer("officers") == 0
    [invite] = site.officer.of(sip.InviteReceived)
    assert calls.sent == {invite.request.call_id: "201"}
    assert not calls.in_emergency(invite.request.call_id)


async def test_both_legs_of_an_emergency_call_are_known_as_such(site: Site) -> None:
    await site.start()
    site.officer.call("112")
    invite = await site.trunk.heard(sip.InviteReceived)
    calls = site.control._calls
    assert calls.in_emergency(invite.request.call_id)
    [call] = calls.values()
    calls.forget(call)
    assert not calls.in_emergency(invite.request.call_id)
    assert not calls.sent


async def test_a_name_that_is_no_more_is_nobodys(site: Site) -> None:
    await site.start()
    await site.talk()
    [call] = site.control._calls.values()
    site.control.register("stream", call)
    site.control.unregister("stream")
    site.control.unregister("stream")
    assert site.control._calls.of_name("stream") is None
