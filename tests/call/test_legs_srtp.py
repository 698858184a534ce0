"""Keys of a leg over TLS, and of none that is not."""

import base64
import re
from typing import Any

import pytest

from agent.call.config import PeerConfig
from agent.media.events import KeysSpent, MediaRejected
from agent.model.media import Direction, SrtpPolicy
from agent.signalling.offer_answer import OfferAnswer
from agent.signalling.sip import core as sip
from agent.signalling.sip.flow import Flow
from tests.call.site import AGENT, OFFICER, SECOND, SERVICE, TRUNK, Site, until


def audio_of(site: Site, leg: Any) -> Any:
    """What the workers were told of a leg last."""
    return site.media.audio[leg.media_id]


def legs_of(site: Site) -> tuple[Any, Any, Any]:
    [call] = site.control._calls.values()
    legs = call._legs  # type: ignore[attr-defined]
    return legs, legs.first, legs.all()[-1]


@pytest.fixture
def secured(site: Site) -> Site:
    """A trunk that speaks TLS, and requires SRTP."""
    site.switch.secure = {TRUNK}
    site.trunk.srtp = SrtpPolicy.REQUIRE
    return site


async def test_one_leg_is_encrypted_and_the_other_is_not(secured: Site) -> None:
    await secured.start()
    await secured.talk()
    _, first, officer = legs_of(secured)
    keys = audio_of(secured, first).srtp
    theirs = secured.trunk.negotiation.current.srtp
    assert (keys.send, keys.receive) == (theirs.receive, theirs.send)
    assert audio_of(secured, officer).srtp is None
    for sent in secured.switch.sent("INVITE", to=OFFICER):
        assert "crypto" not in sent


async def test_no_key_is_in_any_log(secured: Site) -> None:
    await secured.start()
    await secured.talk()
    _, first, _ = legs_of(secured)
    keys = audio_of(secured, first).srtp
    shown = repr((secured.log, first, first.negotiation, secured.media.commands))
    for key in (keys.send, keys.receive):
        for form in (base64.b64encode(key).decode(), key.hex(), repr(key)[2:-1]):
            assert form not in shown


async def test_keys_in_the_clear_are_refused_with_a_reason(site: Site) -> None:
    await site.start()
    key = base64.b64encode(bytes(30)).decode()
    body = (
        "v=0\r\no=- 1 1 IN IP4 192.0.2.10\r\ns=-\r\nc=IN IP4 192.0.2.10\r\nt=0 0\r\n"
        "m=audio 4000 RTP/SAVP 8\r\n"
        f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}\r\n"
    ).encode()
    site.trunk.call(body=body)
    refused = await site.trunk.heard(sip.Refused)
    assert refused.status == 488
    warning = str(refused.response.headers.get("Warning"))
    assert re.fullmatch(r'300 host "SRTP keys came over clear signalling.*"', warning)
    assert "clear signalling" in site.logged("offer_unusable")[0]["reason"]
    row = await site.ended()
    assert row.outcome == "rejected"
    # What must get through does, whatever its keys went through.
    site.trunk.call("112", body=body)
    await site.trunk.heard(sip.Accepted)
    assert site.media.audio


@pytest.mark.parametrize(
    ("policy", "accepted"), [("require", False), ("offer", True), ("never", True)]
)
async def test_the_peers_policy_decides_about_plain_rtp(
    site: Site, policy: str, accepted: bool
) -> None:
    await site.start(trunk={"srtp": policy})
    site.trunk.srtp = SrtpPolicy.NEVER
    site.trunk.call()
    if accepted:
        await site.trunk.heard(sip.Accepted)
        return
    refused = await site.trunk.heard(sip.Refused)
    assert refused.status == 488
    assert "SRTP is required" in str(refused.response.headers.get("Warning"))


async def test_a_bad_key_in_a_call_is_refused_with_a_reason(secured: Site) -> None:
    await secured.start()
    await secured.talk()
    _, first, _ = legs_of(secured)
    before = audio_of(secured, first)
    body = secured.trunk.negotiation.offer().replace(b"inline:", b"inline:AAAA")
    secured.trunk.core.reoffer(
        secured.trunk.session, secured.trunk.agent.now, body=body
    )
    secured.trunk.agent.flush()
    refused = await secured.trunk.heard(sip.OfferRefused)
    assert refused.status == 488
    assert audio_of(secured, first) is before


