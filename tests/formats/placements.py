"""Packets as numbers, for the placement's tests."""

from collections.abc import Sequence

import numpy as np

from agent.formats.placement import Placement, place

RATE = 8000


def placement(
    packets: Sequence[tuple[int, int, float]],
    *,
    samples: int | Sequence[int] = 160,
    scale: int | Sequence[int] = 1,
) -> Placement:
    """Place (sequence number, timestamp, arrival in samples) in arrival order."""
    columns = list(zip(*packets, strict=True)) or [(), (), ()]
    return place(
        np.array(columns[0], np.int64) % (1 << 16),
        np.array(columns[1], np.int64) % (1 << 32),
        np.array(columns[2], np.float64),
        length=np.broadcast_to(np.array(samples, np.int64), len(packets)),
        scale=np.broadcast_to(np.array(scale, np.int64), len(packets)),
        clock_rate=RATE,
    )


def talk(
    count: int, *, sequence: int = 0, timestamp: int = 0, arrival: float = 0.0
) -> list[tuple[int, int, float]]:
    """A talkspurt: every number a step of 160 samples, arriving on time."""
    return [
        (sequence + n, timestamp + n * 160, arrival + n * 160) for n in range(count)
    ]


def stream(
    seconds: float,
    ppm: float,
    *,
    jitter_ms: float = 40,
    steps: tuple[tuple[float, float], ...] = (),
    talking: float = 1.0,
    seed: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """RTP time and transit of a sender whose clock is slow by `ppm`.

    `steps` are the parts of the call after which the way is so many ms longer.
    """
    rng = np.random.default_rng(seed)
    packets = np.arange(round(seconds * 50))
    if talking < 1:
        spurts = rng.random(len(packets) // 50 + 1) < talking
        packets = packets[np.repeat(spurts, 50)[: len(packets)]]
    time = packets * 160
    transit = time * ppm * 1e-6 + rng.uniform(0, jitter_ms, len(time)) * 8
    for part, longer in steps:
        transit += np.where(time > part * seconds * RATE, longer * 8, 0)
    return time, transit
