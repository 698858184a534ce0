import contextlib
import random

import pytest
from hypothesis import given, settings, strategies as st

from agent.signalling.sip.errors import LocalSipError
from agent.signalling.sip.renegotiation import (
    MAX_GLARES,
    TRANSITIONS,
    Action,
    Input,
    Offer,
    Renegotiation,
    State,
)

FIRST = Offer(b"first")
SECOND = Offer(b"second", (("Reason", "hold"),))


def new(
    *, owns_call_id: bool = True, seed: int = 1, state: State = State.STABLE
) -> Renegotiation:
    rng = random.Random(seed)
    return Renegotiation(owns_call_id=owns_call_id, rng=rng, state=state)


def test_an_offer_is_sent_and_answered() -> None:
    ours = new()
    assert ours.take_due(0.0) is None
    ours.want(FIRST)
    assert ours.take_due(0.0) is FIRST
    assert ours.state is State.OFFERING
    assert ours.take_due(0.0) is None
    ours.answered()
    assert ours.state is State.STABLE
    assert ours.take_due(0.0) is None


def test_a_later_offer_waits_and_the_latest_counts() -> None:
    ours = new()
    ours.want(FIRST)
    ours.take_due(0.0)
    ours.want(Offer(b"never sent"))
    ours.want(SECOND)
    assert ours.take_due(1.0) is None
    ours.answered()
    assert ours.take_due(1.0) is SECOND


def test_a_refused_offer_is_forgotten() -> None:
    ours = new()
    ours.want(FIRST)
    ours.take_due(0.0)
    assert not ours.refused(488, 0.0)
    assert ours.state is State.STABLE
    assert ours.take_due(0.0) is None
    assert ours.get_timer() is None


@pytest.mark.parametrize(("owns", "low", "high"), [(True, 2.1, 4.0), (False, 0.0, 2.0)])
def test_glare_waits_as_section_14_1_says(
    *, owns: bool, low: float, high: float
) -> None:
    delays = set()
    for seed in range(200):
        ours = new(owns_call_id=owns, seed=seed)
        ours.want(FIRST)
        ours.take_due(0.0)
        assert ours.refused(491, 0.0)
        at = ours.get_timer()
        assert at is not None
        assert low <= at <= high
        assert at == pytest.approx(round(at, 2))
        if at > 0:
            assert ours.take_due(at - 0.001) is None
        assert ours.take_due(at) is FIRST
        assert ours.get_timer() is None
        delays.add(at)
    assert len(delays) > 100


def test_after_glare_a_newer_offer_goes_instead() -> None:
    ours = new()
    ours.want(FIRST)
    ours.take_due(0.0)
    ours.want(SECOND)
    assert ours.refused(491, 0.0)
    assert ours.take_due(4.0) is SECOND


def test_endless_glare_is_a_refusal() -> None:
    ours = new()
    ours.want(FIRST)
    now = 0.0
    for _ in range(MAX_GLARES - 1):
        now += 4.0
        assert ours.take_due(now) is FIRST
        assert ours.refused(491, now)
    assert ours.take_due(now + 4.0) is FIRST
    assert not ours.refused(491, now + 4.0)
    assert ours.take_due(now + 99.0) is None


def test_the_peers_offer_is_passed_on_and_answered() -> None:
    ours = new()
    assert ours.receive_offer() is None
    assert ours.receive_offer() == 500
    ours.want(FIRST)
    assert ours.take_due(0.0) is None
    ours.answer(with_offer=False)
    ours.acknowledged()
    assert ours.take_due(0.0) is FIRST


def test_the_peers_offer_meets_ours() -> None:
    ours = new()
    ours.want(FIRST)
    ours.take_due(0.0)
    assert ours.receive_offer() == 491
    assert ours.state is State.OFFERING


@pytest.mark.parametrize("asked", [True, False])
def test_our_offer_in_a_2xx_is_answered_by_the_ack(*, asked: bool) -> None:
    ours = new() if asked else new(state=State.EXPECTING)
    if asked:
        assert ours.receive_offer() is None
    ours.answer(with_offer=True)
    assert ours.receive_offer() == 491
    ours.acknowledged()
    assert ours.state is State.STABLE


