from agent.media.events import PlayEnded
from agent.model.call import EndCause, Outcome
from agent.model.media import Direction
from agent.signalling.sip import core as sip
from tests.call.site import OFFICER, TRUNK, Site, until


async def test_the_caller_leaves_while_it_rings(site: Site) -> None:
    await site.start()
    site.officer.answers = False
    site.trunk.call()
    await site.officer.heard(sip.InviteReceived)
    site.trunk.hang_up()
    row = await site.ended()
    assert (row.outcome, row.cause) == (Outcome.ABANDONED, "caller-hangup")
    await site.officer.heard(sip.Cancelled)


async def test_the_officer_gives_up_before_the_customer_answers(site: Site) -> None:
    await site.start()
    site.trunk.answers = False
    site.officer.call("0409876543")
    await site.trunk.heard(sip.InviteReceived)
    await site.officer.heard(sip.Progressed)
    site.officer.hang_up()
    row = await site.ended()
    assert row.outcome == Outcome.ABANDONED
    await site.trunk.heard(sip.Cancelled)
    assert not site.media.open


async def test_a_customer_who_is_busy_is_told_to_the_officer(site: Site) -> None:
    await site.start()
    site.trunk.refuses = 486
    site.officer.call("0409876543")
    refused = await site.officer.heard(sip.Refused)
    assert refused.status == 486
    assert (await site.ended()).outcome == Outcome.UNANSWERED


async def test_an_unusable_answer_goes_on_to_the_next_target(site: Site) -> None:
    await site.start()
    site.officer.answer_body = b"v=0\r\nnonsense\r\n"
    site.trunk.call()
    entry = await site.until_logged("answer_unusable")
    assert entry["leg"] == "b1"
    await site.until_logged("recording_begun")
    ended = await site.officer.heard(sip.Ended)
    assert "cause=88" in ended.request.headers.get("Reason")
    assert site.media.begins[0].officers[0].number == "202"


async def test_a_late_offer_is_answered_in_the_ack(site: Site) -> None:
    await site.start()
    site.trunk.call(late=True)
    await site.until_logged("recording_begun")
    assert site.trunk.direction is Direction.SENDRECV
    site.trunk.hang_up()
    assert (await site.ended()).outcome == Outcome.RECORDED


async def test_a_late_offer_that_is_never_answered_ends_the_call(site: Site) -> None:
    await site.start()
    site.trunk.answer_body = b""
    site.trunk.call(late=True)
    await site.until_logged("answer_unusable")
    await site.trunk.heard(sip.Ended)
    row = await site.ended()
    assert row.outcome == Outcome.FAILED


async def test_an_officer_may_make_a_late_offer(site: Site) -> None:
    await site.start()
    site.trunk.early = True
    site.officer.call("0409876543", late=True)
    await site.until_logged("recording_begun")
    # No offer goes into a provisional response that may be lost.
    assert {e.response.status for e in site.officer.of(sip.Progressed)} == {180}


async def test_a_peer_that_sends_no_ack_is_cleared(site: Site) -> None:
    await site.start()
    site.trunk.call()
    site.switch._ports.pop(TRUNK)
    await until(lambda: site.switch.sent("SIP/2.0 200", to=TRUNK))
    for _ in range(12):
        await site.advance(4)
    row = await site.ended()
    assert (row.outcome, row.cause) == (Outcome.FAILED, EndCause.SIGNALLING_TIMEOUT)


async def test_events_of_strange_sessions_change_nothing(site: Site) -> None:
    await site.start()
    await site.talk()
    [call] = site.control._calls.values()
    call.on_sip(sip.Cancelled("s999"))
    request = site.officer.of(sip.InviteReceived)[0].request
    call.on_sip(sip.RequestInDialog(call.names[0], "key", request))
    stray = PlayEnded(
        leg="x",
        token=77,
        completed=True,
        frames=1,
        sent_ms=20,
        started_ns=1,
        ended_ns=1,
    )
    call.on_play_ended(stray)  # type: ignore[attr-defined]
    assert call.peer_name == "trunk"
    assert not site.logged("ended")


async def test_digits_in_info_are_answered_and_forgotten(site: Site) -> None:
    await site.start()
    await site.talk()
    site.trunk.send("INFO", ("X-Signal", "Signal=7391"))
    await until(
        lambda: [t for t in site.switch.sent("SIP/2.0 200", to=TRUNK) if "INFO" in t]
    )
    site.trunk.hang_up()
    await site.ended()
    # A caller's digits are often a PIN: they are neither told on nor logged.
    assert not site.switch.sent("INFO", to=OFFICER)
    assert "7391" not in str(site.log)
