import asyncio
from typing import Any

import pytest

from agent.model.call import CallDirection, EndCause, Outcome
from agent.model.media import Direction, SrtpPolicy
from agent.recording.ledger import LedgerError
from agent.signalling.sip import core as sip
from agent.signalling.sip.flow import Flow
from tests.call.site import AGENT, OFFICER, SECOND, SERVICE, TRUNK, Site, until

OUT = {"to": (f"sip:112@{OFFICER}", f"sip:112@{SECOND}"), "number": SERVICE}


async def start(site: Site, **inbound: Any) -> None:
    """No worker is up, and the service number is exempt."""
    await site.start(exempt=(SERVICE,), inbound=inbound)
    site.media.workers_up = 0


async def talk(site: Site) -> None:
    site.trunk.call()
    await site.trunk.heard(sip.Accepted)
    await site.officer.heard(sip.Acknowledged)


async def test_descriptions_pass_untouched(site: Site) -> None:
    await start(site)
    await talk(site)
    invite = site.officer.of(sip.InviteReceived)[0].request
    assert b"192.0.2.10" in invite.body
    accepted = site.trunk.of(sip.Accepted)[0].response
    assert b"192.0.2.20" in accepted.body
    site.trunk.hang_up()
    await site.officer.heard(sip.Ended)
    row = await site.ended()
    assert (row.outcome, row.cause) == (Outcome.EXEMPT, EndCause.CALLER_HANGUP)
    assert not site.media.commands
    assert not site.control._calls._by_name


async def test_the_callee_hangs_up(site: Site) -> None:
    await start(site)
    await talk(site)
    site.officer.hang_up()
    await site.trunk.heard(sip.Ended)
    assert (await site.ended()).cause == EndCause.OFFICER_HANGUP


async def test_a_customer_who_hangs_up(site: Site) -> None:
    await start(site, direction=CallDirection.OUTBOUND)
    await talk(site)
    site.officer.hang_up()
    assert (await site.ended()).cause == EndCause.CUSTOMER_HANGUP


async def test_a_late_offer_and_its_answer_pass_too(site: Site) -> None:
    await start(site)
    site.trunk.call(late=True)
    ack = await site.officer.heard(sip.Acknowledged)
    assert b"192.0.2.10" in ack.request.body
    # A later change does not bring the first answer again.
    site.trunk.change(Direction.SENDONLY)
    await site.trunk.heard(sip.OfferAnswered)
    await until(lambda: site.officer.direction is Direction.RECVONLY)
    assert not site.logged("call_failed")


async def test_early_media_passes(site: Site) -> None:
    await start(site)
    site.officer.early = True
    site.officer.answers = False
    site.trunk.call()
    progress = await site.trunk.heard(sip.Progressed)
    assert progress.response.status == 183
    assert b"192.0.2.20" in progress.response.body


async def test_changes_pass_both_ways(site: Site) -> None:
    await start(site)
    await talk(site)
    site.officer.change(Direction.SENDONLY)
    await site.officer.heard(sip.OfferAnswered)
    assert site.trunk.direction is Direction.RECVONLY
    site.officer.refuses_offers = 488
    site.trunk.change(Direction.SENDRECV)
    refused = await site.trunk.heard(sip.OfferRefused)
    assert refused.status == 488


async def test_a_party_that_moves_when_the_session_is_refreshed_is_followed(
    site: Site,
) -> None:
    await start(site)
    await talk(site)
    [call] = site.control._calls.values()
    said = site.trunk.of(sip.Accepted)[0].response
    answer = said.copy()

    def refreshed() -> None:
        call.on_sip(sip.RefreshAnswered(call.names[1], answer))

    refreshed()  # as before
    answer.body = b""
    refreshed()  # an UPDATE says nothing of it
    assert not site.trunk.of(sip.OfferReceived)
    answer.body = said.body.replace(b"192.0.2.20", b"192.0.2.21")
    refreshed()
    offer = await site.trunk.heard(sip.OfferReceived)
    assert offer.body == answer.body
    refreshed()
    await site.advance(1)
    assert len(site.trunk.of(sip.OfferReceived)) == 1
    assert not site.logged("call_failed")


async def test_an_offer_asked_of_us_is_refused(site: Site) -> None:
    await start(site)
    await talk(site)
    [call] = site.control._calls.values()
    request = site.trunk.of(sip.Accepted)[0]
    call.on_sip(
        sip.OfferReceived(call.names[0], None, request.response)  # type: ignore[arg-type]
    )
    assert site.control.active_calls == 1
    call.on_sip(sip.Progressed("s99", request.response))