def test_a_try_again_waits_for_the_peers_offer() -> None:
    ours = new(owns_call_id=False)
    ours.want(FIRST)
    ours.take_due(0.0)
    ours.refused(491, 0.0)
    assert ours.receive_offer() is None
    assert ours.get_timer() is None
    assert ours.take_due(9.0) is None
    ours.answer(with_offer=False)
    assert ours.take_due(9.0) is FIRST


def test_what_the_table_lacks_raises_and_changes_nothing() -> None:
    ours = new()
    with pytest.raises(LocalSipError):
        ours.answered()
    with pytest.raises(LocalSipError):
        ours.answer(with_offer=False)
    assert ours.state is State.STABLE


def test_every_state_and_input_is_in_the_table() -> None:
    assert {state for state, _ in TRANSITIONS} == set(State)
    assert {input_ for _, input_ in TRANSITIONS} == set(Input)
    assert {action for action, _ in TRANSITIONS.values()} == set(Action)


STEPS = st.sampled_from(
    [
        "want",
        "take",
        "answered",
        "refused",
        "glare",
        "receive",
        "answer",
        "offer",
        "ack",
    ]
)


@settings(max_examples=200)
@given(steps=st.lists(STEPS, max_size=40), owns=st.booleans())
def test_any_order_leaves_one_offer_at_a_time(steps: list[str], *, owns: bool) -> None:
    ours = new(owns_call_id=owns)
    open_offers = 0
    now = 0.0
    for step in steps:
        now += 0.5
        if step == "want":
            ours.want(FIRST)
        elif step == "ack":
            ours.acknowledged()
        elif step == "take":
            open_offers += ours.take_due(now) is not None
        elif step == "receive":
            open_offers += ours.receive_offer() is None
        else:
            with contextlib.suppress(LocalSipError):
                if step == "answered":
                    ours.answered()
                elif step in {"refused", "glare"}:
                    ours.refused(491 if step == "glare" else 488, now)
                else:
                    ours.answer(with_offer=step == "offer")
                open_offers = 0
        assert open_offers <= 1
        assert (ours.state in {State.OFFERING, State.ANSWERING}) == bool(open_offers)


@pytest.mark.parametrize(
    ("state", "status"),
    [(State.EXPECTING, 500), (State.ANSWERING, 500), (State.OFFERING, 491)],
)
def test_no_second_offer_before_the_first_is_answered(
    state: State, status: int
) -> None:
    ours = new(state=state)
    assert ours.receive_offer() == status
    ours.want(FIRST)
    assert ours.take_due(0.0) is None


def test_an_offer_in_a_response_is_answered() -> None:
    ours = new(state=State.EXPECTING)
    ours.receive_offer_in_response()
    assert ours.receive_offer() == 500
    ours.answer(with_offer=False)
    assert ours.state is State.STABLE


def test_a_call_without_descriptions_may_get_them_later() -> None:
    ours = new(state=State.EXPECTING)
    ours.answered()
    assert ours.receive_offer() is None


def test_the_peer_may_say_when_to_try_again() -> None:
    ours = new()
    ours.want(FIRST)
    assert ours.take_due(0.0) == FIRST
    assert ours.refused(500, 0.0, after=3.0)
    assert ours.take_due(2.9) is None
    assert ours.take_due(3.0) == FIRST
    assert not ours.refused(500, 3.0)


def test_a_later_offer_takes_the_place_of_one_to_try_again() -> None:
    ours = new()
    ours.want(FIRST)
    ours.take_due(0.0)
    second = Offer(b"second")
    ours.want(second)
    assert ours.refused(491, 0.0)
    assert ours.take_due(10.0) == second


def test_a_refresh_goes_with_the_offer_that_waits() -> None:
    ours = new()
    line = ("P-Asserted-Identity", "<sip:202@example.com>")
    ours.want_with((line,), b"as before")
    assert ours.take_due(0.0) == Offer(b"as before", (line,), refresh=True)
    ours.answered()
    ours.want(SECOND)
    ours.want_with((line,), b"as before")
    assert ours.take_due(0.0) == Offer(SECOND.body, (*SECOND.headers, line))


def test_it_knows_whether_a_change_is_open() -> None:
    negotiation = new()
    negotiation.want_with((), b"as it was")
    assert not negotiation.offers
    negotiation.want(Offer(b"another"))
    assert negotiation.offers
    assert negotiation.take_due(0.0)
    assert negotiation.offers
    negotiation.answered()
    assert not negotiation.offers
