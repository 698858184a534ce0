"""Every file of other people's SIP, SDP and captures, with the verdict we stand by.

The verdicts are in `tables`, one row for each file, with the reason; those on RFC 4475
and RFC 5118 stand in tests/signalling/sip/test_torture.py.
"""

import gc
import random
import re
import time
import tracemalloc
from pathlib import Path
from typing import Final

import pytest

from agent.model.media import Address
from agent.signalling.sip.core import UserAgentCore
from agent.signalling.sip.flow import Flow
from tests.captures import read_capture, read_streams
from tests.conformance.verdicts import counted, cut, described, judged, table
from tests.corpora import ROOT, corpus

SIP: Final = table("sip")
SDP: Final = table("sdp")
CAPTURES: Final = table("captures")
MESSAGES: Final = ("rfc4475", "rfc5118", "sip/phrsite", "sip/sipgo-fuzz")
FOLDERS: Final = {
    "sip": ("sip/phrsite", "sip/sipgo-fuzz"),
    "sdp": ("sdp/rfc", "sdp/drachtio", "sdp/sdp-transform"),
    "captures": ("pcap/suricata", "pcap/zeek", "pcap/tcpdump"),
}

_GO_SEED = re.compile(rb'string\("(.*)"\)')


def file(name: str) -> Path:
    """One file of the corpora; skips the test where they are absent."""
    folder, _, rest = name.rpartition("/")
    return corpus(folder) / rest


def message(path: Path) -> bytes:
    """A file's message; of a Go fuzzing seed, the string in it."""
    data = path.read_bytes()
    seed = _GO_SEED.search(data) if data.startswith(b"go test fuzz v1") else None
    if seed is None:
        return data
    return seed[1].decode("unicode_escape").encode("latin-1")


@pytest.mark.parametrize("name", SIP)
def test_sip(name: str) -> None:
    data = message(file(name))
    in_crlf = data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    if b"\r\n\r\n" not in in_crlf:
        in_crlf += b"\r\n"
    assert [judged(data), judged(in_crlf)] == SIP[name]


@pytest.mark.parametrize("name", SDP)
def test_sdp(name: str) -> None:
    assert described(file(name).read_bytes()) == SDP[name]


@pytest.mark.parametrize(
    "name", [name for name in SDP if name.startswith("sdp/drachtio")]
)
def test_each_half_of_a_file_of_two_descriptions(name: str) -> None:
    for half in file(name).read_bytes().split(b"__split_here__\n"):
        assert described(half)[1] in {"PCMA", "PCMU"}


@pytest.mark.parametrize("name", CAPTURES)
def test_captures(name: str) -> None:
    path = file(name)
    datagrams = counted(judged(datagram.payload) for datagram in read_capture(path))
    for step in (1 << 20, 1460, 7):
        streams = [cut(stream, step) for stream in read_streams(path)]
        verdicts = counted(verdict for stream in streams for verdict in stream)
        assert [datagrams, verdicts] == CAPTURES[name]


@pytest.mark.parametrize("name", FOLDERS)
def test_no_file_is_left_out(name: str) -> None:
    files = [path for folder in FOLDERS[name] for path in corpus(folder).iterdir()]
    assert {str(path.relative_to(ROOT)) for path in files} == table(name).keys()


def everything() -> list[bytes]:
    """Every message and datagram of the corpora, as a user agent might get them."""
    found = [
        message(path)
        for folder in MESSAGES
        for path in sorted(corpus(folder).iterdir())
    ]
    for name in CAPTURES:
        found += [datagram.payload for datagram in read_capture(file(name))]
        found += read_streams(file(name))
    return found


def test_nothing_takes_long() -> None:
    for data in everything():
        began = time.thread_time()
        judged(data)
        described(data)
        cut(data, 1460)
        assert time.thread_time() - began < 0.25


def test_nothing_stays() -> None:
    datagrams = everything()
    core = UserAgentCore(rng=random.Random(1), product="test")
    flow = Flow("udp", Address("192.0.2.1", 5060), Address("192.0.2.2", 5060))
    now = 0.0

    def round_trip() -> None:
        nonlocal now
        for data in datagrams:
            core.receive(data, flow, now)
            while (event := core.next_event()) is not None:
                if type(event).__name__ == "InviteReceived":
                    core.refuse(event.session, now, status=404)
            core.data_to_send()
        now += 200.0
        while (due := core.get_timer()) is not None and due <= now:
            core.handle_timer(due)
        core.data_to_send()

    round_trip()
    gc.collect()
    tracemalloc.start()
    try:
        round_trip()
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(3):
            round_trip()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(core) == 0
    assert after - before < 20_000
