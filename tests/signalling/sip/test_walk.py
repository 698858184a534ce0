"""Any order of deeds of two users, on any network, leaves nothing behind."""

from contextlib import suppress
from typing import Any

from hypothesis import given, settings, strategies as st

from agent.signalling.sip import core as sip
from agent.signalling.sip.errors import LocalSipError
from tests.fakes.wire import Fate, unreliable
from tests.signalling.sip.pair import (
    ALICE,
    ANSWER,
    BOB,
    MALLORY,
    OFFER,
    Pair,
    Peer,
    Phone,
)

SETTING_UP = (
    *("call", "call without offer", "ring", "ring reliably", "ring with media"),
    *("accept", "accept", "refuse", "hang up", "acknowledge", "acknowledge"),
    *("reoffer", "accept offer", "refuse offer", "wait", "wait long", "fail"),
)
TALKING = (
    *("reoffer", "reoffer", "update", "refresh", "accept offer", "accept offer"),
    *("inform", "refuse offer", "hang up", "wait", "wait long", "fail"),
)
ABLE: dict[str, Any] = {
    "supported": ("100rel", "timer", "replaces"),
    "session_expires": 120,
}


def steps_of(deeds: tuple[str, ...], sessions: int) -> Any:
    step = st.tuples(st.sampled_from(deeds), st.booleans(), st.integers(1, sessions))
    return st.lists(step, max_size=25)


def do(pair: Pair, deed: str, phone: Phone, session: str) -> None:
    core, now = phone.core, pair.wire.now
    other = BOB if phone is pair.alice else ALICE
    if deed == "call":
        phone.call(other)
    elif deed == "call without offer":
        phone.call(other, body=b"")
    elif deed == "ring":
        core.ring(session, now)
    elif deed == "ring reliably":
        core.ring(session, now, reliable=True)
    elif deed == "ring with media":
        core.ring(session, now, status=183, body=ANSWER, reliable=True)
    elif deed == "accept":
        phone.answer(session)
    elif deed == "refuse":
        core.refuse(session, now, status=486)
    elif deed == "hang up":
        core.hang_up(session, now)
    elif deed == "reoffer":
        core.reoffer(session, now, body=OFFER)
    elif deed == "update":
        core.reoffer(session, now, body=OFFER, update=True)
    elif deed == "refresh":
        core.refresh(session, now)
    elif deed == "inform":
        core.inform(session, now, body=b"news", content_type="text/plain")
    elif deed == "accept offer":
        core.accept_offer(session, now, body=ANSWER)
    elif deed == "refuse offer":
        core.refuse_offer(session, now, status=488)
    elif deed == "acknowledge":
        core.acknowledge(session, now, body=ANSWER)
    elif deed == "fail":
        core.transport_failed(pair.wire.flow(phone.address, other), now)
    else:
        pair.run(40.0 if deed == "wait long" else 0.3)


def story(phone: Phone, session: str) -> list[Any]:
    return [event for event in phone.events if event.session == session]


def is_sound(events: list[Any]) -> bool:
    """Whether one session was told as it should be."""
    names = [type(event).__name__ for event in events]
    ends = [name for name in names if name in {"Refused", "Ended", "Cancelled"}]
    if len(ends) > 1 or (ends and names[-1] != ends[0]):
        return False
    if names[0] == "InviteReceived":
        return names.count("InviteReceived") == 1 and "Accepted" not in names
    if "Ended" in names:
        return names.count("Accepted") == 1
    return names[-1] == "Refused" and "Accepted" not in names


def walk(pair: Pair, steps: list[tuple[str, bool, int]]) -> None:
    for deed, alice, which in steps:
        phone = pair.alice if alice else pair.bob
        with suppress(LocalSipError):
            do(pair, deed, phone, f"s{which}")
        pair.run(0.0)
    phones = (pair.alice, pair.bob)
    # Twice, for a call that arrives late may have a caller who is gone.
    for wait in (1.0, 60.0):
        pair.run(wait)
        for phone in phones:
            for number in range(phone.core.stats.sessions):
                phone.core.hang_up(f"s{number + 1}", pair.wire.now)
    pair.run(300.0)
    assert pair.is_clean()
    for phone in phones:
        assert phone.core.get_timer() is None
        for session in {event.session for event in phone.events}:
            assert is_sound(story(phone, session))


