import pytest

from agent.call import refusal


@pytest.mark.parametrize(
    ("better", "worse"),
    [(603, 486), (486, 480), (404, 480), (480, 500), (484, 486), (480, 502)],
)
def test_what_tells_the_caller_more_is_preferred(better: int, worse: int) -> None:
    assert refusal.rank(better) < refusal.rank(worse)


@pytest.mark.parametrize(
    ("status", "tone", "cause"),
    [
        (486, "busy", 17),
        (600, "busy", 17),
        (480, "busy", 19),
        (603, "busy", 19),
        (404, "congestion", 19),
        (500, "congestion", 41),
        (503, "congestion", 41),
    ],
)
def test_tone_and_cause(status: int, tone: str, cause: int) -> None:
    assert refusal.tone(status) == tone
    assert refusal.cause(status) == cause
