import pytest

from agent.call.conversation import Conversation
from agent.call.conversation_states import TRANSITIONS, Input, State


def test_every_action_of_the_table_is_a_method() -> None:
    for action in TRANSITIONS.values():
        assert callable(getattr(Conversation, f"_{action}"))


def test_nothing_happens_to_a_conversation_that_is_over() -> None:
    assert State.OVER not in {state for state, _ in TRANSITIONS}


@pytest.mark.parametrize("state", [s for s in State if s is not State.OVER])
@pytest.mark.parametrize("input_", [Input.PARTY_LEFT, Input.STOP])
def test_whoever_is_left_can_always_leave(state: State, input_: Input) -> None:
    assert (state, input_) in TRANSITIONS


def test_only_who_talks_undisturbed_begins_a_transfer() -> None:
    begins = {Input.TRANSFER, Input.REPLACED, Input.SURRENDERED}
    assert {s for s, i in TRANSITIONS if i in begins} == {State.TALKING}
