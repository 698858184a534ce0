"""A call centre's day in minutes: calls all the time, and everything that goes wrong.

    python -m tests.soak.day --seconds 300 --rate 2 --talk 4

One fault after the other while calls come and go: a media worker and a finisher are
killed, storage is away, the broker is killed, the spool's disk fills up, and the main
process is killed and started again, with no service manager to keep its calls. In the
end the phones' own records, the ledger, the metrics, the events and the stored objects
must tell the same of every call; what is not recorded as a whole is named with its
reason. Metrics that count begin anew with the process: they are held against what the
ledger has closed since, and those of the first process against its ledger when it died.
The disk needs root; without it nothing fills up.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from agent.common.clock import utc_ahead_ns
from agent.model.call import EndCause
from tests.bench.load import Call, Load
from tests.bench.usage import machine
from tests.lab.daemon import Daemon
from tests.lab.mosquitto import Mosquitto
from tests.lab.subscriber import Subscriber, first_of_each
from tests.ports import free_ports
from tests.soak.agreement import (
    JOURNAL,
    OBJECTS,
    Accounts,
    FirstLife,
    Samples,
    capture_rate,
    disagreements,
    misses,
)
from tests.soak.loads import new_load

DISK_MB = 192
"Of which 64 must be free for a recording to begin."
REASONS = (
    "spool_refused",
    "going_on_unrecorded",
    "recording_failed",
    "recording_interrupted",
    "sealed",
)
"What the log says of a call that is not recorded as a whole."
HIGH_WATER = 0.8
PATIENCE = 90.0
"Seconds after the last call for everything to be stored and told."
PREFIX = "recording_agent_"


class Site:
    """A daemon with its broker, who listens to it, and a small disk where it may be."""

    def __init__(self, root: Path, *, workers: int = 1) -> None:
        self.root = root
        self.disk = root / "disk"
        self.disk.mkdir()
        [self.port] = free_ports(1)
        self.broker = Mosquitto(root / "broker")
        self.before: FirstLife | None = None
        "What main had told when it was killed."
        self.daemon = Daemon(
            root / "site",
            notice=b"\x01\x02" * 1600,
            spool=self.disk / "spool",
            high_water=HIGH_WATER,
            workers=workers,
            spares=1,
        )
        with self.daemon.config.open("a") as file:
            file.write(f'[metrics]\nlisten = "127.0.0.1:{self.port}"\n')
            file.write("[mqtt]\n")
            for name, value in self.broker.section().items():
                file.write(f'{name} = "{value}"\n')
        # Last: whoever fails before this need not take it away.
        self.mounted = (
            os.geteuid() == 0
            and not subprocess.run(
                ["mount", "-t", "tmpfs", "-o", f"size={DISK_MB}m", "tmpfs", self.disk],
                check=False,
                capture_output=True,
            ).returncode
        )
        if not self.mounted:
            self.daemon.amend(f"water = {HIGH_WATER}", "water = 1.0")

    def samples(self) -> Samples:
        """What a scrape tells."""
        url = f"http://127.0.0.1:{self.port}/metrics"
        with urllib.request.urlopen(url, timeout=20) as answer:
            text = answer.read().decode()
        return {
            (sample.name.removeprefix(PREFIX), *sample.labels.values()): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def events_waiting(self) -> int:
        """In the outbox now; the metric is up to half a minute old."""
        path = self.daemon.spool / "ledger.sqlite"
        database = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        with contextlib.closing(database):
            [(count,)] = database.execute("SELECT count(*) FROM outbox")
        return int(count)

    def stored(self) -> dict[str, set[str]]:
        """Ids of the recordings of which storage has something, by what that is."""
        found = {suffix: set(self.daemon.stored(suffix)) for suffix in OBJECTS}
        # A recording may have several journals, and they have numbers.
        found[JOURNAL] = {name.partition(".")[0] for name in found[JOURNAL]}
        return found

    def kill_main(self) -> None:
        """kill -9 of main; the next one is started at once. Its calls are over."""
        closed = sum(row.outcome is not None for row in self.daemon.rows())
        samples = self.samples()
        self.daemon.kill(workers=False)
        self.before = FirstLife(rows=self.daemon.rows(), samples=samples, closed=closed)
        self.daemon.start()

    def close(self) -> None:
        self.daemon.kill()
        self.broker.stop()
        if self.mounted:
            subprocess.run(["umount", "-l", self.disk], check=True, timeout=10)


# -- what goes wrong ----------------------------------------------------------


async def kill_one(site: Site, kind: str) -> None:
    """End one of the daemon's processes, once there is one of that kind."""
    while not (found := site.daemon.processes()[kind]):
        await asyncio.sleep(0.1)
    os.kill(found[0], signal.SIGKILL)


