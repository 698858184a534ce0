import pytest
from hypothesis import given, strategies as st

from agent.formats.emodel import G711, WIDE, coder_of, mos, opinion, rating

PERCENT = st.floats(0, 100)
BURSTS = st.floats(1, 2)
NAMES = st.sampled_from(["PCMA", "PCMU", "G722", "opus"])


@pytest.mark.parametrize(
    ("r", "expected"),
    # ITU-T G.107 table B.1: the limits between satisfied and not.
    [(90, 4.34), (80, 4.03), (70, 3.60), (60, 3.10), (50, 2.58)],
)
def test_opinions_of_the_recommendation(r: float, expected: float) -> None:
    assert opinion(r) == pytest.approx(expected, abs=0.01)


def test_opinions_end_at_both_ends() -> None:
    assert opinion(-1) == opinion(0) == 1.0
    assert opinion(3) == 1.0  # where the cubic dips below the scale
    assert opinion(100) == opinion(129) == 4.5


@pytest.mark.parametrize(
    ("name", "loss", "expected"),
    [
        ("PCMA", 0, 4.41),  # 93.2: the default connection
        ("PCMU", 1, 3.83),  # 93.2 - 95 / 5.3
        ("PCMA", 2, 3.25),  # 93.2 - 190 / 6.3
        ("PCMA", 4.3, 2.35),  # half of 95
        ("PCMA", 100, 1.0),
        ("G722", 0, 4.34),  # (129 - 13) / 1.29
        ("opus", 0, 4.34),
    ],
)
def test_scores(name: str, loss: float, expected: float) -> None:
    assert mos(name, loss) == pytest.approx(expected, abs=0.01)


def test_coders() -> None:
    assert coder_of("PCMA") is coder_of("PCMU") is G711
    assert coder_of("G722") is coder_of("opus") is WIDE


def test_losses_in_bursts_are_worse() -> None:
    # Of 95 two parts in 5.3 are lost.
    assert rating(G711, 2, 2) == pytest.approx(57.35, abs=0.01)
    assert rating(G711, 2, 2) < rating(G711, 2, 1)
    assert rating(G711, 2, 50) == rating(G711, 2, 2)
    assert rating(G711, 2, 0) == rating(G711, 2, 1)


@given(NAMES, PERCENT, PERCENT, BURSTS)
def test_more_loss_is_never_better(
    name: str, one: float, other: float, burst: float
) -> None:
    low, high = sorted((one, other))
    assert 1 <= mos(name, high, burst) <= mos(name, low, burst) + 1e-9 <= 4.5
    assert mos(name, low, burst) <= mos(name, low) + 1e-9
