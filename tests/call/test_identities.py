"""Connected identity: who a PBX says has taken the call (RFC 4916)."""

from typing import Any

import pytest

from agent.call.identities import CHANGES_WITHIN, MAX_CHANGES
from agent.identity.directory import OfficerEntry
from agent.model.call import Outcome
from agent.model.media import Direction
from agent.signalling.sip import core as sip
from agent.signalling.sip.uri import NameAddr, parse_uri
from tests.call.site import OFFICER, Site, key, until

OFFICERS = [
    OfficerEntry("201", "One", str(key(seed=3))),
    OfficerEntry("202", "Two", str(key(seed=4))),
]
QUEUE = {"officer_answer": "connected-identity", "to": (f"sip:700@{OFFICER}",)}


async def queued(site: Site, **options: Any) -> None:
    """A caller in the queue of a PBX, which has answered."""
    await site.start(**({"officers": OFFICERS, "inbound": QUEUE} | options))
    site.trunk.call()
    await site.officer.heard(sip.Acknowledged)
    await until(lambda: site.media.verbs["bridge"])


def asserts(site: Site, number: str, *more: tuple[str, str]) -> None:
    """The PBX says who is there now."""
    pai = ("P-Asserted-Identity", f"<sip:{number}@pbx.example>")
    site.officer.send("UPDATE", pai, *more)


def recorded(site: Site) -> list[str]:
    return [begin.officers[0].number for begin in site.media.begins]


async def test_a_queue_is_recorded_from_the_officer_on(site: Site) -> None:
    await queued(site)
    assert not site.media.begins
    asserts(site, "201")
    await until(lambda: len(site.media.begins) == 1)
    asserts(site, "201")  # as before
    asserts(site, "202")
    await until(lambda: len(site.media.begins) == 2)
    assert recorded(site) == ["201", "202"]
    assert [begin.segment for begin in site.media.begins] == [1, 2]
    assert len({begin.group for begin in site.media.begins}) == 1
    assert [end.cause for end in site.media.ends] == ["transferred"]
    asserts(site, "700")  # back in the queue
    await until(lambda: len(site.media.ends) == 2)
    site.trunk.hang_up()
    row = await site.ended()
    assert (row.outcome, row.cause) == (Outcome.RECORDED, "caller-hangup")
    assert len(site.media.begins) == 2


async def test_a_peer_gone_wrong_makes_no_end_of_segments(site: Site) -> None:
    await queued(site)
    for number in range(3 * MAX_CHANGES):
        asserts(site, "201" if number % 2 else "202")
    await until(lambda: len(site.media.begins) == MAX_CHANGES)
    await site.until_logged("identity_changes_too_often")
    await site.advance(CHANGES_WITHIN + 1)
    assert len(site.logged("identity_changes_too_often")) == 1
    assert len(site.media.begins) == MAX_CHANGES
    assert len(site.media.ends) == MAX_CHANGES - 1  # the last one goes on
    # What has quietened down is followed again.
    last = recorded(site)[-1]
    asserts(site, "202" if last == "201" else "201")
    await until(lambda: len(site.media.begins) == MAX_CHANGES + 1)


async def test_who_leaves_the_queue_has_abandoned(site: Site) -> None:
    await queued(site)
    site.trunk.hang_up()
    assert (await site.ended()).outcome == Outcome.ABANDONED
    assert not site.media.begins


@pytest.mark.parametrize(
    ("phones", "more"),
    [({"trusted": False}, ()), ({}, (("Privacy", "id"),))],
)
async def test_who_is_not_trusted_or_hides_says_nothing(
    site: Site, phones: dict[str, Any], more: tuple[tuple[str, str], ...]
) -> None:
    await queued(site, phones=phones)
    asserts(site, "201", *more)
    await until(lambda: site.switch.sent("SIP/2.0 200", to=OFFICER))
    await site.advance(0)
    assert not site.media.begins


async def test_a_re_invite_and_its_answer_tell_as_well(site: Site) -> None:
    await queued(site)
    party = site.officer
    body = party.negotiation.offer(direction=Direction.SENDRECV)
    pai = [("P-Asserted-Identity", "<sip:202@pbx.example>")]
    party.core.reoffer(party.session, party.agent.now, body=body, headers=pai)
    party.agent.flush()
    await until(lambda: recorded(site) == ["202"])


async def test_another_from_tells_as_well(site: Site) -> None:
    await queued(site)
    found: Any = site.officer.core._sessions.get(site.officer.session)
    dialog = found._link.dialog
    tag = dialog.local.tag
    changed = NameAddr(None, parse_uri("sip:201@pbx.example"), ()).with_tag(tag)
    dialog.local = changed
    site.officer.send("UPDATE")
    await until(lambda: recorded(site) == ["201"])


async def test_elsewhere_only_another_officer_changes_the_tag(site: Site) -> None:
    await site.start(officers=OFFICERS)
    await site.talk()
    asserts(site, "700")
    await until(lambda: site.switch.sent("SIP/2.0 200", to=OFFICER))
    asserts(site, "202")
    await until(lambda: recorded(site) == ["201", "202"])
    assert len(site.logged("identity_changed")) == 1


async def test_the_customer_becomes_no_officer(site: Site) -> None:
    await site.start(officers=OFFICERS)
    await site.talk()
    site.trunk.send("UPDATE", ("P-Asserted-Identity", "<sip:202@trunk.example>"))
    await site.advance(0)
    assert recorded(site) == ["201"]


async def test_the_answer_may_name_the_officer(site: Site) -> None:
    await site.start(officers=OFFICERS, inbound=QUEUE)
    site.officer.answers = False
    site.trunk.call()
    invited = await site.officer.heard(sip.InviteReceived)
    answer, _ = site.officer.negotiation.answer(invited.request.body)
    site.officer.core.accept(
        invited.session,
        site.officer.agent.now,
        contact=site.officer.uri,
        body=answer,
        headers=[("P-Asserted-Identity", "<tel:202>")],
    )
    site.officer.agent.flush()
    await until(lambda: recorded(site) == ["202"])
