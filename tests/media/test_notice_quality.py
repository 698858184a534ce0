from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from agent.formats.telephone_audio import LEVEL, RATE
from agent.media.notice_quality import (
    NoticeFigures,
    judge,
    measure,
    samples_of,
)
from agent.media.sounds import load_notice

NOTICES = Path(__file__).parents[2] / "config" / "notices"
SOUND = NoticeFigures(
    seconds=5.0, level=LEVEL, peak=-8.0, lead=0.1, tail=0.3, clipped=0.0
)


@pytest.mark.parametrize("language", ["fi", "sv", "en"])
def test_the_samples_that_ship_are_fit(language: str) -> None:
    figures = measure(samples_of(load_notice(NOTICES / f"{language}.wav")))
    assert list(judge(figures)) == []
    assert abs(figures.level - LEVEL) < 0.5


@pytest.mark.parametrize(
    ("changes", "said", "wrong"),
    [
        ({"level": -40.0}, "too faint", True),
        ({"level": -12.0}, "too loud", True),
        ({"clipped": 0.02}, "2.0 % of it", True),
        ({"lead": 2.0}, "2.0 s of silence before", False),
        ({"tail": 2.0}, "2.0 s of silence after", False),
        ({"seconds": 45.0}, "45 s long", False),
        ({"seconds": 0.6}, "0.6 s long", False),
        ({"lead": 5.0, "tail": 5.0}, "nothing is to be heard", True),
    ],
)
def test_each_fault_is_named_with_its_remedy(
    changes: dict[str, float], said: str, wrong: bool
) -> None:
    [remark] = judge(replace(SOUND, **changes))
    assert said in remark.text
    assert remark.remedy
    assert remark.wrong is wrong


def test_measured_on_what_is_played() -> None:
    time = np.arange(2 * RATE) / RATE
    words = np.clip(np.sin(2 * np.pi * 440 * time) * 2, -1, 1)
    figures = measure(np.concatenate([np.zeros(RATE), words]))
    assert figures.seconds == 3.0
    assert figures.clipped > 0.3
    assert figures.lead == pytest.approx(1.0, abs=0.02)
    assert {r.text.split()[0] for r in judge(figures)} == {"too", "clipped:", "1.0"}


def test_an_empty_file_has_nothing() -> None:
    [remark] = judge(measure(np.zeros(0)))
    assert remark.wrong
