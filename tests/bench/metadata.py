"""Calls beside a recording client that sends large metadata as fast as it may.

One load of calls is placed twice in one run, first alone and then under the attack.
Told are how long the calls took to be set up, and how long main answered nobody: the
longest that a peer waited for the answer to an OPTIONS request, of which it sends a
hundred a second.
"""

import argparse
import itertools
import multiprocessing
import os
import selectors
import socket
import statistics
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.model.media import Address
from tests.bench.load import Load
from tests.bench.usage import machine, usage
from tests.lab.daemon import SERVICE, Daemon
from tests.lab.siprec import documents as doc
from tests.lab.siprec.messages import body_of, description, written

CLIENT: Final = "127.0.1.9"
PROBE: Final = "127.0.1.8"
SITE: Final = f"""
[[peers]]
name = "client"
match = ["{CLIENT}"]
[[peers]]
name = "probe"
match = ["{PROBE}"]
[[siprec]]
name = "beside"
from = "client"
notice = "statement:The client says so."
"""
LARGEST: Final = 60_000
"Octets of metadata: a message has at most 64 KiB."
ASKED: Final = 0.01
"Seconds between two questions."


def expensive() -> bytes:
    """The document of LARGEST octets that takes longest to read and to decide on."""
    call = doc.session("call")
    people: list[str] = []
    size = len(doc.document(call))
    for number in itertools.count():
        one = f'<participant participant_id="{number:x}"><nameID aor="{number}"/>'
        one += "</participant>"
        size += len(one)
        if size > LARGEST:
            return doc.document(call, *people)
        people.append(one)
    raise AssertionError("unreachable")


@dataclass
class Dialog:
    """Requests as they are written, of one dialog."""

    at: Address
    to: str = "<sip:recorder@127.0.0.1>"

    def request(self, method: str, number: int, body: bytes, kind: str) -> bytes:
        name = f"{self.at.host}-{self.at.port}"
        lines = [
            f"Via: SIP/2.0/TCP {self.at};branch=z9hG4bK{name}-{number}-{method}",
            f"From: <sip:src@{self.at}>;tag={name}",
            f"To: {self.to}",
            f"Call-ID: {name}",
            f"CSeq: {number} {method}",
            f"Contact: <sip:src@{self.at};transport=tcp>;+sip.src",
            "Max-Forwards: 70",
            "Require: siprec",
        ]
        if kind:
            lines.append(f"Content-Type: {kind}")
        return written(f"{method} sip:recorder@127.0.0.1 SIP/2.0", lines, body)


class Attacker:
    """One connection with one recording session."""

    def __init__(self, remote: int, document: bytes) -> None:
        self._document = document
        self._numbers = itertools.count(2)
        self._unsent = b""
        self.sent = 0
        self.sock = socket.socket()
        self.sock.bind((CLIENT, 0))
        self.sock.connect(("127.0.0.1", remote))
        self._dialog = Dialog(Address(*self.sock.getsockname()))
        stream = "m=audio 30000 RTP/AVP 8\r\na=label:1\r\na=sendonly"
        body = body_of(description(1, [stream]), document)
        self.sock.sendall(self._dialog.request("INVITE", 1, *body))
        answer = b""
        while b"SIP/2.0 200" not in answer:
            answer += self.sock.recv(65536)
        to = answer.rpartition(b"\nTo: ")[2].partition(b"\r\n")[0]
        self._dialog.to = to.decode()
        self.sock.sendall(self._dialog.request("ACK", 1, b"", ""))
        self.sock.setblocking(False)

    def go_on(self, ready: int) -> None:
        """Read and write what can be."""
        if ready & selectors.EVENT_READ:
            self.sock.recv(1 << 16)
        if ready & selectors.EVENT_WRITE:
            if not self._unsent:
                body = body_of(b"", self._document)
                number = next(self._numbers)
                self._unsent = self._dialog.request("UPDATE", number, *body)
                self.sent += 1
            self._unsent = self._unsent[self.sock.send(self._unsent) :]


def attack(remote: int, connections: int, until: float) -> int:
    """Send metadata over so many connections; how many documents went."""
    document = expensive()
    every = [Attacker(remote, document) for _ in range(connections)]
    ends = selectors.DefaultSelector()
    for one in every:
        ends.register(one.sock, selectors.EVENT_READ | selectors.EVENT_WRITE, one)
    while time.monotonic() < until:
        for key, ready in ends.select(0.1):
            key.data.go_on(ready)
    return sum(one.sent for one in every)