def bad_network(seed: int, loss: float) -> Fate:
    return unreliable(seed=seed, loss=loss, duplicate=loss, jitter=0.1)


LOSS = st.sampled_from([0.0, 0.0, 0.3])


@settings(max_examples=80)
@given(steps=steps_of(SETTING_UP, 3), seed=st.integers(0, 2**16), loss=LOSS)
def test_every_call_ends_once(
    steps: list[tuple[str, bool, int]], seed: int, loss: float
) -> None:
    fate = bad_network(seed, loss)
    pair = Pair(fate=fate, seed=seed, answers=False, alice=ABLE, bob=ABLE)
    walk(pair, steps)


@settings(max_examples=80)
@given(steps=steps_of(TALKING, 1), seed=st.integers(0, 2**16), loss=LOSS)
def test_every_conversation_ends_once(
    steps: list[tuple[str, bool, int]], seed: int, loss: float
) -> None:
    pair = Pair(seed=seed, alice=ABLE, bob=ABLE)
    pair.alice.call(BOB)
    pair.run(0.4)
    pair.bob.on = None
    pair.wire.fate = bad_network(seed, loss)
    walk(pair, steps)


MESSAGES = st.lists(
    st.tuples(
        st.sampled_from(
            [
                *("INVITE", "ACK", "BYE", "CANCEL", "UPDATE", "INFO", "OPTIONS"),
                *("PRACK", "REFER", "SUBSCRIBE", "NOTIFY", "MESSAGE"),
            ]
        ),
        st.integers(1, 9),
        st.sampled_from(["right", "right", "right", "wrong to", "wrong from", "none"]),
        st.sampled_from([b"", OFFER]),
        st.sampled_from(["accept", "refuse", "offer", "hang up", "nothing"]),
    ),
    max_size=20,
)


@settings(max_examples=120)
@given(messages=MESSAGES, talking=st.booleans(), reliable=st.booleans())
def test_any_requests_of_a_peer_are_survived(
    *, messages: list[tuple[str, int, str, bytes, str]], talking: bool, reliable: bool
) -> None:
    pair = Pair(answers=False, bob=ABLE)
    bob = pair.bob
    peer = Peer(pair.wire, MALLORY)
    able = [("Supported", "100rel, timer"), ("Allow", "INVITE, UPDATE")]
    peer.send(peer.new_request("INVITE", body=OFFER, headers=able), BOB)
    session = bob.session
    bob.core.ring(session, 0.0, body=ANSWER, reliable=reliable)
    pair.run(0.0)
    early = peer.response(180)
    if talking:
        bob.answer(session)
        pair.run(0.0)
        peer.send(peer.in_dialog("ACK", early, cseq=1), BOB)
    for method, cseq, tags, body, deed in messages:
        request = peer.in_dialog(method, early, cseq=cseq, body=body)
        if method == "PRACK":
            rseq = early.headers.get("RSeq")
            request.headers.add("RAck", f"{rseq} 1 INVITE")
        elif method == "REFER":
            request.headers.add("Refer-To", "<sip:202@example.com>")
        elif method == "SUBSCRIBE":
            request.headers.add("Event", "refer")
        if tags == "wrong from":
            request.headers.set("From", "<sip:peer@example.com>;tag=wrong")
        elif tags == "wrong to":
            request.headers.set("To", "<sip:201@example.com>;tag=wrong")
        elif tags == "none":
            request.headers.set("To", "<sip:201@example.com>")
        peer.send(request, BOB)
        with suppress(LocalSipError):
            if deed == "accept":
                bob.core.accept_offer(session, pair.wire.now, body=ANSWER)
                if isinstance(bob.last, sip.ReferReceived):
                    bob.core.accept_refer(session, bob.last.key, pair.wire.now)
                bob.answer(session)
            elif deed == "refuse":
                bob.core.refuse_offer(session, pair.wire.now, status=488)
            elif deed == "offer":
                bob.core.reoffer(session, pair.wire.now, body=OFFER)
            elif deed == "hang up":
                bob.core.hang_up(session, pair.wire.now)
        pair.run(0.0)
    for event in [e for e in bob.events if isinstance(e, sip.InviteReceived)]:
        bob.core.hang_up(event.session, pair.wire.now)
    pair.run(1000.0)
    assert pair.is_clean()
    assert bob.core.get_timer() is None
    for session in {event.session for event in bob.events}:
        assert is_sound(story(bob, session))