@contextlib.asynccontextmanager
async def worker_killed(site: Site) -> AsyncIterator[None]:
    """A media worker dies under its calls."""
    await kill_one(site, "worker")
    yield


@contextlib.asynccontextmanager
async def finisher_killed(site: Site) -> AsyncIterator[None]:
    """A finisher dies at its work."""
    await kill_one(site, "finisher")
    yield


@contextlib.asynccontextmanager
async def storage_away(site: Site) -> AsyncIterator[None]:
    """Storage is not there, and comes back with all that it had."""
    storage, aside = site.daemon.root / "storage", site.daemon.root / "away"
    storage.rename(aside)
    yield
    aside.rename(storage)


@contextlib.asynccontextmanager
async def broker_killed(site: Site) -> AsyncIterator[None]:
    """The broker dies, and is started again on what it had written."""
    await asyncio.to_thread(site.broker.kill)
    yield
    await site.broker.start()


@contextlib.asynccontextmanager
async def disk_full(site: Site) -> AsyncIterator[None]:
    """The spool's disk is above its high-water mark: calls pass unrecorded."""
    filler = site.disk / "filler"
    if site.mounted:
        with filler.open("wb") as file:
            size = int(DISK_MB * (1 << 20) * (HIGH_WATER + 0.05))
            os.posix_fallocate(file.fileno(), 0, size)
    yield
    filler.unlink(missing_ok=True)


@contextlib.asynccontextmanager
async def main_killed(site: Site) -> AsyncIterator[None]:
    """The main process dies, its calls with it, and another one is started."""
    await asyncio.to_thread(site.kill_main)
    yield


Fault = Callable[[Site], AbstractAsyncContextManager[None]]
FAULTS: tuple[tuple[str, Fault], ...] = (
    ("media worker killed", worker_killed),
    ("storage away", storage_away),
    ("finisher killed", finisher_killed),
    ("broker killed", broker_killed),
    ("disk full", disk_full),
    ("media worker killed again", worker_killed),
)
KILLED: tuple[str, Fault] = ("main killed", main_killed)
"Costs every call that is up, and ten seconds; so not every day has it."


# -- the phones' own records --------------------------------------------------


def record_ids(load: Load) -> dict[int, str]:
    """The Call-IDs of the callers' INVITEs by the number of the call, as it runs."""
    found: dict[int, str] = {}
    begin = load._begin

    def note(number: int, now: float) -> None:
        begin(number, now)
        invite = load._cores[0].invite_of(load.calls[-1].legs[0].session)
        assert invite is not None
        found[number] = invite.call_id

    load._begin = note  # type: ignore[method-assign]
    return found


def write_records(path: Path, calls: list[Call], ids: dict[int, str]) -> None:
    """A file of call detail records, as a PBX would keep."""
    ahead = utc_ahead_ns() / 1e9

    def moment(monotonic: float) -> str:
        return datetime.fromtimestamp(monotonic + ahead, tz=UTC).isoformat()

    with path.open("w") as file:
        file.write("caller,id,begun,ended,status\n")
        for call in calls:
            ended = call.hung_up or call.talked or call.begun
            status = "ANSWERED" if call.talked else "NO ANSWER"
            line = f"04{call.number:08d}", ids[call.number], moment(call.begun)
            file.write(",".join((*line, moment(ended), status)) + "\n")


