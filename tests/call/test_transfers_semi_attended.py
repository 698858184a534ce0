"""Transfers asked for while the target still rings for the transferor."""

from typing import Any

from agent.signalling.sip import core as sip
from tests.call.site import AGENT, Site, until
from tests.call.transfers import CUSTOMER, INTERNAL, hold, segments, talking


async def ringing_consultation(site: Site, **options: Any) -> tuple[str, str]:
    """201 holds the customer and rings 202, who does not answer yet."""
    await talking(site, routes=[INTERNAL], **options)
    call = site.officer.session
    await hold(site.officer)
    site.second.answers = False
    site.officer.call("202")
    await site.second.heard(sip.InviteReceived)
    site.second.ring()
    await site.officer.heard(sip.Progressed)
    return call, site.officer.session


def early(site: Site, number: str, session: str) -> str:
    """As a phone names a dialog of its own that has only begun."""
    [one] = site.officer.core._sessions.get(session)._early.values()  # type: ignore[union-attr]
    named = one.dialog
    tags = f"to-tag%3D{named.remote.tag}%3Bfrom-tag%3D{named.local.tag}"
    return f"sip:{number}@{AGENT}?Replaces={named.call_id}%3B{tags}"


async def test_semi_attended_while_the_colleague_rings(site: Site) -> None:
    call, consultation = await ringing_consultation(site)
    site.second.answers = True
    site.officer.refer(early(site, "202", consultation), session=call)
    # It rings no more for 201, but for the customer.
    await site.second.heard(sip.Cancelled)
    assert (await site.officer.heard(sip.Refused)).session == consultation
    await site.officer.told(200)
    await site.until_logged("recording_begun", 2)
    assert segments(site) == [(1, CUSTOMER, "201"), (2, CUSTOMER, "202")]
    assert len({begin.group for begin in site.media.begins}) == 1
    invite = site.second.of(sip.InviteReceived)[-1].request
    assert invite.from_.uri.user == "0401234567"
    site.trunk.hang_up()
    await site.second.heard(sip.Ended)
    await until(lambda: not site.control.active_calls)
    assert not site.media.open
    assert not site.control._calls._by_name


async def test_semi_attended_to_nowhere_leaves_both_calls_as_they_are(
    site: Site,
) -> None:
    call, consultation = await ringing_consultation(site, outbound={"number": "0*"})
    site.officer.refer(early(site, "999", consultation), session=call)
    assert (await site.until_logged("transfer_refused"))["sip_status"] == 404
    assert site.control.active_calls == 2
    assert not site.second.of(sip.Cancelled)


async def test_only_who_rings_may_have_it_rung_for_another(site: Site) -> None:
    _, consultation = await ringing_consultation(site, trunk={"may_transfer": True})
    site.trunk.refer(early(site, "202", consultation), session=site.trunk.session)
    assert (await site.until_logged("transfer_refused"))["sip_status"] == 403
    assert not site.second.of(sip.Cancelled)


async def test_a_call_that_was_given_up_is_none_to_transfer_to(site: Site) -> None:
    call, consultation = await ringing_consultation(site)
    to = early(site, "202", consultation)
    site.officer.hang_up()
    await site.second.heard(sip.Cancelled)
    site.officer.refer(to, session=call)
    assert (await site.until_logged("transfer_refused"))["sip_status"] == 481