async def test_a_hold_keeps_the_keys(secured: Site) -> None:
    await secured.start()
    await secured.talk()
    _, first, _ = legs_of(secured)
    before = audio_of(secured, first).srtp
    secured.officer.change(Direction.SENDONLY)
    await secured.trunk.heard(sip.OfferReceived)
    await until(lambda: audio_of(secured, first).direction is Direction.SENDONLY)
    assert audio_of(secured, first).srtp == before


async def test_media_under_another_key_is_alarming(secured: Site) -> None:
    await secured.start()
    await secured.talk()
    _, first, _ = legs_of(secured)
    secured.media.emit(MediaRejected(leg=first.media_id, packets=50))
    await secured.until_logged("media_not_authentic")
    assert secured.logged("media_not_authentic")[0]["packets"] == 50


# -- the way of a leg that we ring ---------------------------------------------------

OVER_TLS = Flow("tls", AGENT, OFFICER, "officer.example")
OVER_UDP = Flow("udp", AGENT, OFFICER)


@pytest.mark.parametrize(
    ("flows", "policy", "tried", "keys"),
    [
        ((OVER_TLS, OVER_UDP), "offer", [OVER_TLS], True),
        ((OVER_TLS, OVER_UDP, OVER_TLS), "require", [OVER_TLS, OVER_TLS], True),
        ((OVER_UDP, OVER_TLS), "offer", [OVER_UDP, OVER_TLS], False),
        ((OVER_UDP, OVER_TLS), "require", [OVER_TLS], True),
        ((OVER_UDP,), "offer", [OVER_UDP], False),
    ],
)
async def test_an_invite_with_keys_is_tried_over_tls_alone(
    site: Site,
    monkeypatch: pytest.MonkeyPatch,
    *,
    flows: tuple[Flow, ...],
    policy: str,
    tried: list[Flow],
    keys: bool,
) -> None:
    trunk = PeerConfig(name="trunk", match=(str(TRUNK),), uri=f"sip:{TRUNK}")
    officers = PeerConfig(
        name="officers",
        match=(OFFICER.host,),
        srtp=policy,  # type: ignore[arg-type]
    )
    await site.start(peers=(trunk, officers))
    invited: list[tuple[list[Flow], bytes]] = []
    invite = site.core.invite

    def note(*, flow: Flow, alternatives: Any = (), body: bytes, **named: Any) -> Any:
        invited.append(([flow, *alternatives], body))
        return invite(flow=flow, alternatives=alternatives, body=body, **named)

    site.agent.ways = flows
    monkeypatch.setattr(site.core, "invite", note)
    site.trunk.call()
    await until(lambda: invited)
    ways, body = invited[0]
    assert ways == tried
    assert (b"a=crypto:" in body) is keys


async def test_srtp_that_is_required_is_not_asked_for_in_the_clear(site: Site) -> None:
    trunk = PeerConfig(name="trunk", match=(str(TRUNK),), uri=f"sip:{TRUNK}")
    officers = PeerConfig(name="officers", match=(OFFICER.host,), srtp="require")
    await site.start(peers=(trunk, officers))
    site.trunk.call()
    await site.until_logged("target_unreachable")
    assert "TLS" in site.logged("target_unreachable")[0]["reason"]
    assert not site.switch.sent("INVITE", to=OFFICER)


# -- after a worker's death ---------------------------------------------------------


async def test_a_spent_key_is_replaced_at_once(secured: Site) -> None:
    await secured.start()
    await secured.talk()
    _, first, officer = legs_of(secured)
    before = audio_of(secured, first).srtp
    secured.media.emit(KeysSpent(leg=first.media_id))
    secured.media.emit(KeysSpent(leg=officer.media_id))
    secured.media.emit(KeysSpent(leg="nobody's"))
    await secured.trunk.heard(sip.OfferReceived)
    await until(lambda: audio_of(secured, first).srtp != before)
    after = audio_of(secured, first).srtp
    assert after.send != before.send
    assert after.send == secured.trunk.negotiation.current.srtp.receive
    assert after.receive == before.receive
    assert not secured.officer.of(sip.OfferReceived)
    assert not secured.logged("rekey_refused")