def reconcile(site: Site, records: Path) -> list[dict[str, object]]:
    """What `recording-agent reconcile` finds."""
    mapping = ["call-id=id", "begun=begun", "ended=ended", "status=status"]
    told = subprocess.run(
        [
            sys.executable, "-m", "agent", "reconcile", "-c", site.daemon.config,
            "--cdr", records, "--format", "generic", "--json",
            *(part for one in mapping for part in ("--mapping", one)),
        ],
        check=False,
        capture_output=True,
        timeout=120,
    )  # fmt: skip
    assert told.returncode in {0, 1}, told.stderr.decode()
    return [json.loads(line) for line in told.stdout.splitlines()]


# -- the day ------------------------------------------------------------------


@dataclass
class Result:
    """What came of it."""

    calls: int = 0
    answered: int = 0
    events: int = 0
    again: int = 0
    "Events that came more than once."
    recordings: int = 0
    rate: float = 0.0
    outcomes: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)
    "Each call that is not recorded as a whole, and why."
    disagreements: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    settled: float = 0.0
    "Seconds after the last call until everybody had told everything."


async def run_day(
    site: Site,
    *,
    seconds: float,
    rate: float,
    talk: float,
    seed: int = 1,
    faults: Sequence[tuple[str, Fault]] = FAULTS,
) -> Result:
    """Calls for so long, with every fault in between; then everybody is asked."""
    result = Result()
    await site.broker.start()
    async with Subscriber(site.broker.plain) as subscriber:
        await asyncio.to_thread(site.daemon.start)
        load = new_load(site.daemon, int(seconds * rate), talk, rate=rate, seed=seed)
        ids = record_ids(load)
        # Who was being connected when main was killed hears nothing more of it.
        running = asyncio.to_thread(load.run, limit=seconds + talk + 15)
        async with asyncio.TaskGroup() as group:
            group.create_task(running)
            suffering = suffer(site, seconds, result, random.Random(seed), faults)
            group.create_task(suffering)
        load.close()
        await settle(site, subscriber, load, result)
        records = site.root / "records.csv"
        write_records(records, load.calls, ids)
        found = await asyncio.to_thread(reconcile, site, records)
        await asyncio.to_thread(judge, site, subscriber, load, found, result)
    return result


async def suffer(
    site: Site,
    seconds: float,
    result: Result,
    rng: random.Random,
    faults: Sequence[tuple[str, Fault]],
) -> None:
    """One fault after the other, spread over the day."""
    each = seconds / (len(faults) + 1)
    await asyncio.sleep(each / 2)
    for name, fault in faults:
        lasts = each * rng.uniform(0.4, 0.6)
        async with fault(site):
            await asyncio.sleep(lasts)
        result.faults.append(f"{name}, for {lasts:.1f} s")
        await asyncio.sleep(each - lasts)


async def settle(
    site: Site, subscriber: Subscriber, load: Load, result: Result
) -> None:
    """Wait until every recording is stored, and every event has come."""
    begun = time.monotonic()

    def done() -> bool:
        rows = site.daemon.rows()
        if len(rows) < len(load.calls) or any(row.outcome is None for row in rows):
            return False
        if site.daemon.waiting() or site.events_waiting():
            return False
        gone = [e for e in subscriber.events() if e["kind"] == "purged"]
        wanted = {one.recording_id for row in rows for one in row.recordings}
        return wanted <= {event["recording_id"] for event in gone}

    while not await asyncio.to_thread(done):
        if time.monotonic() > begun + PATIENCE:
            result.disagreements.append("not all was stored and told in time")
            break
        await asyncio.sleep(0.5)
    # The last events of the last calls are on their way.
    await asyncio.sleep(1.0)
    result.settled = time.monotonic() - begun


