import pytest

from agent.cli.spans import MomentError, moment_ns

NOW = 1_795_437_296_000_000_000
HOUR = 3600 * 10**9


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("90s", NOW - 90 * 10**9),
        ("8h", NOW - 8 * HOUR),
        ("7d", NOW - 7 * 24 * HOUR),
        ("999999999d", 0),
        ("2026-11-23T12:34:56", NOW),
        ("2026-11-23T14:34:56+02:00", NOW),
    ],
)
def test_so_long_ago_or_a_date(text: str, expected: int) -> None:
    assert moment_ns(text, NOW) == expected


@pytest.mark.parametrize("text", ["", "h", "-8h", "yesterday", "8 h"])
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(MomentError, match="30m"):
        moment_ns(text, NOW)
