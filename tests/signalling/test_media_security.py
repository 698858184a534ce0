import base64
from itertools import count

import pytest

from agent.model.media import SrtpKeys, SrtpPolicy, SrtpSuite
from agent.signalling.crypto_attribute import CryptoAttribute
from agent.signalling.media_security import (
    PLAIN,
    SUITES,
    MediaSecurity,
    Protection,
    offers_srtp,
)
from agent.signalling.not_acceptable import NotAcceptableError
from agent.signalling.sdp import Media

SUITE = SrtpSuite.AES_CM_128_HMAC_SHA1_80
THEIRS = bytes(range(30))
OTHER = bytes(range(1, 31))


def security(
    policy: SrtpPolicy = SrtpPolicy.OFFER, *, secure: bool = True
) -> MediaSecurity:
    numbers = count(200)
    return MediaSecurity(
        secure=secure,
        policy=policy,
        random_bytes=lambda size: bytes([next(numbers)]) * size,
    )


def line(
    key: bytes = THEIRS, tag: str = "1", suite: SrtpSuite = SUITE, more: str = ""
) -> str:
    return f"{tag} {suite} inline:{base64.b64encode(key).decode()}{more}"


def audio(*crypto: str, profile: str = "RTP/SAVP", fingerprint: bool = False) -> Media:
    attributes = [("crypto", value) for value in crypto]
    if fingerprint:
        attributes.append(("fingerprint", "sha-256 00:11"))
    return Media("audio", 4000, profile, ("8",), attributes=tuple(attributes))


def exchange(side: MediaSecurity, media: Media) -> Protection:
    """The peer offers, and is answered."""
    side.check(media)
    protection = side.answer(media, moved=False)
    side.agreed(protection)
    return protection


# -- answering -------------------------------------------------------------------


@pytest.mark.parametrize("policy", [SrtpPolicy.OFFER, SrtpPolicy.REQUIRE])
@pytest.mark.parametrize("profile", ["RTP/SAVP", "RTP/SAVPF", "rtp/savp", "RTP/AVP"])
def test_one_suite_is_answered_under_its_tag(policy: SrtpPolicy, profile: str) -> None:
    media = audio(
        line(bytes(30), "1", more="|2^20|1:4"),
        line(bytes(44), "7", SrtpSuite.AEAD_AES_256_GCM),
        line(),
        profile=profile,
    )
    answer = exchange(security(policy), media)
    assert answer.profile == profile.upper()
    (ours,) = answer.ours
    assert (ours.tag, ours.suite) == ("7", SrtpSuite.AEAD_AES_256_GCM)
    assert answer.keys == SrtpKeys(
        suite=SrtpSuite.AEAD_AES_256_GCM, send=ours.key, receive=bytes(44)
    )
    assert answer.attributes == (("crypto", ours.to_value()),)


@pytest.mark.parametrize(
    ("policy", "secure", "media", "reason"),
    [
        ("offer", False, audio(line()), "clear signalling"),
        ("require", False, audio(line()), "clear signalling"),
        ("offer", False, audio(line(), profile="RTP/AVP"), "clear signalling"),
        ("never", True, audio(line()), "not used"),
        ("never", False, audio(line()), "not used"),
        ("offer", True, audio(), "no key"),
        ("offer", True, audio(line(more=" KDR=1")), "session parameter"),
        ("offer", True, audio(line(more="|1:4")), "MKI"),
        ("require", True, audio(profile="RTP/AVP"), "required"),
        ("require", False, audio(profile="RTP/AVP"), "required"),
        ("require", True, audio(line(more="|1:4"), profile="RTP/AVP"), "MKI"),
        ("offer", True, audio(profile="RTP/AVPF"), "profile"),
        ("offer", True, audio(profile="UDP/TLS/RTP/SAVPF", fingerprint=True), "DTLS"),
        ("offer", True, audio(profile="UDP/TLS/RTP/SAVP", fingerprint=True), "DTLS"),
        ("offer", True, audio(profile="RTP/SAVPF", fingerprint=True), "DTLS"),
    ],
)
def test_what_cannot_be_taken_is_refused(
    policy: str, secure: bool, media: Media, reason: str
) -> None:
    side = security(SrtpPolicy(policy), secure=secure)
    with pytest.raises(NotAcceptableError, match=reason) as caught:
        side.check(media)
    assert caught.value.warn_code == 300
    assert caught.value.status == 488
    with pytest.raises(NotAcceptableError, match=reason):
        side.answer(media, moved=False)