class Probe:
    """Asks main a hundred times a second, until it is left."""

    def __init__(self, remote: int) -> None:
        self._remote = remote
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.waits: list[float] = []
        "Seconds for each answer."

    def __enter__(self) -> "Probe":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((PROBE, 0))
            sock.connect(("127.0.0.1", self._remote))
            sock.settimeout(ASKED)
            dialog, asked = Dialog(Address(*sock.getsockname())), dict[int, float]()
            for number in itertools.count(1):
                if self._over.is_set() and not asked:
                    return
                now = time.monotonic()
                if not self._over.is_set():
                    asked[number] = now
                    sock.send(dialog.request("OPTIONS", number, b"", ""))
                while time.monotonic() < now + ASKED:
                    try:
                        answer = sock.recv(65536)
                    except TimeoutError:
                        break
                    heard = int(answer.partition(b"CSeq: ")[2].split()[0])
                    if (since := asked.pop(heard, None)) is not None:
                        self.waits.append(time.monotonic() - since)


@dataclass
class Half:
    """What one load of calls saw."""

    set_up: list[float]
    "Seconds from INVITE to talk."
    failed: int
    waits: list[float]
    main: float
    "Of a core."

    def report(self, what: str) -> None:
        set_up, waits = sorted(self.set_up), sorted(self.waits)
        print(
            f"{what}: {len(set_up)} calls, {self.failed} failed; set up in"
            f" {statistics.median(set_up) * 1000:.0f} ms (median),"
            f" {set_up[-1] * 1000:.0f} ms at most; main answered in"
            f" {statistics.median(waits) * 1000:.1f} ms (median),"
            f" {waits[len(waits) * 99 // 100] * 1000:.0f} ms (99 %),"
            f" {waits[-1] * 1000:.0f} ms at most; main used {self.main:.2f} of a core"
        )


def half(daemon: Daemon, calls: int, rate: float, seed: int) -> Half:
    """Place calls, and ask main meanwhile."""
    load = Load(
        agent=Address("127.0.0.1", daemon.sip),
        caller=Address("127.0.0.1", daemon.caller),
        officer=Address("127.0.0.1", daemon.officers[0]),
        service=SERVICE,
        rate=rate,
        calls=calls,
        talk=1.0,
        keep_delays=False,
        seed=seed,
    )
    before, started = usage(daemon).by_role["main"], time.monotonic()
    with Probe(daemon.sip) as probe:
        load.run(limit=calls / rate + 30)
    used = usage(daemon).by_role["main"] - before
    load.close()
    set_up = [one.talked - one.begun for one in load.calls if one.talked]
    failed = sum(not one.talked for one in load.calls)
    return Half(set_up, failed, probe.waits, used / (time.monotonic() - started))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=60)
    parser.add_argument("--rate", type=float, default=6.0)
    parser.add_argument("--connections", type=int, default=8)
    arguments = parser.parse_args()
    print(f"machine: {machine()}, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        daemon = Daemon(Path(scratch), notice=b"\x01\x02" * 800)
        udp = f'"udp:127.0.0.1:{daemon.sip}"'
        daemon.amend(f"[{udp}]", f"[{udp}, {udp.replace('udp', 'tcp')}]")
        with daemon.config.open("a") as config:
            config.write(SITE)
        daemon.start()
        try:
            compare(daemon, arguments)
        finally:
            daemon.stop()


def compare(daemon: Daemon, arguments: argparse.Namespace) -> None:
    """Calls alone, and calls under the attack."""
    calls, rate = arguments.calls, arguments.rate
    alone = half(daemon, calls, rate, seed=1)
    alone.report("alone")
    until = time.monotonic() + calls / rate + 8
    spawn = multiprocessing.get_context("spawn")
    with spawn.Pool(1) as pool:
        sending = pool.apply_async(attack, (daemon.sip, arguments.connections, until))
        time.sleep(2.0)
        under = half(daemon, calls, rate, seed=2)
        sent = sending.get()
    under.report("under the attack")
    longest = max(under.waits) / max(alone.waits)
    set_up = statistics.median(under.set_up) / statistics.median(alone.set_up)
    print(
        f"{sent} documents of {len(expensive())} octets sent; longest wait"
        f" {longest:.1f} times, median set-up {set_up:.2f} times that alone;"
        f" {len(daemon.log('metadata_unread'))} times told"
    )


if __name__ == "__main__":
    main()
