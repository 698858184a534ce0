"""What is written of sessions, and read again; whole lives with deaths in them."""

import hashlib
import json
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings, strategies as st

from agent.signalling.sip import (
    referral,
    reliability,
    renegotiation,
    session_states,
    session_timer,
    state,
)
from agent.signalling.sip.headers import Headers
from tests.signalling.sip.pair import BOB, Pair
from tests.signalling.sip.reborn import Dies, Keeper, Reaper
from tests.signalling.sip.test_walk import (
    ABLE,
    LOSS,
    SETTING_UP,
    TALKING,
    bad_network,
    steps_of,
    walk,
)

DEATHS = st.tuples(st.integers(0, 2**16), st.booleans())
"A seed, and whether what was to be sent has gone out."


def dying(deaths: tuple[int, bool]) -> Dies:
    """A process every few messages."""
    seed, sent = deaths
    rng = random.Random(seed)
    return lambda _: sent if rng.random() < 0.2 else None


def let_die(pair: Pair, dies: Dies) -> None:
    Reaper(pair.wire, dies, [Keeper(one, ABLE) for one in (pair.alice, pair.bob)])


@settings(max_examples=25)
@given(
    steps=steps_of(SETTING_UP, 3),
    seed=st.integers(0, 2**16),
    loss=LOSS,
    deaths=DEATHS,
)
def test_every_call_ends_once_whoever_dies(
    steps: list[tuple[str, bool, int]],
    seed: int,
    loss: float,
    deaths: tuple[int, bool],
) -> None:
    fate = bad_network(seed, loss)
    pair = Pair(fate=fate, seed=seed, answers=False, alice=ABLE, bob=ABLE)
    let_die(pair, dying(deaths))
    walk(pair, steps)


@settings(max_examples=25)
@given(
    steps=steps_of(TALKING, 1),
    seed=st.integers(0, 2**16),
    loss=LOSS,
    deaths=DEATHS,
)
def test_every_conversation_ends_once_whoever_dies(
    steps: list[tuple[str, bool, int]],
    seed: int,
    loss: float,
    deaths: tuple[int, bool],
) -> None:
    pair = Pair(seed=seed, alice=ABLE, bob=ABLE)
    let_die(pair, dying(deaths))
    pair.alice.call(BOB)
    pair.run(1.0)
    pair.bob.on = None
    pair.wire.fate = bad_network(seed, loss)
    walk(pair, steps)


def test_no_person_in_a_representation() -> None:
    pair = Pair()
    pair.alice.core.track()
    session = pair.alice.call(BOB)
    found = pair.alice.core.state_of(session)
    assert repr(found) == "SessionState(session='s1', …)"


def test_another_version_is_not_guessed_at() -> None:
    pair = Pair()
    pair.alice.core.track()
    found = pair.alice.core.state_of(pair.alice.call(BOB))
    assert found is not None
    other = msgspec.structs.replace(found, version=state.STATE_VERSION + 1)
    with pytest.raises(state.StateVersionError, match="version"):
        state.decode_state(state.encode_state(other))


def test_only_headers_are_written_in_a_way_of_their_own() -> None:
    with pytest.raises(NotImplementedError):
        state._encode(Pair)
    with pytest.raises(NotImplementedError):
        state._decode(Pair, [])
    lines = [("Via", "x"), ("Subject", "y")]
    assert state._decode(Headers, lines) == Headers(lines)


def test_nothing_is_known_of_a_session_that_never_was() -> None:
    assert Pair().alice.core.state_of("s1") is None


def without_words(schema: Any) -> Any:
    """A schema less what is said of it."""
    if isinstance(schema, dict):
        items = schema.items()
        return {k: without_words(v) for k, v in items if k != "description"}
    return [without_words(v) for v in schema] if isinstance(schema, list) else schema


def test_who_changes_what_is_saved_raises_its_version() -> None:
    schema = msgspec.json.schema(
        state.SessionState, schema_hook=lambda _: {"type": "array"}
    )
    enumerations = (
        *(session_states.State, renegotiation.State, reliability.State),
        *(session_timer.State, referral.State),
    )
    names = [[member.name for member in one] for one in enumerations]
    text = json.dumps([without_words(schema), names], sort_keys=True)
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert (state.STATE_VERSION, digest[:16]) == (4, "d421b3054ca89e3c")
