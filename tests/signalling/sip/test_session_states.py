from agent.signalling.sip.session_states import (
    MORTAL,
    OVER,
    TRANSITIONS,
    Action,
    Input,
    State,
)


def reachable(start: State) -> set[State]:
    found = {start}
    while True:
        more = {to for (at, _), (_, to) in TRANSITIONS.items() if at in found} - found
        if not more:
            return found
        found |= more


def test_every_word_is_used() -> None:
    assert {state for state, _ in TRANSITIONS} == set(State) - {State.TERMINATED}
    assert {input_ for _, input_ in TRANSITIONS} == set(Input)
    assert {action for action, _ in TRANSITIONS.values()} == set(Action)


def test_every_state_is_reached_from_a_beginning_and_reaches_the_end() -> None:
    assert reachable(State.CALLING) | reachable(State.INCOMING) == set(State)
    assert all(State.TERMINATED in reachable(state) for state in State)


def test_there_is_no_way_back_from_what_is_over() -> None:
    for state in OVER:
        assert reachable(state) <= OVER


def test_one_can_hang_up_whatever_is_not_over() -> None:
    assert {state for state, input_ in TRANSITIONS if input_ is Input.HANG_UP} == (
        set(State) - OVER
    )


def test_no_bye_of_ours_precedes_the_ack() -> None:
    _, left = TRANSITIONS[State.ACCEPTED, Input.HANG_UP]
    assert left is State.LEAVING
    byes = {
        input_
        for (state, input_), (action, _) in TRANSITIONS.items()
        if state in {State.ACCEPTED, State.LEAVING} and action is Action.BYE
    }
    assert byes == {Input.RECV_ACK, Input.NO_ACK}


def test_a_cancelled_invite_may_still_be_answered() -> None:
    assert {State.CANCELLING} == OVER - MORTAL
