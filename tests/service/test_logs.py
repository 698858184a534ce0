from agent.service.logs import Masker


def test_numbers_are_masked_unless_told_otherwise() -> None:
    assert "1234567" not in Masker("masked")("+358401234567")
    assert Masker("full")("+358401234567") == "+358401234567"
