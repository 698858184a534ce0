"""A short round of tests/soak/chaos.py: a worker dies under calls that talk."""

import os
import random
import signal
import time
from collections.abc import Callable

import pytest

from tests.lab.daemon import Daemon
from tests.soak import chaos

pytestmark = pytest.mark.crash


def test_calls_do_not_notice_that_their_worker_dies(
    daemon_at: Callable[..., Daemon], monkeypatch: pytest.MonkeyPatch
) -> None:
    daemon = daemon_at(spares=1).start()
    result = chaos.Result()
    deadline = time.monotonic() + 10
    while not chaos.processes(daemon)["spare"]:
        assert time.monotonic() < deadline

    def kill(killer: chaos.Killer, _: float) -> None:
        for pid in chaos.processes(daemon)["worker"]:
            os.kill(pid, signal.SIGKILL)
            result.kills["worker"] += 1

    monkeypatch.setattr(chaos.Killer, "_kill", kill)
    chaos.run_round(daemon, calls=5, talk=5.0, rng=random.Random(1), result=result)
    assert result.kills["worker"] == 1
    assert (result.dropped, result.recordings) == ([], 5)
    assert result.clicks.expected > 1500
    assert result.clicks.misplaced == 0
    # One packet that the dead worker had in its hands.
    assert result.clicks.lost <= 1
    assert result.clicks.unheard <= 1
    daemon.stop()
