"""What runs in a network that leads nowhere is found out, whomever it asks.

The demo's own test runs there: an agent that records to a directory connects to nobody
but its callers.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.lab import alone

pytestmark = pytest.mark.integration

CURIOUS = """
import contextlib, socket
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
    udp.sendto(b"?", ("192.0.2.1", 53))
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as udp:
    udp.sendto(b"?", ("2001:db8:1::1", 53))
with socket.socket() as tcp, contextlib.suppress(OSError):
    tcp.settimeout(0.2)
    tcp.connect(("192.0.2.2", 443))
"""


@pytest.mark.skipif(
    not alone.possible(), reason="only root makes network namespaces with tunnels"
)
def test_whoever_asks_anybody_is_found_out(tmp_path: Path) -> None:
    file = tmp_path / "packets"
    words = alone.command(file, sys.executable, "-c", CURIOUS)
    root = Path(__file__).resolve().parents[2]
    subprocess.run(words, cwd=root, env=os.environ, check=True, timeout=30)
    assert file.read_text().splitlines() == [
        "udp 192.0.2.1 53",
        "udp 2001:db8:1::1 53",
        "tcp 192.0.2.2 443",
    ]
