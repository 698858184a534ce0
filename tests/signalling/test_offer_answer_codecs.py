"""Wide-band codecs, comfort noise, what passes from leg to leg, and what it costs."""

import gc

from agent.model.media import OPUS, PCMA, PCMU, Codec
from agent.signalling.sdp import parse_sdp
from tests.signalling.offers import description, negotiation


def test_an_answer_of_several_codecs_lets_the_peer_change() -> None:
    leg = negotiation((PCMA, PCMU, OPUS))
    leg.offer()
    audio = leg.receive_answer(
        description(
            "audio 4000 RTP/AVP 111 0 8 13 96 101\r\n"
            "a=rtpmap:111 opus/48000/2\r\na=fmtp:111 stereo=0\r\n"
            "a=rtpmap:96 telephone-event/48000\r\n"
            "a=rtpmap:101 telephone-event/8000"
        )
    )
    assert audio.codec == Codec("opus", 111, 48_000, 2, "stereo=0")
    assert audio.others == (PCMU, PCMA)
    assert (audio.telephone_event, audio.comfort_noise) == (96, None)
    # What has a number keeps it, and what is in use comes first.
    again = parse_sdp(leg.offer()).media[0]
    assert again.formats == ("111", "8", "0", "96", "101")
    assert again.fmtp(111) == "useinbandfec=1"


def test_an_offer_of_opus_is_answered_with_it_alone() -> None:
    leg = negotiation((OPUS, PCMA))
    answer, audio = leg.answer(
        description(
            "audio 4000 RTP/AVP 8 109 13\r\na=rtpmap:109 opus/48000/2\r\na=ptime:40"
        )
    )
    section = parse_sdp(answer).media[0]
    assert section.formats == ("109",)
    assert section.attribute("rtpmap") == "109 opus/48000/2"
    assert section.fmtp(109) == "useinbandfec=1"
    assert (audio.codec.parameters, audio.ptime, audio.others) == ("", 40, ())


def test_comfort_noise_is_answered_where_it_was_offered() -> None:
    answer, audio = negotiation().answer(description("audio 4000 RTP/AVP 8 13"))
    assert audio.comfort_noise == 13
    assert parse_sdp(answer).media[0].formats == ("8", "13")


def test_what_one_peer_wishes_is_asked_of_the_other() -> None:
    first = negotiation((OPUS, PCMA))
    _, wished = first.answer(
        description(
            "audio 4000 RTP/AVP 109\r\na=rtpmap:109 opus/48000/2\r\n"
            "a=fmtp:109 usedtx=1;useinbandfec=0\r\na=ptime:60"
        )
    )
    target = negotiation((OPUS, PCMA))
    target.pass_on(wished)
    offer = parse_sdp(target.offer()).media[0]
    assert offer.fmtp(107) == "usedtx=1;useinbandfec=0"
    assert offer.ptime == 60
    assert "13" not in offer.formats


def test_comfort_noise_is_offered_to_whom_it_would_come_from() -> None:
    _, wished = negotiation().answer(description("audio 4000 RTP/AVP 8 13"))
    target = negotiation((PCMA, OPUS))
    target.pass_on(wished)
    assert parse_sdp(target.offer()).media[0].formats == (
        "8", "107", "13", "101", "110",
    )  # fmt: skip
    only_opus = negotiation((OPUS,))
    only_opus.pass_on(wished)
    assert parse_sdp(only_opus.offer()).media[0].formats == ("107", "110")


def test_codecs_of_one_offer_are_for_that_offer_alone() -> None:
    leg = negotiation((PCMA, OPUS))
    leg.answer(description("audio 4000 RTP/AVP 8"))
    assert parse_sdp(leg.offer(codecs=(OPUS,))).media[0].formats == ("107", "110")
    leg.cancel_offer()
    assert parse_sdp(leg.offer()).media[0].formats == ("8", "107", "101", "110")


def test_a_check_changes_nothing() -> None:
    leg = negotiation()
    offer = parse_sdp(description("audio 4000 RTP/AVP 0 8"))
    leg.check(offer)
    assert leg.current is None
    assert not leg.pending
    assert leg.answer(offer) == negotiation().answer(offer)


def test_a_plain_offer_costs_no_exception() -> None:
    """One that is raised holds every frame below it until the collector comes."""
    leg = negotiation()
    gc.collect()
    gc.disable()
    try:
        leg.answer(description("audio 4000 RTP/AVP 8"))
        assert gc.collect() == 0
    finally:
        gc.enable()
