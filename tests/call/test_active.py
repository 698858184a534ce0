import gc
import weakref
from typing import Any

import pytest

from agent.call.hearing import MAX_ALARMS
from agent.media.events import MediaHeard, MediaQuiet, SourceChanged
from agent.model.call import EndCause, Outcome
from agent.model.media import PCMU, Direction
from agent.signalling.sip import core as sip
from agent.signalling.sip.uri import NameAddr, parse_name_addr, parse_uri
from tests.call.site import OFFICER, SECOND, SERVICE, Party, Site, until


async def test_an_inbound_call_is_announced_connected_and_recorded(site: Site) -> None:
    await site.start()
    await site.talk()
    first, second = site.media.told("bridge")[0]
    order = [c[0] for c in site.media.commands]
    assert order.index("play") < order.index("bridge") < order.index("start_recording")
    assert site.media.told("start_recording")[0][1] == (first, second)
    begin = site.media.begins[0]
    assert begin.caller == "+358401234567"
    assert begin.service == SERVICE
    assert begin.notices[0].sent_ms == 400
    assert begin.notices[0].language == "fi"
    site.trunk.hang_up()
    row = await site.ended()
    assert (row.outcome, row.cause) == (Outcome.RECORDED, "caller-hangup")
    await site.officer.heard(sip.Ended)
    await until(lambda: site.uploads.notified)
    assert site.uploads.notified == [begin.recording_id]
    assert not site.media.open
    assert site.control.active_calls == 0
    assert not site.control._calls._by_name
    assert not site.control._calls.sent


async def test_an_outbound_call_is_announced_to_both(site: Site) -> None:
    await site.start()
    site.officer.call("0409876543")
    await site.until_logged("recording_begun")
    assert len(site.logged("customer_answered")) == 1
    plays = [told for told in site.media.told("play") if not told[2]]
    assert len({told[0] for told in plays}) == 2
    begin = site.media.begins[0]
    assert begin.caller == "+358409876543"
    assert begin.officers[0].number == "201"
    site.trunk.hang_up()
    row = await site.ended()
    assert (row.outcome, row.cause) == (Outcome.RECORDED, "customer-hangup")


async def test_early_media_reaches_the_officer_before_the_answer(site: Site) -> None:
    await site.start()
    site.trunk.early = True
    site.trunk.answers = False
    site.officer.call("0409876543")
    progress = await site.officer.heard(sip.Progressed)
    assert progress.response.status == 183
    assert progress.response.body
    assert site.media.verbs["bridge"] == 1
    # Further provisional responses change nothing: a 180 without a description
    # would have the officer's phone ring over what it hears.
    site.trunk.ring(180, b"")
    again = await site.officer.heard(sip.Progressed, 2)
    assert again.response.status == 183
    assert again.response.body == progress.response.body
    answer, _ = site.trunk.negotiation.answer(
        site.trunk.of(sip.InviteReceived)[0].request.body
    )
    site.trunk.pick_up(answer)
    accepted = await site.officer.heard(sip.Accepted)
    assert accepted.response.body == progress.response.body
    await site.until_logged("recording_begun")


async def test_a_call_that_is_over_needs_no_collector(site: Site) -> None:
    await site.start()
    site.trunk.call()
    await site.until_logged("recording_begun")
    (call,) = site.control._calls.values()
    over = weakref.ref(call)
    del call
    gc.disable()
    try:
        site.trunk.hang_up()
        await site.ended()
        await until(lambda: over() is None)
    finally:
        gc.enable()


async def test_early_media_that_is_no_description_is_passed_over(site: Site) -> None:
    await site.start()
    site.trunk.answers = False
    site.officer.call("0409876543")
    await site.trunk.heard(sip.InviteReceived)
    site.trunk.ring(183, b"nonsense")
    await site.until_logged("early_media_unusable")
    progress = await site.officer.heard(sip.Progressed)
    assert progress.response.status == 180


async def test_a_target_without_an_address_is_passed_over(site: Site) -> None:
    await site.start(inbound={"to": ("sip:201@[2001:db8::1]", f"sip:202@{SECOND}")})
    site.trunk.call()
    await site.until_logged("target_unreachable")
    await site.until_logged("recording_begun")
    site.second.hang_up()
    assert (await site.ended()).cause == "officer-hangup"


async def test_an_offer_with_nothing_we_speak_is_refused(site: Site) -> None:
    await site.start()
    body = (
        b"v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\n"
        b"t=0 0\r\nm=audio 30000 RTP/AVP 18\r\n"
    )
    site.trunk.call(body=body)
    refused = await site.trunk.heard(sip.Refused)
    assert refused.status == 488
    assert (await site.ended()).outcome == Outcome.REJECTED
    assert not site.media.open


async def test_a_call_without_ports_is_refused(site: Site) -> None:
    await site.start()
    site.media.no_ports = True
    site.trunk.call()
    refused = await site.trunk.heard(sip.Refused)
    assert refused.status == 503
    assert (await site.ended()).outcome == Outcome.REJECTED


async def test_a_notice_that_breaks_off_blocks_the_call(site: Site) -> None:
    await site.start()
    site.media.plays = False
    site.trunk.call()
    await until(lambda: site.media.told("play"))
    leg = site.media.told("play")[0][0]
    site.media.emit(site.media.play_ended(leg, 1, completed=False))
    row = await site.ended()
    assert row.outcome == Outcome.BLOCKED
    await site.trunk.heard(sip.Ended)


