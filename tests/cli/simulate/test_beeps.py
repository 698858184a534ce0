import numpy as np
import pytest

from agent.cli.simulate import beeps
from agent.formats.codecs.g711 import (
    decode_alaw,
    decode_ulaw,
    encode_alaw,
    encode_ulaw,
)


def said(*, rising: bool) -> np.ndarray:
    return np.frombuffer(beeps.pattern(rising=rising), "<i2") / 32768


@pytest.mark.parametrize("rising", [True, False])
@pytest.mark.parametrize("law", ["pcm", "alaw", "ulaw"])
def test_each_beep_is_found_in_its_place(rising: bool, law: str) -> None:
    data = beeps.pattern(rising=rising)
    if law == "alaw":
        data = decode_alaw(encode_alaw(data))
    elif law == "ulaw":
        data = decode_ulaw(encode_ulaw(data))
    found = beeps.find(np.frombuffer(data, "<i2") / 32768, 8000, rising=rising)
    wanted = beeps.places(rising=rising)
    assert len(found) == len(wanted) == beeps.COUNT
    for one, at in zip(found, wanted, strict=True):
        assert one.at == pytest.approx(at, abs=0.001)
        assert one.likeness > 0.9


@pytest.mark.parametrize("rising", [True, False])
def test_nobodys_beep_is_taken_for_the_others(rising: bool) -> None:
    assert beeps.find(said(rising=rising), 8000, rising=not rising) == []


def test_both_at_once_are_told_apart() -> None:
    both = said(rising=True) + said(rising=False)
    for rising in (True, False):
        found = beeps.find(both, 8000, rising=rising)
        assert [one.at for one in found] == pytest.approx(
            beeps.places(rising=rising), abs=0.001
        )


def test_what_is_no_beep_is_none() -> None:
    rng = np.random.default_rng(1)
    time = np.arange(16_000) / 8000
    for samples in (
        np.zeros(16_000),
        rng.standard_normal(16_000) * 0.1,
        np.sin(2 * np.pi * 1000 * time) * 0.3,
        said(rising=True) * 1e-4,
        np.zeros(10),
    ):
        assert beeps.find(samples, 8000, rising=True) == []


def test_a_recording_of_another_rate() -> None:
    samples = np.zeros(32_000)
    samples[16_000 : 16_000 + 3200] = beeps.beep(rising=False, rate=16_000)
    [found] = beeps.find(samples, 16_000, rising=False)
    assert found.at == pytest.approx(1.0, abs=0.001)


def test_beeps_are_at_whole_frames() -> None:
    places = beeps.places(rising=True) + beeps.places(rising=False)
    assert all((place * 50) == pytest.approx(round(place * 50)) for place in places)
