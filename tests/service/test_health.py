from dataclasses import dataclass, replace

import pytest

from agent.service.health import (
    JOURNAL_SECONDS,
    WORKER_SECONDS,
    Health,
    Signs,
    judge,
)

NOW = 1000.0


@dataclass(frozen=True)
class Worker:
    up: bool = True
    seen_ns: int = int(NOW * 1e9)
    journal_lag: float = 0.0


WELL = Signs(workers=(Worker(), Worker()))


def test_all_is_well() -> None:
    report = judge(WELL, NOW + WORKER_SECONDS)
    assert (report.alive, report.ready, report.findings) == (True, True, ())


@pytest.mark.parametrize(
    ("stuck", "told"),
    [
        (Worker(seen_ns=int((NOW - WORKER_SECONDS - 1) * 1e9)), "no sign of life"),
        (Worker(journal_lag=JOURNAL_SECONDS + 1), "not been durable"),
    ],
)
def test_what_a_restart_would_free_is_not_alive(stuck: Worker, told: str) -> None:
    report = judge(replace(WELL, workers=(Worker(), stuck)), NOW)
    assert (report.alive, report.ready) == (False, False)
    [finding] = report.findings
    assert "worker 1" in finding
    assert told in finding


@pytest.mark.parametrize(
    ("signs", "told"),
    [
        (replace(WELL, workers=(Worker(up=False, seen_ns=0),) * 2), "No media worker"),
        (Signs(), "No media worker"),
        (replace(WELL, no_room="the spool has 3 MiB left."), "3 MiB"),
        (replace(WELL, draining=True), "drained"),
    ],
)
def test_who_takes_no_calls_is_alive_and_not_ready(signs: Signs, told: str) -> None:
    report = judge(signs, NOW)
    assert (report.alive, report.ready) == (True, False)
    [finding] = report.findings
    assert told in finding


@pytest.mark.parametrize(
    ("signs", "told"),
    [
        (replace(WELL, workers=(Worker(), Worker(up=False, seen_ns=0))), "1 of 2"),
        (replace(WELL, away=("north", "south")), "north, south"),
        (replace(WELL, day_keys_for=0), "day key"),
    ],
)
def test_what_calls_do_not_hang_on_is_told(signs: Signs, told: str) -> None:
    report = judge(signs, NOW)
    assert (report.alive, report.ready) == (True, True)
    [finding] = report.findings
    assert told in finding


def test_before_the_start_is_over_it_is_not_ready() -> None:
    health = Health(lambda: WELL)
    assert health.look(NOW).alive
    assert not health.look(NOW).ready
    health.started = True
    assert health.look(NOW).ready
