from agent.call.phases import TRANSITIONS, Input, Phase
from agent.call.setup import Setup


def test_every_action_of_the_table_is_a_method() -> None:
    for action in TRANSITIONS.values():
        assert callable(getattr(Setup, f"_{action}"))


def test_nothing_happens_to_a_call_that_has_ended() -> None:
    assert Phase.ENDED not in {phase for phase, _ in TRANSITIONS}


def test_a_call_can_always_be_stopped_before_its_parties_talk() -> None:
    for phase in set(Phase) - {Phase.TALKING, Phase.ENDED}:
        assert (phase, Input.STOP) in TRANSITIONS
        assert (phase, Input.FIRST_LEFT) in TRANSITIONS
