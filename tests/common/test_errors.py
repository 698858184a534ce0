from agent.common.errors import AgentError


class FullError(AgentError):
    permanent = False
    hint = "Make room."


def test_an_error_says_what_to_do() -> None:
    assert str(FullError("The disk is full.")) == "The disk is full. Make room."
    assert not FullError("x").permanent


def test_a_hint_may_be_given_where_it_is_raised() -> None:
    assert str(AgentError("No.", hint="Try that.")) == "No. Try that."
    assert str(AgentError("No.")) == "No."