@pytest.mark.parametrize(
    ("policy", "secure", "media"),
    [
        ("offer", True, audio(profile="RTP/AVP")),
        ("offer", False, audio(profile="RTP/AVP")),
        ("never", True, audio(line(), profile="RTP/AVP")),
        ("never", False, audio(line(), profile="RTP/AVP")),
        ("offer", True, audio(line(more="|1:4"), profile="RTP/AVP")),
        ("offer", True, audio(profile="RTP/AVP", fingerprint=True)),
    ],
)
def test_plain_rtp_stays_plain(policy: str, secure: bool, media: Media) -> None:
    assert exchange(security(SrtpPolicy(policy), secure=secure), media) == PLAIN


def test_an_old_key_goes_on_while_the_peer_stands_where_it_stood() -> None:
    side = security()
    first = exchange(side, audio(line()))
    assert exchange(side, audio(line())) == first
    again = exchange(side, audio(line(OTHER, "2")))
    assert again.keys is not None
    assert first.keys is not None
    assert again.keys.send == first.keys.send
    assert again.keys.receive == OTHER
    assert again.ours[0].tag == "2"


def test_a_peer_that_moved_gets_a_new_key() -> None:
    side = security()
    first = exchange(side, audio(line()))
    moved = side.answer(audio(line()), moved=True)
    assert moved.ours[0].key != first.ours[0].key


def test_the_suite_in_use_is_kept_if_it_is_offered_again() -> None:
    side = security()
    first = exchange(side, audio(line()))
    gcm = line(bytes(28), "1", SrtpSuite.AEAD_AES_128_GCM)
    again = exchange(side, audio(gcm, line(OTHER, "2")))
    assert again.ours[0].key == first.ours[0].key
    other = exchange(side, audio(gcm))
    assert other.ours[0].suite is SrtpSuite.AEAD_AES_128_GCM
    assert len(other.ours[0].key) == 28


def test_encryption_may_come_and_go_where_the_policy_lets_it() -> None:
    side = security()
    assert exchange(side, audio(profile="RTP/AVP")) == PLAIN
    assert exchange(side, audio(line())).keys is not None
    assert exchange(side, audio(profile="RTP/AVP")) == PLAIN


def test_our_own_key_is_not_taken_from_the_peer() -> None:
    side = security()
    ours = exchange(side, audio(line())).ours[0].key
    with pytest.raises(NotAcceptableError, match="repeats"):
        side.answer(audio(line(ours)), moved=False)


# -- offering ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "profile"), [("require", "RTP/SAVP"), ("offer", "RTP/AVP")]
)
def test_every_suite_is_offered_with_a_key_of_its_own(
    policy: str, profile: str
) -> None:
    offer = security(SrtpPolicy(policy)).offer()
    assert offer.profile == profile
    assert [one.suite for one in offer.ours] == list(SUITES)
    assert [one.tag for one in offer.ours] == ["1", "2", "3", "4"]
    assert len({one.key for one in offer.ours}) == len(SUITES)
    assert all(len(one.key) == one.suite.key_size for one in offer.ours)


@pytest.mark.parametrize(
    ("policy", "secure"), [("never", True), ("never", False), ("offer", False)]
)
def test_no_key_is_offered_in_the_clear_or_against_the_policy(
    policy: str, secure: bool
) -> None:
    assert security(SrtpPolicy(policy), secure=secure).offer() == PLAIN


def test_required_srtp_is_not_offered_in_the_clear() -> None:
    with pytest.raises(NotAcceptableError, match="TLS"):
        security(SrtpPolicy.REQUIRE, secure=False).offer()


@pytest.mark.parametrize("profile", ["RTP/SAVP", "RTP/SAVPF", "RTP/AVP"])
def test_an_opportunistic_offer_may_be_answered_with_any_profile(profile: str) -> None:
    side = security()
    offer = side.offer()
    gcm = offer.ours[1]
    answer = audio(line(bytes(44), gcm.tag, gcm.suite), profile=profile)
    agreed = side.answered(answer, offer)
    assert agreed.profile == profile
    assert agreed.ours == (gcm,)
    assert agreed.keys == SrtpKeys(suite=gcm.suite, send=gcm.key, receive=bytes(44))