async def test_a_peer_that_refuses_the_new_key_is_asked_once(secured: Site) -> None:
    await secured.start()
    await secured.talk()
    legs, first, _ = legs_of(secured)
    secured.trunk.refuses_offers = 488
    secured.media.emit(KeysSpent(leg=first.media_id))
    await secured.until_logged("rekey_refused")
    assert len(secured.trunk.of(sip.OfferReceived)) == 1
    # Whatever is agreed from then on, the spent key is not told to any worker.
    secured.trunk.refuses_offers = 0
    legs._agreed(first, first.negotiation.current)
    assert audio_of(secured, first).srtp.send == b""
    # A later exchange brings the new key all the same.
    secured.trunk.change(Direction.SENDRECV)
    await until(lambda: audio_of(secured, first).srtp.send)


async def test_an_unusable_answer_to_the_new_key_is_told(secured: Site) -> None:
    await secured.start()
    await secured.talk()
    _, first, _ = legs_of(secured)
    secured.trunk.holds_back = True
    secured.media.emit(KeysSpent(leg=first.media_id))
    offer = await secured.trunk.heard(sip.OfferReceived)
    secured.trunk.core.accept_offer(
        offer.session, secured.trunk.agent.now, body=b"v=0\r\nnonsense\r\n"
    )
    secured.trunk.agent.flush()
    await secured.until_logged("rekey_refused")


async def test_a_new_key_waits_for_the_offer_under_way(secured: Site) -> None:
    await secured.start()
    await secured.talk()
    legs, first, _ = legs_of(secured)
    secured.trunk.holds_back = True
    first.wanted = Direction.SENDONLY
    legs._offer_wanted(first)
    secured.agent.flush()
    hold = await secured.trunk.heard(sip.OfferReceived)
    secured.media.emit(KeysSpent(leg=first.media_id))
    await until(lambda: first.rekey)
    secured.trunk.holds_back = False
    before = audio_of(secured, first).srtp
    secured.trunk.accept_change(hold)
    await secured.trunk.heard(sip.OfferReceived, 2)
    await until(lambda: audio_of(secured, first).srtp.send not in {b"", before.send})
    assert audio_of(secured, first).direction is Direction.SENDONLY


async def test_a_leg_that_cannot_be_asked_yet_is_asked_later(secured: Site) -> None:
    await secured.start()
    await secured.talk()
    legs, first, _ = legs_of(secured)
    session, first.session = (
        first.session,
        secured.core.invite(
            uri=secured.officer.uri,
            flow=first.flow,
            from_=secured.trunk.of(sip.Accepted)[0].response.to,
            to=secured.trunk.of(sip.Accepted)[0].response.to,
            contact=secured.officer.uri,
            body=b"x",
            now=secured.agent.now,
        ),
    )
    legs.renew_key(first.media_id)
    assert secured.logged("rekey_not_offered")
    assert first.rekey
    first.session = session
    assert legs.acknowledged(first, b"")
    secured.agent.flush()
    await secured.trunk.heard(sip.OfferReceived)
    await until(lambda: not first.negotiation.keys_spent)
    # A target's 2xx is such an occasion too.
    first.negotiation.spend_key()
    first.rekey = True
    legs.answered(first, b"")
    secured.agent.flush()
    await until(lambda: not first.negotiation.keys_spent)
    assert len(secured.trunk.of(sip.OfferReceived)) == 2


async def test_a_leg_that_is_gone_needs_no_key(secured: Site) -> None:
    await secured.start()
    await secured.talk()
    legs, first, _ = legs_of(secured)
    first.gone = True
    legs.renew_key(first.media_id)
    assert not first.rekey
    assert SERVICE in secured.switch.sent("INVITE")[0]
    assert isinstance(first.negotiation, OfferAnswer)


async def test_a_call_that_must_get_through_is_tried_by_every_way(
    secured: Site,
) -> None:
    await secured.start()
    secured.agent.ways = [Flow("tls", AGENT, TRUNK), Flow("udp", AGENT, SECOND)]
    secured.trunk.refuses = 503
    secured.second.srtp = SrtpPolicy.NEVER
    secured.officer.call("0409876543")
    await secured.officer.heard(sip.Refused)
    assert not secured.switch.sent("INVITE", to=SECOND)
    secured.officer.call("112")
    await secured.second.heard(sip.InviteReceived)
