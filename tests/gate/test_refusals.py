from agent.gate.refusals import DeniedError, RefusalError, UnavailableError


def test_every_refusal_is_a_status_and_one_word() -> None:
    kinds = RefusalError.__subclasses__()
    assert len({kind.status for kind in kinds}) == len(kinds)
    assert all(kind.word.replace("-", "").isalpha() for kind in kinds)
    assert str(DeniedError("role")) == "The gate answers 403, role."


def test_only_what_may_pass_is_worth_trying_again() -> None:
    assert {kind.status for kind in RefusalError.__subclasses__() if not kind.permanent}
    assert DeniedError().permanent
    assert not UnavailableError().permanent
