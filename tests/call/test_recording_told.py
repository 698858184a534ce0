"""What record-aware parties are told of the recording: RFC 7866 section 7.1.2."""

import re
from typing import Any

from agent.common.errors import AgentError
from agent.model.media import Direction
from agent.signalling.sip import core as sip
from tests.call.site import CALLER, OFFICER, TRUNK, Party, Site, until

AWARE = ("record-aware",)
INDICATION = re.compile(r"\r\na=record:(\w+)\r\n")


def told(site: Site, to: Any) -> list[str]:
    """What the descriptions sent to a party said of the recording, in order."""
    found = []
    for _, destination, data in site.switch.log:
        text = data.decode()
        if destination == to and "\r\nm=audio" in text:
            [indication] = INDICATION.findall(text) or ["-"]
            found.append(indication)
    return found


async def changes(site: Site, to: Any, *expected: str) -> None:
    """Wait until a party has been told so, repetitions apart."""

    def so_far() -> list[str]:
        found = told(site, to)
        return [one for n, one in enumerate(found) if found[n - 1 : n] != [one]]

    await until(lambda: so_far() == list(expected), f"{expected}, not {so_far()}")


async def test_an_aware_caller_hears_of_every_change(site: Site) -> None:
    site.trunk = Party(site.switch, TRUNK, CALLER, supported=AWARE)
    await site.start(inbound={"max_pause": 300.0})
    await site.talk()
    await changes(site, TRUNK, "off", "on")
    [call] = site.control.orders.status()
    site.control.orders.pause(call.call_id, by="x")
    await changes(site, TRUNK, "off", "on", "paused")
    site.control.orders.resume(call.call_id, by="x")
    await changes(site, TRUNK, "off", "on", "paused", "on")
    # The officer's phone does not know of it, and is left alone.
    assert set(told(site, OFFICER)) == {"-"}
    assert len(told(site, OFFICER)) == 1
    # Nothing of the audio was changed by it: nobody is asked anew for that.
    assert "UPDATE" in {data.split(b" ")[0].decode() for _, _, data in site.switch.log}
    site.trunk.hang_up()
    await site.ended()


async def test_an_aware_officer_is_told_once_it_has_said_so(site: Site) -> None:
    site.officer = Party(site.switch, OFFICER, "201", supported=AWARE)
    await site.start()
    await site.talk()
    await changes(site, OFFICER, "-", "on")
    assert set(told(site, TRUNK)) == {"-"}
    site.trunk.hang_up()
    await site.ended()


async def test_a_hold_tells_what_is_so_and_needs_no_offer_of_its_own(
    site: Site,
) -> None:
    site.trunk = Party(site.switch, TRUNK, CALLER, supported=AWARE)
    await site.start()
    await site.talk()
    await changes(site, TRUNK, "off", "on")
    before = len(told(site, TRUNK))
    site.officer.change(Direction.SENDONLY)
    await site.until_logged("held")
    await site.officer.heard(sip.OfferAnswered)
    await until(lambda: site.trunk.direction is Direction.RECVONLY)
    assert told(site, TRUNK)[before:] == ["on"]
    site.trunk.hang_up()
    await site.ended()


async def test_who_refuses_to_be_told_is_not_asked_for_ever(site: Site) -> None:
    site.trunk = Party(site.switch, TRUNK, CALLER, supported=AWARE)
    site.trunk.refuses_offers = 488
    await site.start()
    await site.talk()
    await changes(site, TRUNK, "off", "on")
    before = len(told(site, TRUNK))
    await site.advance(5)
    site.officer.change(Direction.SENDONLY)
    await site.until_logged("held")
    assert len(told(site, TRUNK)) <= before + 1
    site.trunk.hang_up()
    await site.ended()


async def test_an_unrecorded_call_says_so(site: Site) -> None:
    site.trunk = Party(site.switch, TRUNK, CALLER, supported=AWARE)
    await site.start()
    site.media.workers_up = 0
    site.trunk.call()
    await site.until_logged("going_on_unrecorded")
    await until(lambda: site.media.told("bridge"))
    assert set(told(site, TRUNK)) == {"off"}
    site.trunk.hang_up()
    await site.ended()


async def test_the_end_of_a_recording_is_told(site: Site) -> None:
    site.trunk = Party(site.switch, TRUNK, CALLER, supported=AWARE)
    await site.start()
    await site.talk()
    await changes(site, TRUNK, "off", "on")
    recording = site.media.begins[0].recording_id
    site.recorder.failed(recording, "ENOSPC")
    await changes(site, TRUNK, "off", "on", "off")
    site.trunk.hang_up()
    await site.ended()


async def test_a_wish_is_told_and_changes_nothing(site: Site) -> None:
    await site.start()
    offer = site.trunk.negotiation.offer()
    site.trunk.call(body=offer + b"a=recordpref:off\r\n")
    entry = await site.until_logged("record_preference")
    assert (entry["leg"], entry["preference"]) == ("a", "off")
    await site.until_logged("recording_begun")
    site.trunk.hang_up()
    await site.ended()


async def test_what_cannot_be_told_is_logged(site: Site, monkeypatch: Any) -> None:
    site.trunk = Party(site.switch, TRUNK, CALLER, supported=AWARE)
    await site.start(inbound={"max_pause": 300.0})
    await site.talk()
    await changes(site, TRUNK, "off", "on")

    def fail(*_: Any, **__: Any) -> None:
        raise AgentError("The session is over.")

    monkeypatch.setattr(site.agent.core, "reoffer", fail)
    [call] = site.control.orders.status()
    site.control.orders.pause(call.call_id, by="x")
    assert site.logged("recording_not_told")
    monkeypatch.undo()
    site.trunk.hang_up()
    await site.ended()
