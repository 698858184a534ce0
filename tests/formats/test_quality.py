from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from agent.formats.emodel import mos
from agent.formats.quality import LegQuality, assess, overall
from agent.formats.timeline import LegResult
from agent.model.recording import Channel, RecordingFormat, Verdict
from tests.formats.pairs import align
from tests.formats.streams import MS, START, Sent, finish, of_frames, sender, timeline

LOUD, QUIET, CLIPPED = 0x2F, 0xD5, 0xAA
"A-law octets: half of full scale, nothing, the last step."
GOOD, DEGRADED, ONE_WAY, SILENT = Verdict


def talk(numbers: Iterable[int], octet: int = LOUD, **place: float) -> list[Sent]:
    """Packets of one octet repeated; number n is due at 20 n ms."""
    sent = sender(numbers, **place)  # type: ignore[arg-type]
    return [
        Sent(at, replace(packet, payload=bytes((octet,)) * 160)) for at, packet in sent
    ]


def leg_of(
    sent: Iterable[Sent], seconds: float, marks: Iterable[tuple[float, str]] = ()
) -> LegResult:
    leg = timeline(sent)
    for at, kind in marks:
        leg.mark(START + round(at * 1000) * MS, kind)
    return finish(leg, milliseconds=seconds * 1000)


def judged(
    sent: Iterable[Sent],
    seconds: float,
    marks: Iterable[tuple[float, str]] = (),
    kept: RecordingFormat = RecordingFormat.WIRE,
) -> LegQuality:
    """What is thought of a leg beside one that nobody has."""
    leg = leg_of(sent, seconds, marks)
    track = align(leg, None, seconds * 1000, kept)
    meters = track.meters()
    for _ in track.file(meters):
        pass
    return assess(leg, meters[0])


def faultless(listened_ms: int) -> LegQuality:
    return LegQuality(
        loss_percent=0.0,
        longest_gap_ms=0,
        listened_ms=listened_ms,
        silence=0.0,
        clipping=0.0,
        mos=4.41,
        verdict=GOOD,
    )


def test_a_leg_without_a_fault() -> None:
    assert judged(talk(range(500)), 10) == faultless(10_000)


@pytest.mark.parametrize("kept", RecordingFormat)
def test_every_format_is_measured_alike(kept: RecordingFormat) -> None:
    sent = talk(range(100)) + talk(range(100, 150), QUIET) + talk([150], CLIPPED)
    quality = judged(sent, 3.5, kept=kept)
    # 151 packets, one of them clipped throughout; 24 blocks without any.
    assert quality.clipping == round(1 / 151, 6)
    assert quality.silence == round((175 - 101) / 175, 4)
    assert quality.verdict is DEGRADED


def test_loss() -> None:
    lost = {100, 101, 102, 300}
    quality = judged(talk(n for n in range(500) if n not in lost), 10)
    assert quality.loss_percent == 0.8
    assert quality.longest_gap_ms == 60
    assert quality.silence == 0.008
    # Two losses of two packets each on the average: random ones have 1 / 0.992.
    assert quality.mos == round(mos("PCMA", 0.8, 2 * 0.992), 2)
    assert quality.verdict is GOOD


def test_much_loss_degrades() -> None:
    quality = judged(talk(n for n in range(500) if n % 50), 10)
    assert quality.loss_percent == pytest.approx(1.804, abs=0.001)  # 9 of 499
    assert quality.mos is not None
    assert quality.mos < 3.6
    assert quality.verdict is DEGRADED


@pytest.mark.parametrize(("packets", "verdict"), [(49, GOOD), (50, DEGRADED)])
def test_a_second_lost_degrades(packets: int, verdict: Verdict) -> None:
    heard = [n for n in range(20_000) if not 100 <= n < 100 + packets]
    quality = judged(talk(heard), 400)
    assert quality.longest_gap_ms == packets * 20
    assert quality.verdict is verdict


def test_a_gap_of_the_agents_own_counts_with_the_loss_beside_it() -> None:
    # Packets 100 to 149 are missing; the first 20 by the agent's own doing.
    heard = [n for n in range(500) if not 100 <= n < 150]
    marks = [(2.0, "gap-begin"), (2.4, "gap-end")]
    quality = judged(talk(heard), 10, marks)
    assert quality.longest_gap_ms == 1000
    assert quality.listened_ms == 9600
    assert quality.verdict is DEGRADED


def test_what_is_held_counts_for_nothing() -> None:
    heard = [n for n in range(500) if not 100 <= n < 400]
    marks = [(2.0, "hold"), (8.0, "resume")]
    assert judged(talk(heard), 10, marks) == faultless(4000)


@pytest.mark.parametrize(("kind", "verdict"), [("hold", GOOD), ("changed", SILENT)])
def test_a_leg_that_was_held_throughout_is_not_blamed(
    kind: str, verdict: Verdict
) -> None:
    quality = judged([], 10, [(0.0, kind)])
    assert quality.mos is None
    assert (quality.loss_percent, quality.clipping) == (0.0, 0.0)
    assert quality.verdict is verdict
    if kind == "hold":
        assert (quality.listened_ms, quality.silence) == (0, 0.0)
    else:
        assert (quality.listened_ms, quality.silence) == (10_000, 1.0)