def test_an_opportunistic_offer_may_be_answered_in_plain() -> None:
    side = security()
    plain = side.answered(audio(profile="RTP/AVP"), side.offer())
    assert plain == PLAIN
    side.agreed(plain)
    assert side.offer() == PLAIN


@pytest.mark.parametrize(
    ("policy", "answer", "reason"),
    [
        ("require", audio(), "no SRTP key"),
        ("require", audio(profile="RTP/AVP"), "profile"),
        ("require", audio(line(), profile="RTP/AVP"), "profile"),
        ("offer", audio(profile="RTP/SAVP"), "profile"),
        ("require", audio(line(), line()), "more than one"),
        ("require", audio(line(tag="2")), "not offered"),
        ("require", audio(line(tag="9")), "not offered"),
        ("require", audio(line(more="|1:4")), "MKI"),
        ("require", audio(line(b"\xc8" * 30)), "repeats"),
        ("never", audio(line()), "profile"),
        ("require", audio(line(), profile="UDP/TLS/RTP/SAVP"), "profile"),
    ],
)
def test_an_answer_must_take_one_of_what_was_offered(
    policy: str, answer: Media, reason: str
) -> None:
    side = security(SrtpPolicy(policy))
    with pytest.raises(NotAcceptableError, match=reason):
        side.answered(answer, side.offer())


def test_a_plain_offer_has_no_ear_for_keys() -> None:
    side = security(SrtpPolicy.NEVER)
    answer = audio(line(), profile="RTP/AVP")
    assert side.answered(answer, side.offer()) == PLAIN


def test_a_later_offer_repeats_what_is_in_use() -> None:
    side = security()
    first = exchange(side, audio(line(), profile="RTP/SAVPF"))
    offer = side.offer()
    assert (offer.profile, offer.ours) == ("RTP/SAVPF", first.ours)
    agreed = side.answered(audio(line(OTHER), profile="RTP/SAVPF"), offer)
    assert agreed.keys is not None
    assert agreed.keys.send == first.ours[0].key


# -- a key that must not be used on --------------------------------------------------


def test_a_spent_key_is_replaced_by_our_next_offer() -> None:
    side = security()
    first = exchange(side, audio(line()))
    side.spend_key()
    assert side.keys_spent
    offer = side.offer()
    (ours,) = offer.ours
    assert (ours.tag, ours.suite) == ("1", SUITE)
    assert ours.key != first.ours[0].key
    side.agreed(side.answered(audio(line()), offer))
    assert not side.keys_spent
    assert side.offer().ours == (ours,)


def test_a_spent_key_is_replaced_by_our_next_answer() -> None:
    side = security()
    first = exchange(side, audio(line()))
    side.spend_key()
    again = exchange(side, audio(line()))
    assert again.ours[0].key != first.ours[0].key
    assert not side.keys_spent


def test_a_key_that_goes_on_is_still_spent() -> None:
    side = security()
    first = exchange(side, audio(line()))
    offer = side.offer()
    side.spend_key()
    side.agreed(side.answered(audio(line()), offer))
    assert side.keys_spent
    assert side.offer().ours != first.ours


def test_without_srtp_there_is_no_key_to_spend() -> None:
    side = security()
    side.spend_key()
    exchange(side, audio(profile="RTP/AVP"))
    side.spend_key()
    assert not side.keys_spent


def test_a_section_with_keys_is_known() -> None:
    assert offers_srtp(audio(line()))
    assert not offers_srtp(audio())


def test_only_so_many_lines_are_looked_at() -> None:
    useless = [line(more=" KDR=1")] * 16
    with pytest.raises(NotAcceptableError):
        security().check(audio(*useless, line()))
    security().check(audio(*useless[:15], line()))


def test_keys_are_in_no_representation() -> None:
    protection = exchange(security(), audio(line()))
    for shown in (repr(protection), repr(audio(line())), str(protection.keys)):
        assert line()[-20:] not in shown
        assert "\\x0" not in shown
    assert isinstance(protection.ours[0], CryptoAttribute)