async def test_the_next_target_is_tried(site: Site) -> None:
    await start(site)
    site.officer.refuses = 486
    site.trunk.call()
    await site.trunk.heard(sip.Accepted)
    await site.second.heard(sip.Acknowledged)
    site.trunk.hang_up()
    await site.ended()
    assert not site.control._calls._by_name
    assert not site.control._calls.sent


async def test_the_last_refusal_is_passed_on(site: Site) -> None:
    await start(site)
    site.officer.refuses = 404
    site.second.refuses = 486
    site.trunk.call()
    assert (await site.trunk.heard(sip.Refused)).status == 486
    row = await site.ended()
    assert (row.outcome, row.sip_status) == (Outcome.EXEMPT, 486)


async def test_a_target_that_rings_too_long(site: Site) -> None:
    await start(site, ring_timeout=5.0)
    site.officer.answers = False
    site.trunk.call()
    await site.officer.heard(sip.InviteReceived)
    await site.advance(6)
    await site.officer.heard(sip.Cancelled)
    await site.trunk.heard(sip.Accepted)
    await site.second.heard(sip.Acknowledged)


async def test_an_emergency_call_rings_as_long_as_the_caller_waits(site: Site) -> None:
    await site.start(emergency=(SERVICE,))
    site.media.workers_up = 0
    site.officer.answers = False
    site.trunk.call()
    await site.officer.heard(sip.InviteReceived)
    [call] = site.control._calls.values()
    assert call.get_timer() is None
    call.handle_timer(0.0)
    site.trunk.hang_up()
    await site.officer.heard(sip.Cancelled)
    await site.ended()


async def test_the_legs_of_an_emergency_call_are_known_while_it_lasts(
    site: Site,
) -> None:
    await site.start()
    site.media.workers_up = 0
    site.officer.call("112")
    away = (await site.trunk.heard(sip.InviteReceived)).request
    here = site.officer.core.invite_of(site.officer.session)
    assert here is not None
    assert site.control.in_emergency(here.call_id)
    assert site.control.in_emergency(away.call_id)
    assert not site.control.in_emergency("another")
    site.officer.hang_up()
    await site.ended()
    assert not site.control.in_emergency(here.call_id)
    assert not site.control.in_emergency(away.call_id)


async def test_no_target_has_an_address(site: Site) -> None:
    await start(site, to=("sip:112@[2001:db8::1]",))
    site.trunk.call()
    assert (await site.trunk.heard(sip.Refused)).status == 480
    await site.ended()
    assert site.logged("target_unreachable")


async def test_the_caller_leaves_while_the_target_is_looked_up(site: Site) -> None:
    await start(site)
    gate = site.agent.held["201"] = asyncio.Event()
    site.trunk.call()
    await until(lambda: site.logged("call_begun"))
    await site.advance(0)
    site.trunk.hang_up()
    await site.until_logged("ended")
    gate.set()
    await until(lambda: not site.control._tasks)
    assert not site.officer.events


async def test_stopping_clears_both_sides(site: Site) -> None:
    await start(site)
    await talk(site)
    await site.control.drain(0.0)
    await site.trunk.heard(sip.Ended)
    await site.officer.heard(sip.Ended)
    row = await site.ended()
    assert (row.outcome, row.cause) == (Outcome.EXEMPT, EndCause.AGENT_STOPPED)


async def test_a_peer_that_sends_no_ack(site: Site) -> None:
    await start(site)
    site.trunk.call()
    site.switch._ports.pop(TRUNK)
    await until(lambda: site.switch.sent("SIP/2.0 200", to=TRUNK))
    for _ in range(12):
        await site.advance(4)
    assert (await site.ended()).cause == EndCause.SIGNALLING_TIMEOUT
    await site.officer.heard(sip.Ended)


async def test_an_unwritable_ledger_is_no_reason(site: Site) -> None:
    await start(site, on_recording_failure="refuse")
    site.ledger.broken = LedgerError("it is full.")
    await talk(site)
    [call] = site.control._calls.values()
    assert call.peer_name == "trunk"
    await site.control.drain(0.0)
    site.trunk.events.clear()
    site.officer.events.clear()
    call.refuse_unrecordable()
    await site.advance(0)
    assert not site.officer.events


# -- keys that came over TLS --------------------------------------------------

OVER_TLS = Flow("tls", AGENT, OFFICER, "officer.example")
OVER_UDP = Flow("udp", AGENT, OFFICER)
KEY = b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:bm90IGEgc2VjcmV0\r\n"


def offers(site: Site) -> list[str]:
    return site.switch.sent("INVITE", to=OFFICER)


