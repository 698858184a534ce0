"""A worker dies under calls that talk, without a service manager."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from tests.lab.daemon import Daemon
from tests.patience import PATIENCE
from tests.soak.chaos import run_round
from tests.soak.losses import Losses

pytestmark = pytest.mark.crash


@dataclass
class Alone:
    """A daemon that starts its workers itself."""

    daemon: Daemon

    def processes(self) -> dict[str, list[int]]:
        return self.daemon.processes()


def test_calls_do_not_notice_that_their_worker_dies(
    daemon_at: Callable[..., Daemon],
) -> None:
    daemon = daemon_at(spares=1).start()
    deadline = time.monotonic() + PATIENCE
    while not daemon.processes()["spare"]:
        assert time.monotonic() < deadline
    losses = Losses()
    run_round(Alone(daemon), "worker", calls=5, rng=random.Random(1), losses=losses)
    assert losses.kills == 1
    assert (losses.dropped, losses.recordings, losses.partial) == ([], 5, 5)
    assert losses.expected > 700
    assert losses.misplaced == 0
    # One packet that the dead worker had in its hands.
    assert losses.lost <= 1
    assert losses.unheard <= 1
    daemon.stop()
