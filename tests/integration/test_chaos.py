"""A short form of scripts/chaos: each process is killed once under live calls."""

from collections.abc import Iterator, Mapping

import pytest

from tests.soak.chaos import EVERYTHING, KINDS, desks, run
from tests.soak.losses import Losses
from tests.soak.midway import Desk

pytestmark = pytest.mark.integration

MIDWAY = ("re-INVITE/tls", "REFER/tls", "PRACK/udp")
"Each deed; the campaign has them all by each transport."


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mapping[str, Desk]]:
    with desks(tmp_path_factory.mktemp("chaos"), (*KINDS, *MIDWAY)) as sites:
        yield sites


def killed(sites: Mapping[str, Desk], kind: str) -> Losses:
    # Calls of one seed have the same names, and those before are remembered for 32 s.
    losses = run(sites, rounds=1, calls=6, seed=len(kind), kinds=[kind])[kind]
    assert losses.kills == 1
    assert (losses.dropped, losses.unopened, losses.misplaced) == ([], [], 0)
    assert losses.expected > 0
    return losses


def test_a_worker(sites: Mapping[str, Desk]) -> None:
    losses = killed(sites, "worker")
    # One packet that the dead worker had in its hands.
    assert losses.lost <= 1
    assert losses.recordings == losses.partial == 6


@pytest.mark.parametrize("kind", ["main", "finisher", *MIDWAY])
def test_who_holds_no_audio(sites: Mapping[str, Desk], kind: str) -> None:
    losses = killed(sites, kind)
    assert losses.lost == losses.partial == 0


def test_everything(sites: Mapping[str, Desk]) -> None:
    losses = killed(sites, EVERYTHING)
    assert losses.worst_ms[0] <= 1000
    assert losses.recordings == losses.partial == 6
