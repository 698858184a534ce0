"""Two of our own negotiations, one leg between them, keys in their descriptions."""

from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from agent.model.media import PCMA, Address, NegotiatedAudio, SrtpPolicy
from agent.signalling.media_security import offers_srtp
from agent.signalling.offer_answer import NotAcceptableError, OfferAnswer
from agent.signalling.sdp import parse_sdp
from tests.corpora import corpus_files

REQUIRE, OFFER, NEVER = SrtpPolicy.REQUIRE, SrtpPolicy.OFFER, SrtpPolicy.NEVER


def side(
    policy: SrtpPolicy = OFFER, *, secure: bool = True, port: int = 20000
) -> OfferAnswer:
    return OfferAnswer(
        address=Address("192.0.2.1", port),
        session_id=port,
        codecs=(PCMA,),
        secure=secure,
        srtp=policy,
    )


def exchange(
    offerer: OfferAnswer, answerer: OfferAnswer
) -> tuple[NegotiatedAudio, NegotiatedAudio]:
    """One whole exchange; both sides must mean the same by it."""
    answer, heard = answerer.answer(offerer.offer())
    told = offerer.receive_answer(answer)
    assert told.rtcp_mux is heard.rtcp_mux
    assert (told.srtp is None) is (heard.srtp is None)
    if told.srtp is not None and heard.srtp is not None:
        assert told.srtp.suite is heard.srtp.suite
        assert told.srtp.send == heard.srtp.receive
        assert told.srtp.receive == heard.srtp.send
    return told, heard


@pytest.mark.parametrize(
    ("offering", "answering", "encrypted"),
    [
        (REQUIRE, REQUIRE, True),
        (REQUIRE, OFFER, True),
        (REQUIRE, NEVER, None),
        (OFFER, REQUIRE, True),
        (OFFER, OFFER, True),
        (OFFER, NEVER, False),
        (NEVER, REQUIRE, None),
        (NEVER, OFFER, False),
        (NEVER, NEVER, False),
    ],
)
def test_every_pair_of_policies_agrees_or_refuses(
    offering: SrtpPolicy, answering: SrtpPolicy, encrypted: bool | None
) -> None:
    offerer, answerer = side(offering), side(answering, port=30000)
    if encrypted is None:
        with pytest.raises(NotAcceptableError) as caught:
            exchange(offerer, answerer)
        assert (caught.value.status, caught.value.warn_code) == (488, 300)
        assert answerer.current is None
        return
    told, _ = exchange(offerer, answerer)
    assert (told.srtp is not None) is encrypted


def test_on_clear_signalling_no_key_is_written() -> None:
    for policy in (OFFER, NEVER):
        assert b"crypto" not in side(policy, secure=False).offer()
    with pytest.raises(NotAcceptableError):
        side(REQUIRE, secure=False).offer()


def test_a_hold_keeps_the_keys_and_a_spent_key_goes() -> None:
    one, two = side(), side(port=30000)
    first, _ = exchange(one, two)
    again, _ = exchange(two, one)
    assert again.srtp is not None
    assert first.srtp is not None
    assert again.srtp.send == first.srtp.receive
    one.spend_key()
    assert one.keys_spent
    renewed, _ = exchange(one, two)
    assert not one.keys_spent
    assert renewed.srtp is not None
    assert renewed.srtp.send != first.srtp.send
    assert renewed.srtp.receive == first.srtp.receive


def test_a_refused_offer_leaves_the_old_keys() -> None:
    one, two = side(), side(port=30000)
    first, _ = exchange(one, two)
    one.spend_key()
    one.offer()
    one.cancel_offer()
    assert one.current == first
    assert one.keys_spent


def test_a_stream_offered_twice_is_taken_encrypted() -> None:
    leg = side()
    plain, secured = side(NEVER, port=30000), side(REQUIRE, port=30002)
    head, _, first = plain.offer().partition(b"m=")
    second = secured.offer().partition(b"m=")[2]
    body = head + b"m=" + first + b"m=" + second
    answer, audio = leg.answer(body)
    assert audio.srtp is not None
    assert audio.remote.port == 30002
    refused, taken = parse_sdp(answer).media
    assert (refused.port, taken.protocol) == (0, "RTP/SAVP")
    # On clear signalling, or by policy, the other one is taken.
    for other in (side(secure=False), side(NEVER)):
        answer, audio = other.answer(body)
        assert audio.srtp is None
        assert [media.port for media in parse_sdp(answer).media] == [20000, 0]


def test_rtcp_shares_the_port_only_if_both_say_so() -> None:
    one, two = side(), side(port=30000)
    without = two.offer().replace(b"a=rtcp-mux\r\n", b"")
    answer, audio = one.answer(without)
    assert not audio.rtcp_mux
    assert b"rtcp-mux" not in answer
    assert audio.remote_rtcp.port == 30001
    two.receive_answer(answer)
    # What is not in use is not offered again, and an answer cannot bring it.
    later = one.offer()
    assert b"rtcp-mux" not in later
    told = one.receive_answer(two.answer(later)[0] + b"a=rtcp-mux\r\n")
    assert not told.rtcp_mux


@pytest.mark.parametrize(
    "path", corpus_files("sdp/sdp-transform", "*.sdp"), ids=lambda path: path.stem
)
def test_offers_of_the_field_are_answered_or_refused(path: Path) -> None:
    offer = parse_sdp(path.read_bytes())
    for policy in SrtpPolicy:
        for secure in (True, False):
            leg = side(policy, secure=secure)
            try:
                answer, audio = leg.answer(path.read_bytes())
            except NotAcceptableError:
                continue
            taken = [media for media in parse_sdp(answer).media if media.port]
            assert len(taken) == 1
            assert offers_srtp(taken[0]) is (audio.srtp is not None)
            assert secure or audio.srtp is None
            assert len(parse_sdp(answer).media) == len(offer.media)


def test_the_dialer_of_the_field_is_answered() -> None:
    for path in corpus_files("siprec/msdocs", "*.sdp"):
        answer, audio = side(REQUIRE).answer(path.read_bytes())
        assert audio.srtp is not None
        assert parse_sdp(answer).media[0].protocol == "RTP/SAVP"


steps = st.tuples(
    st.booleans(), st.sampled_from(["exchange", "refuse", "spend", "garble"])
)


@settings(max_examples=60)
@given(st.sampled_from([REQUIRE, OFFER]), st.lists(steps, max_size=8))
def test_after_any_walk_both_sides_have_the_same_keys(
    policy: SrtpPolicy, walk: list[tuple[bool, str]]
) -> None:
    one, two = side(policy), side(port=30000)
    exchange(one, two)
    spent: set[bytes] = set()
    for swap, kind in walk:
        offerer, answerer = (two, one) if swap else (one, two)
        before = offerer.current, answerer.current
        if kind == "spend":
            assert before[0] is not None
            assert before[0].srtp is not None
            spent.add(before[0].srtp.send)
            offerer.spend_key()
        elif kind == "refuse":
            offerer.offer()
            offerer.cancel_offer()
        elif kind == "garble":
            offer = offerer.offer()
            with pytest.raises(NotAcceptableError):
                answerer.answer(offer.replace(b"RTP/", b"UDP/TLS/RTP/"))
            offerer.cancel_offer()
        else:
            told, _ = exchange(offerer, answerer)
            assert told.srtp is not None
            assert spent.isdisjoint({told.srtp.send, told.srtp.receive})
            assert not offerer.keys_spent
            assert not answerer.keys_spent
            continue
        assert (offerer.current, answerer.current) == before