async def test_keys_stay_behind_where_the_call_can_do_without(site: Site) -> None:
    site.switch.secure = {TRUNK}
    await start(site)
    await talk(site)
    assert "a=crypto:" in site.switch.sent("INVITE", to=AGENT)[0]
    [offer] = offers(site)
    assert "192.0.2.10" in offer
    assert "crypto" not in offer
    current = site.trunk.negotiation.current
    assert current is not None
    assert current.srtp is None
    site.trunk.core.reoffer(
        site.trunk.session,
        site.trunk.agent.now,
        body=site.trunk.negotiation.offer() + KEY,
    )
    site.trunk.agent.flush()
    await site.trunk.heard(sip.OfferAnswered)
    assert len(offers(site)) == 2
    assert "crypto" not in offers(site)[1]
    assert len(site.logged("keys_left_out")) == 2
    assert not site.logged("keys_in_the_clear")


async def test_keys_go_on_over_tls(site: Site) -> None:
    site.switch.secure = {TRUNK, OFFICER}
    site.trunk.srtp = site.officer.srtp = SrtpPolicy.REQUIRE
    await start(site)
    site.agent.ways = [OVER_TLS]
    await talk(site)
    ours, theirs = site.trunk.negotiation.current, site.officer.negotiation.current
    assert ours is not None
    assert theirs is not None
    assert ours.srtp is not None
    assert theirs.srtp is not None
    assert ours.srtp.send == theirs.srtp.receive
    assert not site.logged("keys_left_out")
    assert not site.logged("keys_in_the_clear")


async def test_keys_without_which_there_is_no_call_go_on_and_it_is_said(
    site: Site,
) -> None:
    site.switch.secure = {TRUNK}
    site.trunk.srtp = SrtpPolicy.REQUIRE
    site.officer.refuses = 486
    await start(site, to=(f"sip:112@{OFFICER}",))
    site.trunk.call()
    await site.trunk.heard(sip.Refused)
    [offer] = offers(site)
    assert "RTP/SAVP" in offer
    assert "a=crypto:" in offer
    assert len(site.logged("keys_in_the_clear")) == 1


@pytest.mark.parametrize(("status", "tries"), [(503, 2), (486, 1)])
async def test_the_ways_over_tls_are_tried_first(
    site: Site, status: int, tries: int
) -> None:
    site.switch.secure = {TRUNK}
    site.officer.refuses = status
    await start(site, to=(f"sip:112@{OFFICER}",))
    site.agent.ways = [OVER_UDP, OVER_TLS]
    site.trunk.call()
    await site.trunk.heard(sip.Refused)
    assert ["a=crypto:" in offer for offer in offers(site)] == [True, False][:tries]
    assert ["SIP/2.0/TLS" in offer for offer in offers(site)] == [True, False][:tries]


async def test_a_late_offer_leaves_its_keys_behind_too(site: Site) -> None:
    site.switch.secure = {OFFICER}
    await start(site)
    site.agent.ways = [OVER_TLS]
    site.trunk.call(late=True)
    await site.officer.heard(sip.Acknowledged)
    assert b"crypto" not in site.trunk.of(sip.Accepted)[0].response.body
    assert "a=crypto:" in site.switch.sent("SIP/2.0 200", to=AGENT)[0]
    assert len(site.logged("keys_left_out")) == 1


async def test_an_answer_keeps_its_keys(site: Site) -> None:
    site.switch.secure = {OFFICER}
    await start(site)
    site.agent.ways = [OVER_TLS]
    answer, _ = site.officer.negotiation.answer(site.trunk.negotiation.offer())
    site.officer.answer_body = answer + KEY
    site.trunk.call()
    accepted = await site.trunk.heard(sip.Accepted)
    assert accepted.response.body.endswith(KEY)
    assert len(site.logged("keys_in_the_clear")) == 1


@pytest.mark.parametrize(
    "media",
    [
        "m=audio 4000 RTP/AVP 18\r\na=rtpmap:18 G729/8000\r\n",
        "m=audio 4000 UDP/TLS/RTP/SAVP 8\r\na=fingerprint:sha-256 00\r\n",
        "m=audio 4000 RTP/SAVP 8\r\na=crypto:1 F8_128_HMAC_SHA1_80 inline:x\r\n",
    ],
)
async def test_an_emergency_call_in_what_we_cannot_relay_passes(
    site: Site, media: str
) -> None:
    await site.start()
    site.trunk.refuses = 486
    body = (
        "v=0\r\no=- 1 1 IN IP4 192.0.2.20\r\ns=-\r\nc=IN IP4 192.0.2.20\r\nt=0 0\r\n"
        + media
    ).encode()
    site.officer.call("112", body=body)
    assert (await site.officer.heard(sip.Refused)).status == 486
    assert site.trunk.of(sip.InviteReceived)[0].request.body == body
    site.officer.call("0401234567", body=body)
    await site.officer.heard(sip.Refused, 2)
    assert site.trunk.of(sip.InviteReceived)[1].request.body != body