def test_nothing_at_all_is_silent() -> None:
    assert judged([], 0).verdict is SILENT


@pytest.mark.parametrize(
    ("loud", "seconds", "verdict"),
    [(9, 3.0, SILENT), (10, 3.0, GOOD), (0, 2.98, GOOD), (0, 600, SILENT)],
)
def test_packets_of_silence(loud: int, seconds: float, verdict: Verdict) -> None:
    count = round(seconds * 50)
    sent = talk(range(loud)) + talk(range(loud, count), QUIET)
    quality = judged(sent, seconds)
    assert quality.silence == round(1 - loud / count, 4)
    assert quality.verdict is verdict


@pytest.mark.parametrize(("absent", "verdict"), [(29.98, GOOD), (30.0, DEGRADED)])
def test_a_leg_that_stops_sending(absent: float, verdict: Verdict) -> None:
    quality = judged(talk(range(100)), 2 + absent)
    assert quality.longest_gap_ms == 0
    assert quality.verdict is verdict


def test_jitter_degrades() -> None:
    sent = [
        Sent(at + 200 * (n // 2 % 2), packet)
        for n, (at, packet) in enumerate(talk(range(500)))
    ]
    quality = judged(sent, 10)
    assert (quality.loss_percent, quality.mos) == (0.0, 4.41)
    assert quality.verdict is DEGRADED


def test_most_of_the_audio_says_which_coder() -> None:
    ulaw = sender(range(60, 100), payload_type=0)
    assert judged(talk(range(60)) + ulaw, 2).mos == 4.41


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        (GOOD, GOOD, GOOD),
        (GOOD, DEGRADED, DEGRADED),
        (DEGRADED, SILENT, ONE_WAY),
        (SILENT, GOOD, ONE_WAY),
        (SILENT, SILENT, SILENT),
    ],
)
def test_the_recording_is_as_its_worst_leg(
    one: Verdict, other: Verdict, expected: Verdict
) -> None:
    legs = (Channel.CUSTOMER, one), (Channel.OFFICER, other)
    assert overall(legs) is expected


CUSTOMER, OFFICER, BOTH = Channel


@pytest.mark.parametrize(
    ("legs", "expected"),
    [
        ((), SILENT),
        (((BOTH, GOOD),), GOOD),
        (((BOTH, SILENT),), SILENT),
        (((BOTH, DEGRADED), (CUSTOMER, SILENT)), DEGRADED),
        (((CUSTOMER, GOOD),), ONE_WAY),
        (((CUSTOMER, GOOD), (CUSTOMER, SILENT), (OFFICER, GOOD)), GOOD),
        (((CUSTOMER, GOOD), (CUSTOMER, GOOD), (OFFICER, SILENT)), ONE_WAY),
        (((OFFICER, SILENT), (CUSTOMER, SILENT), (BOTH, DEGRADED)), DEGRADED),
    ],
)
def test_a_side_is_as_its_legs_together(
    legs: tuple[tuple[Channel, Verdict], ...], expected: Verdict
) -> None:
    assert overall(legs) is expected


@settings(max_examples=50)
@given(
    sent=st.dictionaries(
        st.integers(0, 399), st.sampled_from([LOUD, QUIET, CLIPPED]), max_size=400
    ),
    held=st.tuples(st.integers(0, 400), st.integers(0, 400)).map(sorted),
)
def test_figures_are_what_was_sent(sent: dict[int, int], held: list[int]) -> None:
    """Any packets of three loudnesses, any hold, whose packets are not tapped."""
    first, last = held
    tapped = {n: octet for n, octet in sent.items() if not first <= n < last}
    packets = [one for n, octet in tapped.items() for one in talk([n], octet)]
    marks = [(first / 50, "hold"), (last / 50, "resume")] if first < last else []
    leg = leg_of(packets, 8, marks)
    quality = judged(packets, 8, marks)
    placed = {int(position) // 160 for position in of_frames(leg, "position")}
    # Fewer than two in order are no source, and what was sent first came on time.
    assert placed in (set(), set(tapped))
    heard = [tapped[n] for n in placed]
    assert quality.listened_ms == 20 * (400 - (last - first))
    loud = sum(octet != QUIET for octet in heard)
    time = quality.listened_ms // 20
    assert quality.silence == (round(1 - loud / time, 4) if time else 0.0)
    clipped = heard.count(CLIPPED)
    assert quality.clipping == (round(clipped / len(heard), 6) if heard else 0.0)
    assert (quality.mos is None) == (not heard)
    missing = np.setdiff1d(
        np.arange(min(placed, default=0), max(placed, default=0)), sorted(placed)
    )
    runs = np.split(missing, np.flatnonzero(np.diff(missing) != 1) + 1)
    outside = [run for run in runs if not set(run) & set(range(first, last))]
    assert quality.longest_gap_ms >= 20 * max(map(len, outside), default=0)