async def test_by_policy_a_call_goes_on_unannounced_and_unrecorded(site: Site) -> None:
    await site.start(inbound={"on_notice_failure": "unrecorded"})
    site.media.plays = False
    site.trunk.call()
    await until(lambda: site.media.told("play"))
    leg = site.media.told("play")[0][0]
    site.media.emit(site.media.play_ended(leg, 99))  # another sound, long forgotten
    site.media.emit(site.media.play_ended(leg, 1, completed=False))
    await site.until_logged("going_on_unrecorded")
    await until(lambda: site.media.verbs["bridge"])
    site.trunk.hang_up()
    assert (await site.ended()).outcome == Outcome.UNRECORDED
    assert not site.media.begins


async def test_a_missing_notice_of_several_counts_as_none(site: Site) -> None:
    await site.start(inbound={"notice": ("fi.wav", "sv.wav")})
    site.trunk.call()
    assert (await site.ended()).outcome == Outcome.BLOCKED
    assert not site.media.told("play")


async def test_silence_of_both_parties_ends_the_call(site: Site) -> None:
    await site.start()
    await site.talk()
    customer, officer = site.media.told("bridge")[0]
    site.media.emit(MediaQuiet(leg=customer, seconds=60))
    site.media.emit(MediaHeard(leg=customer))
    site.media.emit(MediaQuiet(leg=officer, seconds=60))
    await site.advance(0)
    assert not site.logged("ended")
    site.media.emit(MediaQuiet(leg=customer, seconds=60))
    row = await site.ended()
    assert row.cause == EndCause.MEDIA_TIMEOUT
    ended = await site.trunk.heard(sip.Ended)
    assert "cause=102" in ended.request.headers.get("Reason")


async def test_silence_on_hold_does_not_end_the_call(site: Site) -> None:
    await site.start()
    await site.talk()
    site.officer.change(Direction.SENDONLY)
    await site.officer.heard(sip.OfferAnswered)
    await site.until_logged("held")
    for leg in site.media.told("bridge")[0]:
        site.media.emit(MediaQuiet(leg=leg, seconds=60))
    await site.advance(0)
    assert not site.logged("ended")
    # Once nobody is on hold the silence counts again.
    site.officer.change(Direction.SENDRECV)
    await site.until_logged("resumed")
    site.media.emit(MediaQuiet(leg=site.media.told("bridge")[0][0], seconds=60))
    assert (await site.ended()).cause == EndCause.MEDIA_TIMEOUT


@pytest.mark.parametrize("privacy", ["id", "user", "header;critical"])
async def test_a_hidden_number_is_not_told_to_who_is_not_trusted(
    site: Site, privacy: str
) -> None:
    await site.start(trunk={"trusted": False})
    site.officer.call("0409876543", headers=[("Privacy", privacy)])
    invite = await site.trunk.heard(sip.InviteReceived)
    assert invite.request.from_.uri.host == "anonymous.invalid"
    assert invite.request.from_.display == "Anonymous"


@pytest.mark.parametrize(
    ("trusted", "privacy", "user"),
    [(True, "id", "201"), (False, "none", "201"), (False, "session", "201")],
)
async def test_a_number_that_may_be_told_is_told(
    site: Site, privacy: str, user: str, *, trusted: bool
) -> None:
    await site.start(trunk={"trusted": trusted})
    site.officer.call("0409876543", headers=[("Privacy", privacy)])
    invite = await site.trunk.heard(sip.InviteReceived)
    assert invite.request.from_.uri.user == user
    assert invite.request.from_.uri.host == "192.0.2.1"


@pytest.mark.parametrize(
    "from_",
    [
        parse_name_addr('"Anonymous" <sip:anonymous@anonymous.invalid>'),
        NameAddr(None, parse_uri("sip:192.0.2.20"), ()),
    ],
)
async def test_who_has_no_number_stays_anonymous(site: Site, from_: Any) -> None:
    await site.start()
    site.officer.call("0409876543", from_=from_)
    invite = await site.trunk.heard(sip.InviteReceived)
    assert str(invite.request.from_.uri) == "sip:anonymous@anonymous.invalid"


async def test_law_of_the_customer_is_offered_first(site: Site) -> None:
    await site.start()
    site.trunk.codecs = (PCMU,)
    await site.talk()
    invite = site.officer.of(sip.InviteReceived)[0]
    assert b"RTP/AVP 0 8" in invite.request.body


async def test_a_new_party_may_ring_again_after_the_end(site: Site) -> None:
    await site.start()
    for count in (1, 2):
        site.trunk.call()
        await site.until_logged("recording_begun", count)
        site.trunk.hang_up()
        await site.until_logged("ended", count)
    assert isinstance(site.trunk, Party)
    assert site.officer.address == OFFICER
    await until(lambda: len(site.uploads.notified) == 2)


async def test_media_that_changes_without_a_word_is_told(site: Site) -> None:
    await site.start()
    await site.talk()
    customer, officer = site.media.told("bridge")[0]
    site.media.emit(SourceChanged(leg=officer, ssrc_changes=1))  # as was agreed
    await site.advance(0)
    await site.advance(6)
    site.media.emit(SourceChanged(leg=officer, ssrc_changes=2))
    entry = await site.until_logged("media_changed_unsignalled")
    assert (entry["leg"], entry["changed"], entry["count"]) == ("b1", "source", 1)
    codec = SourceChanged(leg=customer, ssrc_changes=0, payload_types=(9,))
    site.media.emit(codec)
    entry = await site.until_logged("media_changed_unsignalled", 2)
    assert (entry["leg"], entry["changed"]) == ("a", "codec")
    marks = [(m.leg, m.reason) for m in site.media.marks if m.kind == "changed"]
    assert marks == [(1, "source"), (0, "codec")]
    for count in range(3, 30):
        site.media.emit(SourceChanged(leg=officer, ssrc_changes=count))
    await site.advance(0)
    assert len(site.logged("media_changed_unsignalled")) == 1 + MAX_ALARMS
    site.trunk.hang_up()
    await site.ended()
