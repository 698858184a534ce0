from array import array

import numpy as np
import pytest
from hypothesis import given, strategies as st

from agent.formats.codecs.opus import packet_ticks
from agent.formats.durations import clock_rate_of, durations, is_opus
from agent.formats.rtp.headers import parse_headers

HEADER = bytes((0x80, 8, *bytes(10)))
NAMES = ("", "PCMU", "PCMA", "G722", "CN", "telephone-event", "opus")


def ticks(*packets: tuple[str, bytes]) -> list[int]:
    """Durations of payloads, each of a codec of its own."""
    data = b"".join(HEADER + payload for _, payload in packets)
    sizes = array("H", [12 + len(payload) for _, payload in packets])
    headers = parse_headers(bytearray(data), sizes)
    codec = np.array([NAMES.index(name) for name, _ in packets], np.int64)
    return durations(NAMES, codec, headers, bytearray(data)).tolist()


@pytest.mark.parametrize(
    ("name", "rate"),
    [("", 8000), ("PCMU", 8000), ("G722", 8000), ("CN", 8000), ("opus", 48_000),
     ("OPUS", 48_000)],
)  # fmt: skip
def test_clock_rates(name: str, rate: int) -> None:
    assert clock_rate_of(name) == rate
    assert is_opus(name) is (rate == 48_000)


def test_an_octet_is_a_tick_of_what_counts_8000() -> None:
    packets = [("PCMA", bytes(160)), ("G722", bytes(80)), ("", bytes(7))]
    silent = [("CN", bytes(1)), ("telephone-event", bytes(4))]
    assert ticks(*packets, *silent) == [160, 80, 0, 0, 0]


@given(st.lists(st.binary(max_size=6), min_size=1))
def test_opus_says_itself(payloads: list[bytes]) -> None:
    packets = [("opus", payload) for payload in payloads]
    assert ticks(("PCMU", b"\0\0"), *packets) == [2, *map(packet_ticks, payloads)]
