"""Calls of real user agents whose telephones have codecs of their own."""

from typing import Any

from agent.model.media import G722, OPUS, PCMA, PCMU, Codec, Direction
from agent.signalling.sip import core as sip
from tests.call.site import Party, Site, until


def used(party: Party) -> str:
    current = party.negotiation.current
    return "" if current is None else current.codec.name


def told(site: Site) -> set[str]:
    """The codecs of the legs, as the media workers know them."""
    return {audio.codec.name for audio in site.media.audio.values()}


async def talk(
    site: Site,
    *,
    route: tuple[str, ...],
    trunk: tuple[Codec, ...],
    officer: tuple[Codec, ...],
    **inbound: Any,
) -> None:
    await site.start(inbound={"codecs": route, **inbound})
    site.trunk.codecs, site.officer.codecs = trunk, officer
    await site.talk()


async def test_wide_band_once_the_officer_has_answered_so(site: Site) -> None:
    site.trunk.holds_back = True
    await talk(site, route=("G722", "PCMA"), trunk=(PCMA, G722), officer=(G722, PCMA))
    assert used(site.trunk) == "PCMA"
    assert used(site.officer) == "G722"
    offer = await site.trunk.heard(sip.OfferReceived)
    assert b"RTP/AVP 9 " in offer.body
    site.trunk.accept_change(offer)
    await until(lambda: told(site) == {"G722"})
    assert used(site.trunk) == "G722"
    codecs = [mark.codecs for mark in site.media.marks if mark.kind == "codecs"]
    assert codecs[-1] is not None
    assert codecs[-1]["0"] == {"8": "PCMA", "9": "G722", "101": "telephone-event"}


async def test_a_caller_who_does_not_move_moves_the_officer(site: Site) -> None:
    site.trunk.refuses_offers = 488
    await talk(site, route=("G722", "PCMA"), trunk=(PCMU, G722), officer=(G722, PCMU))
    await site.officer.heard(sip.OfferReceived)
    await until(lambda: told(site) == {"PCMU"})
    assert used(site.officer) == "PCMU"
    assert site.trunk.of(sip.Ended) == []


async def test_two_who_cannot_meet_are_not_left_in_silence(site: Site) -> None:
    site.trunk.refuses_offers = site.officer.refuses_offers = 488
    await talk(site, route=("G722", "PCMA"), trunk=(PCMA, G722), officer=(G722,))
    await site.trunk.heard(sip.Ended)
    await site.officer.heard(sip.Ended)
    assert len(site.logged("codecs_apart")) == 1
    assert (await site.ended()).outcome == "recorded"


async def test_what_the_caller_cannot_do_the_officer_is_not_offered(
    site: Site,
) -> None:
    await talk(
        site,
        route=("opus", "G722", "PCMA"),
        trunk=(PCMA, G722),
        officer=(OPUS, G722, PCMA),
    )
    invite = site.officer.of(sip.InviteReceived)[0]
    assert b"RTP/AVP 9 8 0 101" in invite.request.body
    await until(lambda: told(site) == {"G722"})


async def test_a_route_of_one_wide_codec_uses_it_from_the_start(site: Site) -> None:
    await talk(site, route=("opus",), trunk=(PCMA, OPUS), officer=(PCMA, OPUS))
    assert used(site.trunk) == used(site.officer) == "opus"
    assert site.trunk.of(sip.OfferReceived) == []
    invite = site.officer.of(sip.InviteReceived)[0]
    assert b"a=rtpmap:107 opus/48000/2" in invite.request.body
    assert b"telephone-event/48000" in invite.request.body
    assert b"useinbandfec=1" in invite.request.body


async def test_a_caller_without_any_codec_of_the_route_is_refused(site: Site) -> None:
    await site.start(inbound={"codecs": ("opus",)})
    site.trunk.codecs = (PCMA,)
    site.trunk.call()
    refused = await site.trunk.heard(sip.Refused)
    assert refused.status == 488


async def test_a_change_in_the_middle_moves_the_other_one(site: Site) -> None:
    await talk(site, route=("G722", "PCMA"), trunk=(PCMA, G722), officer=(PCMA, G722))
    assert told(site) == {"PCMA"}
    body = site.officer.negotiation.offer(codecs=(G722,))
    site.officer.core.reoffer(site.officer.session, site.officer.agent.now, body=body)
    site.officer.agent.flush()
    await until(lambda: told(site) == {"G722"})
    assert used(site.trunk) == used(site.officer) == "G722"


async def test_a_hold_keeps_the_codec(site: Site) -> None:
    await talk(site, route=("G722", "PCMA"), trunk=(PCMA, G722), officer=(G722, PCMA))
    await until(lambda: told(site) == {"G722"})
    offers = len(site.trunk.of(sip.OfferReceived))
    site.officer.change(Direction.SENDONLY)
    await site.trunk.heard(sip.OfferReceived, offers + 1)
    await until(lambda: site.trunk.direction is Direction.RECVONLY)
    assert told(site) == {"G722"}


async def test_outbound_the_customer_decides_and_the_officer_follows(
    site: Site,
) -> None:
    await site.start(outbound={"codecs": ("G722", "PCMA")})
    site.officer.codecs, site.trunk.codecs = (PCMA, G722), (G722,)
    site.officer.call("0409876543")
    await site.officer.heard(sip.Accepted)
    await until(lambda: told(site) == {"G722"})
    assert used(site.officer) == "G722"
    assert site.officer.of(sip.OfferReceived) == []
