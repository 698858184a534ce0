"""The power is cut after each step of a recorded call's life, in every way it may be.

All states, and cuts of each recovery: `scripts/soak power-cut`.
"""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.model.recording import Kept, RecordingFormat
from tests.power.campaign import Campaign

pytestmark = pytest.mark.crash


@pytest.fixture
def memory() -> Iterator[Path]:
    """A directory in memory, where there is one: nothing here needs a real disk."""
    place = Path("/dev/shm")  # noqa: S108 - a directory of our own below it
    with tempfile.TemporaryDirectory(dir=place if place.is_dir() else None) as root:
        yield Path(root)


def ends(whole: str) -> set[str]:
    """How starts end, where the cuts were where they should be."""
    return {
        "nothing to do: never begun",
        "dropped: never begun",
        "salvaged: partial, a part of it",
        f"salvaged: {whole}, all of it",
        f"kept: {whole}, all of it",
        f"nothing to do: {whole}, all of it",
    }


def test_no_recording_is_lost_doubled_or_in_the_clear(memory: Path) -> None:
    """Whatever a cut leaves of a call whose media worker had died, too."""
    tally = Campaign(memory, Kept(), dies=True).run(every=5, recovery_every=400)
    assert tally.broken == []
    assert set(tally.ends) >= ends("partial")
    assert tally.steps > 120
    assert tally.cuts > 250
    assert tally.recovery_cuts > 20


def test_a_recording_kept_as_flac_is_as_safe(memory: Path) -> None:
    kept = Kept(format=RecordingFormat.FLAC)
    tally = Campaign(memory, kept).run(every=13, recovery_every=1500)
    assert tally.broken == []
    assert set(tally.ends) >= ends("recorded") - {"kept: recorded, all of it"}
