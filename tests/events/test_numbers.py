import pytest

from agent.events import numbers as module
from agent.events.numbers import Numbers


def test_numbers_of_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CALLS", 2)
    numbers = Numbers()
    numbers.remember("a", "caller", "+358401234567")
    numbers.remember("a", "officer", "201")
    assert numbers.of("a") == {"caller": "+358401234567", "officer": "201"}
    numbers.remember("b", "caller", "1")
    numbers.remember("c", "caller", "2")
    assert numbers.of("a") == {}
    numbers.forget("b")
    numbers.forget("unknown")
    assert numbers.of("b") == {}
    assert "358" not in repr(numbers)
