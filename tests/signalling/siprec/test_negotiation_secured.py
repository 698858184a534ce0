"""Recording sessions with keys in their descriptions."""

import pytest

from agent.model.media import (
    SrtpPolicy,
    SrtpSuite,
)
from agent.signalling.crypto_attribute import CryptoAttribute
from agent.signalling.not_acceptable import NotAcceptableError
from tests.signalling.offers import description
from tests.signalling.siprec.sessions import TWO, answered, crypto, negotiation, secured

# -- encryption -------------------------------------------------------------------


def test_each_stream_has_keys_of_its_own() -> None:
    media, streams = answered(negotiation(secure=True), secured("1", "2"))
    assert [one.protocol for one in media] == ["RTP/SAVP"] * 2
    keys = [one.audio.srtp for one in streams]
    assert keys[0] is not None
    assert keys[1] is not None
    assert keys[0].send != keys[1].send
    assert (keys[0].receive, keys[1].receive) == (b"\x01" * 30, b"\x02" * 30)


def test_keys_are_kept_from_offer_to_offer_and_new_in_a_new_stream() -> None:
    session = negotiation(secure=True)
    _, (first, second) = answered(session, secured("1", "2"))
    _, (again, _) = answered(session, secured("1", "2"))
    assert again.audio.srtp == first.audio.srtp
    later = secured("1", "2").replace(b"m=audio 4002", b"m=audio 0")
    answered(session, later)
    _, (_, other) = answered(session, secured("1", "2"))
    assert other.audio.srtp is not None
    assert second.audio.srtp is not None
    assert other.audio.srtp.send != second.audio.srtp.send


def test_keys_over_clear_signalling_are_refused() -> None:
    with pytest.raises(NotAcceptableError):
        negotiation().wanted(secured("1", "2"))


def test_a_key_that_is_ours_costs_its_stream_alone() -> None:
    session = negotiation(secure=True)
    _, (first, _) = answered(session, secured("1", "2"))
    assert first.audio.srtp is not None
    suite = SrtpSuite.AES_CM_128_HMAC_SHA1_80
    echo = CryptoAttribute("1", suite, first.audio.srtp.send).to_value()
    offer = secured("1", "2").replace(crypto(1).encode(), f"a=crypto:{echo}".encode())
    media, streams = answered(session, offer)
    assert [one.port for one in media] == [0, 20002]
    assert [one.label for one in streams] == ["2"]


def test_plain_streams_beside_encrypted_ones() -> None:
    offer = description(
        f"audio 4000 RTP/SAVP 8\r\na=label:1\r\n{crypto(1)}",
        "audio 4002 RTP/AVP 8\r\na=label:2",
        "audio 4004 RTP/AVP 8",
    )
    media, streams = answered(negotiation(secure=True), offer)
    assert [one.protocol for one in media] == ["RTP/SAVP", "RTP/AVP", "RTP/AVP"]
    assert [one.audio.srtp is None for one in streams] == [False, True, True]
    session = negotiation(secure=True, srtp=SrtpPolicy.REQUIRE)
    assert session.wanted(offer) == (0,)
    with pytest.raises(NotAcceptableError):
        session.wanted(description(*TWO))


def test_one_stream_offered_in_both_ways_is_taken_encrypted() -> None:
    offer = description(
        TWO[0],
        f"audio 4004 RTP/SAVP 8\r\na=label:1\r\na=sendonly\r\n{crypto(1)}",
        TWO[1],
    )
    session = negotiation(secure=True)
    media, _ = answered(session, offer)
    assert [bool(one.port) for one in media] == [False, True, True]
    assert session.flaws == ()
    # Where its keys cannot be taken the plain form is.
    media, _ = answered(negotiation(), offer)
    assert [bool(one.port) for one in media] == [True, False, True]