def judge(
    site: Site,
    subscriber: Subscriber,
    load: Load,
    found: list[dict[str, object]],
    result: Result,
) -> None:
    """Have the four compared, and the phones."""
    rows = site.daemon.rows()
    told = subscriber.events()
    events = first_of_each(told)
    wrong = [one for one in found if one["finding"] != "captured"]
    accounts = Accounts(
        rows=rows,
        samples=site.samples(),
        events=events,
        stored=site.stored(),
        before=site.before,
        answered=sum(bool(call.talked) for call in load.calls),
        missed={str(call) for one in wrong for call in one.get("calls", ())},  # type: ignore[attr-defined]
    )
    result.disagreements += disagreements(accounts)
    result.disagreements += [
        f"reconcile: row {one.get('line')} is {one['finding']}"
        for one in wrong
        if one["finding"] != "not-captured"
    ]
    result.calls, result.answered = len(rows), accounts.answered
    result.events, result.again = len(events), len(told) - len(events)
    result.recordings = sum(len(row.recordings) for row in rows)
    result.rate = capture_rate(rows)
    result.outcomes.update(str(row.outcome) for row in rows)
    why = reasons(site)
    result.missed = [
        f"{row.call_id[:8]} {row.outcome}, -{row.missing_ms} ms: {why.get(row.call_id)}"
        for row in misses(rows)
    ]
    result.disagreements += [
        f"call {row.call_id} is {row.outcome}, and the log does not say why"
        for row in misses(rows)
        if row.call_id not in why
    ]


def reasons(site: Site) -> dict[str, str]:
    """By call, why it is not recorded as a whole, as far as the log says."""
    found: dict[str, str] = {}
    salvaged = {line["recording_id"] for line in site.daemon.log("recovered")}
    for row in site.daemon.rows():
        if row.cause == EndCause.AGENT_DIED:
            found[row.call_id] = "main was killed under it"
        elif salvaged.intersection(one.recording_id for one in row.recordings):
            found[row.call_id] = "main was killed before it was sealed"
    for line in site.daemon.log():
        if line["event"] not in REASONS or not line.get("call_id"):
            continue
        if line["event"] == "sealed":
            if line["missing_ms"]:
                found.setdefault(line["call_id"], f"{line['missing_ms']} ms missing")
        else:
            found[line["call_id"]] = f"{line['event']}: {line.get('reason', '')}"
    return found


def report(result: Result) -> None:
    """Print it."""
    rows = {
        "calls, answered": f"{result.calls}, {result.answered}",
        "outcomes": ", ".join(f"{n} {o}" for o, n in result.outcomes.most_common()),
        "recordings stored": f"{result.recordings}",
        "capture rate": f"{result.rate * 100:.2f} %",
        "events, of which came again": f"{result.events}, {result.again}",
        "settled after": f"{result.settled:.1f} s",
    }
    for name, value in rows.items():
        print(f"{name:32}{value}")
    for fault in result.faults:
        print(f"suffered: {fault}")
    for missed in result.missed:
        print(f"not whole: {missed}")
    for one in result.disagreements:
        print(f"DISAGREE: {one}")
    if not result.disagreements:
        print("phones, ledger, metrics, events and storage agree on every call")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--rate", type=float, default=2.0)
    parser.add_argument("--talk", type=float, default=4.0)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    print(f"machine: {machine()}, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(prefix="day-") as scratch:
        site = Site(Path(scratch))
        try:
            faults = (*FAULTS[:3], KILLED, *FAULTS[3:])
            result = asyncio.run(run_day(site, **vars(arguments), faults=faults))
        finally:
            site.close()
    report(result)
    sys.exit(bool(result.disagreements))


if __name__ == "__main__":
    main()
