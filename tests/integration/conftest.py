"""Fixtures for tests with a real daemon."""

import math
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.lab.daemon import Daemon


def tone(frequency: float, seconds: float, amplitude: int = 9000) -> bytes:
    """16-bit samples of a sine, 8 kHz, whole 20 ms frames."""
    count = round(seconds * 50) * 160
    step = 2 * math.pi * frequency / 8000
    values = (round(amplitude * math.sin(step * n)) for n in range(count))
    return b"".join(struct.pack("<h", value) for value in values)


@pytest.fixture
def daemon_at(tmp_path: Path) -> Iterator[Callable[..., Daemon]]:
    """Makes daemons; ends every one of them, in good order or not."""
    made: list[Daemon] = []

    def make(name: str = "site", **options: Any) -> Daemon:
        options.setdefault("notice", tone(600, 0.4))
        daemon = Daemon(tmp_path / name, **options)
        made.append(daemon)
        return daemon

    yield make
    for daemon in made:
        daemon.kill()


@pytest.fixture
def daemon(daemon_at: Callable[..., Daemon]) -> Daemon:
    """One that is like most, started."""
    return daemon_at().start()
