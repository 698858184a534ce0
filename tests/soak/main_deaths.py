"""Live calls under a booted systemd while main is killed, and restarted, at random.

    python -m tests.soak.main_deaths --calls 20 --rounds 10

Every frame tells call, leg and index: what is lost on the way, and in the recordings,
is counted. Needs root and `scripts/setup --lab`.
"""

import argparse
import random
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

from agent.model.media import Address
from tests.bench.load import Load
from tests.bench.media import compare_all
from tests.bench.usage import machine
from tests.lab.booted import booted
from tests.lab.daemon import SERVICE, Daemon
from tests.lab.service import Service


class Deaths:
    """One main process after the other, while the calls of a load talk."""

    def __init__(self, service: Service, load: Load, rounds: int, seed: int) -> None:
        self._service, self._load = service, load
        self._rounds = rounds
        self._rng = random.Random(seed)
        self._pause = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.seconds: list[float] = []
        "From each death to READY=1 of the next one."
        self.failed: BaseException | None = None

    def watch(self, now: float) -> None:
        """Called by the load's clock, ten times a second."""
        calls = self._load.calls
        begun = self._thread.ident is not None
        if not begun and len(calls) == self._load._total:
            if all(call.talked for call in calls):
                self._thread.start()
        elif begun and not self._thread.is_alive():
            for call in calls:
                self._load._hang_up(call, now)
            return
        self._load._at(now + 0.1, self.watch)

    def _run(self) -> None:
        try:
            for _ in range(self._rounds):
                self._pause.wait(self._rng.uniform(0.2, 4.0))
                how = self._rng.choice([self._service.kill, self._service.restart])
                began = time.monotonic()
                how()
                self.seconds.append(time.monotonic() - began)
        except BaseException as error:  # noqa: BLE001 - told by who waits
            self.failed = error


def run(service: Service, *, calls: int, rounds: int, seed: int) -> None:
    """Kill `rounds` times; print what came of it."""
    daemon = service.daemon
    load = Load(
        agent=Address("127.0.0.1", daemon.sip),
        caller=Address("127.0.0.1", daemon.caller),
        officer=Address("127.0.0.1", daemon.officers[0]),
        service=SERVICE,
        rate=5.0,
        calls=calls,
        talk=1000.0,
        keep_delays=False,
    )
    deaths = Deaths(service, load, rounds, seed)
    load._at(time.monotonic() + 0.5, deaths.watch)
    load.run(limit=60.0 + 10.0 * rounds)
    if deaths.failed is not None:
        raise deaths.failed
    failed = [c.failed or "never ended" for c in load.calls if c.failed or not c.ended]
    daemon.wait_for("stored", count=calls, timeout=60)
    recordings, found, expected = compare_all(load, daemon.recordings(), [])
    load.close()
    restarts = deaths.seconds
    print(f"deaths of main: {len(restarts)}, calls: {calls}")
    print(f"calls dropped: {len(failed)} {failed or ''}")
    print(f"recordings: {recordings}, {found} of {expected} frames exact and in place")
    lost = 20 * (expected - found) / len(restarts) / calls
    print(f"audio lost per death and call: {lost:.1f} ms")
    print(f"ledger: {dict(Counter(str(row.outcome) for row in daemon.rows()))}")
    print(f"until the next main was ready: {max(restarts):.2f} s at most")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    print(f"machine: {machine()}")
    with tempfile.TemporaryDirectory(prefix="soak-") as scratch:
        root = Path(scratch)
        daemon = Daemon(root / "site", notice=b"\x01\x02" * 8000)
        with booted(root / "system", daemon.root) as system:
            service = Service(system, daemon)
            service.start()
            try:
                run(
                    service,
                    calls=arguments.calls,
                    rounds=arguments.rounds,
                    seed=arguments.seed,
                )
            finally:
                service.stop()


if __name__ == "__main__":
    main()
