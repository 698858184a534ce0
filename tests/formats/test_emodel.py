import pytest
from hypothesis import given, strategies as st

from agent.formats.emodel import G711, WIDE, Coder, coder_of, mos, opinion, rating

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


@pytest.mark.parametrize(
    ("r", "expected"),
    # R of all defaults (G.107 clause 7.7); two connections over 150 ms, worked out in
    # lectures on the E-model: G.729A with 2 % loss, and G.711 with concealment.
    [(93.2, 4.41), (70.56, 3.62), (82.56, 4.12)],
)
def test_opinions_worked_out_by_others(r: float, expected: float) -> None:
    assert opinion(r) == pytest.approx(expected, abs=0.005)


@pytest.mark.parametrize(
    ("coder", "loss", "expected", "within"),
    # Coders of G.113 table I.4, and the Ie of G.113 appendix I (09/1999) under random
    # loss, to which the formula was fitted: it is this far from them.
    [
        (Coder(0, 1, 11, 19.0), 2, 19, 0.05),  # G.729A with VAD
        (Coder(0, 1, 11, 19.0), 8, 36, 0.15),
        (Coder(0, 1, 11, 19.0), 16, 49, 0.4),
        (Coder(0, 1, 5, 10.0), 5, 33, 2.0),  # GSM EFR
        (Coder(0, 1, 0, 25.1), 2, 7.0, 0.05),  # G.711 with concealment
        (Coder(0, 1, 0, 25.1), 10, 25, 2.1),
    ],
)
def test_loss_impairs_as_tabulated(
    coder: Coder, loss: float, expected: float, within: float
) -> None:
    assert -rating(coder, loss, 1) == pytest.approx(expected, abs=within)


def test_loss_in_bursts_impairs_as_worked_out_by_others() -> None:
    # 2 % by a Gilbert model of p = 0.01 and q = 0.49: the burst ratio is 2.
    assert 93.2 - rating(G711, 2, 1) == pytest.approx(30.2, abs=0.05)
    assert 93.2 - rating(G711, 2, 2) == pytest.approx(35.8, abs=0.05)


@pytest.mark.parametrize(
    ("impairment", "expected"),
    # AMR-WB by its modes (G.113 tables IV.1 and IV.3) through G.107.1 annex A.
    [(1, 4.4940), (8, 4.4206), (13, 4.3371), (41, 3.5123), (56, 2.9220)],
)
def test_opinions_of_wide_band(impairment: float, expected: float) -> None:
    coder = WIDE._replace(impairment=impairment)
    assert opinion(rating(coder, 0, 1) / coder.scale) == pytest.approx(
        expected, abs=5e-4
    )


def test_loss_in_wide_band() -> None:
    # AMR-WB at 12.65 kbit/s heard with both ears: table IV.3 and, for Bpl, IV.4.
    coder = Coder(129.0, 1.29, 20.0, 4.3)
    assert 129 - rating(coder, 2, 1) == pytest.approx(43.8095, abs=1e-3)
    assert opinion(rating(coder, 2, 1) / coder.scale) == pytest.approx(3.4062, abs=5e-4)


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
