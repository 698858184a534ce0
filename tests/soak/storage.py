"""Everything that goes wrong with an object store, while hundreds of recordings wait.

    python -m tests.soak.storage --recordings 500 --hold 10

Real uploads to a real store, through a server that can be told to disturb them. One
fault after the other, each until it has been noticed and for some seconds more; then
storage must have each object once, as it was, the local copies must be gone, and each
alarm that was raised must have been cleared.
"""

import argparse
import asyncio
import contextlib
import dataclasses
import os
import random
import re
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any, Final
from unittest import mock

import structlog
import structlog.testing

from agent.common.clock import utc_now
from agent.common.outgoing import Destination, Outgoing, StorageKeys
from agent.common.regions import RegionConfig
from agent.recording.spool import Spool
from agent.upload import retry, target_line
from agent.upload.backends import s3_client as s3_client_module
from agent.upload.backends.s3 import S3Backend
from agent.upload.backends.s3_client import S3Client
from agent.upload.targets import Target
from agent.upload.uploader import Uploader
from tests.bench.usage import machine
from tests.fakes.s3 import FakeS3, Request, Response, Serve, refusal
from tests.lab.ceph import Ceph, Keys
from tests.lab.s3 import s3_client
from tests.soak.backlog import fill

LONGEST: Final = 1.0
"Seconds between attempts, at most: the agent's own minutes would be most of the time."
PATIENCE: Final = 60.0
"Seconds in which a fault is to be noticed, and got over."
FILES: Final = (("key.age", "keys", 6000), ("wav.age", "audio", 16_000))
"Of a recording, one in each bucket: suffix, folder, bytes."
LOCKED: Final = "faults-locked"
STATE: Final = "faults-state"


@dataclass
class Result:
    """What came of it."""

    recordings: int
    seconds: float = 0.0
    noticed: dict[str, float] = field(default_factory=dict)
    "Seconds until a fault was told of, by its name …"
    over: dict[str, float] = field(default_factory=dict)
    "… and from its end until recordings were stored again."
    failures: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    "What the alarms said, without the names in it."
    stored: int = 0
    missing: int = 0
    "Objects that storage has not …"
    damaged: int = 0
    "… or has otherwise, or without its lock …"
    versions: int = 0
    "… or has again: further versions of the same bytes."
    told_twice: int = 0
    left: int = 0
    "Recordings still in the spool."
    alarms_left: int = 0
    "Outages that were told to have begun, and not to be over."

    @property
    def fine(self) -> bool:
        """Whether all is stored, once, as it was, and nothing is left."""
        bad = (self.missing, self.damaged, self.told_twice, self.left, self.alarms_left)
        return self.stored == self.recordings and not any(bad)


class Site:
    """A spool full of recordings, an uploader, and a store behind a disturber."""

    def __init__(self, ceph: Ceph, root: Path, recordings: int, prefix: str) -> None:
        self.ceph = ceph
        self.keys = [ceph.user("faults")]
        "What the file of credentials holds now."
        self.proxy = FakeS3(ceph.endpoint)
        self.prefix = prefix
        self.spool = Spool(root / "spool")
        self.spool.prepare()
        with mock.patch("os.fsync"):  # nothing of it is to outlive a power cut
            self.wanted = fill(self.spool, recordings, FILES)
        self.told: Counter[str] = Counter()

    def new_uploader(self) -> Uploader:
        """One that reaches the store through the disturber, and does not wait long."""

        async def stored(recording_id: str) -> None:
            self.told[recording_id] += 1

        async def purged(_recording_id: str) -> None:
            pass

        client = S3Client(
            Outgoing(RegionConfig()),
            Destination("storage[0]", self.proxy.endpoint, "FI"),
            lambda: StorageKeys(self.keys[-1].access, self.keys[-1].secret),
            connect_seconds=1.0,
            read_seconds=2.0,
        )
        target = Target(
            S3Backend(client, LOCKED, self.prefix, lock="governance"),
            S3Backend(client, STATE, self.prefix),
            "ceph",
        )
        return Uploader(self.spool, [target], on_stored=stored, on_purged=purged)

    @property
    def s3(self) -> Any:
        """A client that nobody disturbs."""
        return s3_client(self.ceph.endpoint, self.keys[-1])

    def make_buckets(self) -> None:
        s3 = self.s3
        s3.create_bucket(Bucket=LOCKED, ObjectLockEnabledForBucket=True)
        retention = {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 1}}
        lock = {"ObjectLockEnabled": "Enabled", "Rule": retention}
        s3.put_object_lock_configuration(Bucket=LOCKED, ObjectLockConfiguration=lock)
        s3.create_bucket(Bucket=STATE)

    def close(self) -> None:
        self.proxy.close()
        self.spool.close()


Fault = Callable[[Site], AbstractAsyncContextManager[None]]


@contextlib.asynccontextmanager
async def disturbed(
    site: Site, behave: Callable[[Request, Serve], Response]
) -> AsyncIterator[None]:
    site.proxy.behave = behave
    try:
        yield
    finally:
        site.proxy.behave = lambda request, serve: serve(request)


def overload(site: Site) -> AbstractAsyncContextManager[None]:
    """It answers 503, as stores do that want to be asked less."""
    return disturbed(site, lambda _request, _serve: refusal(503, "SlowDown"))


def slow_writes(site: Site) -> AbstractAsyncContextManager[None]:
    """It takes its time for each third put: more than we wait."""
    asked = iter(range(10**9))

    def behave(request: Request, serve: Serve) -> Response:
        answer = serve(request)
        if request.method == "PUT" and next(asked) % 3 == 0:
            time.sleep(2.5)
        return answer

    return disturbed(site, behave)


def flipped_bits(site: Site) -> AbstractAsyncContextManager[None]:
    """What goes to it arrives altered, half of the time."""
    rng = random.Random(7)

    def behave(request: Request, serve: Serve) -> Response:
        if request.method == "PUT" and request.body and rng.random() < 0.5:
            altered = bytes([request.body[0] ^ 1]) + request.body[1:]
            request = dataclasses.replace(request, body=altered)
        return serve(request)

    return disturbed(site, behave)


def wrong_checksums(site: Site) -> AbstractAsyncContextManager[None]:
    """What it tells of what it keeps is not what was put, half of the time."""
    rng = random.Random(8)

    def behave(request: Request, serve: Serve) -> Response:
        answer = serve(request)
        if request.method == "HEAD" and rng.random() < 0.5:
            answer.headers["x-amz-checksum-sha256"] = "A" * 43 + "="
        return answer

    return disturbed(site, behave)


def dropped_locks(site: Site) -> AbstractAsyncContextManager[None]:
    """It says nothing of locks, as some servers do that know of none."""

    def behave(request: Request, serve: Serve) -> Response:
        answer = serve(request)
        for name in [n for n in answer.headers if n.startswith("x-amz-object-lock")]:
            del answer.headers[name]
        return answer

    return disturbed(site, behave)


def cut_answers(site: Site) -> AbstractAsyncContextManager[None]:
    """Connections end after the request was carried out, and before the answer."""

    def behave(request: Request, serve: Serve) -> Response:
        serve(request)
        raise ConnectionResetError

    return disturbed(site, behave)


@contextlib.asynccontextmanager
async def dead_gateway(site: Site) -> AsyncIterator[None]:
    """The gateway is killed."""
    await asyncio.to_thread(site.ceph.rgw.kill)
    try:
        yield
    finally:
        await asyncio.to_thread(site.ceph.rgw.start)


@contextlib.asynccontextmanager
async def hanging_disk(site: Site) -> AsyncIterator[None]:
    """The daemon of the disk stands still: puts hang, and may be done later."""
    with site.ceph.osd.paused():
        yield


@contextlib.asynccontextmanager
async def full(site: Site) -> AsyncIterator[None]:
    """Our share of the store is used up."""
    await asyncio.to_thread(site.ceph.limit, site.keys[-1], 1)
    try:
        yield
    finally:
        await asyncio.to_thread(site.ceph.limit, site.keys[-1], None)


@contextlib.asynccontextmanager
async def expired_keys(site: Site) -> AsyncIterator[None]:
    """Our keys are withdrawn; new ones come later, in the same file."""
    old = site.keys[-1]
    new = Keys(old.user, f"N{old.access[1:]}", f"N{old.secret[1:]}")
    await asyncio.to_thread(site.ceph.give_keys, new)
    await asyncio.to_thread(site.ceph.take_keys, old)
    try:
        yield
    finally:
        site.keys.append(new)


@contextlib.asynccontextmanager
async def wrong_clock(_site: Site) -> AsyncIterator[None]:
    """This host's clock is an hour late."""
    import botocore.auth  # noqa: PLC0415 - what signs

    def late(function: Callable[..., datetime]) -> Callable[..., datetime]:
        return lambda *arguments: function(*arguments) - timedelta(hours=1)

    signs, now = botocore.auth.get_current_datetime, utc_now
    with (
        mock.patch.object(botocore.auth, "get_current_datetime", late(signs)),
        mock.patch.object(s3_client_module, "utc_now", late(now)),
    ):
        yield


FAULTS: Final[dict[str, tuple[Fault, str]]] = {
    "503 SlowDown": (overload, "answers 503"),
    "gateway killed": (dead_gateway, "502|closed the connection|reached"),
    "disk hangs": (hanging_disk, "does not answer"),
    "slow writes": (slow_writes, "does not answer"),
    "flipped bits": (flipped_bits, "arrived as other bytes"),
    "wrong checksums": (wrong_checksums, "holds other bytes"),
    "no locks": (dropped_locks, "has no lock"),
    "answers cut": (cut_answers, "closed the connection"),
    "full": (full, "is full"),
    "keys expired": (expired_keys, "is refused"),
    "clock an hour late": (wrong_clock, "clocks differ by 3[56]"),
}
"By name: what happens, and what the alarm says of it."


class Campaign:
    """All faults, one after the other; each lasts `hold` seconds beyond its alarm."""

    def __init__(self, site: Site, hold: float) -> None:
        self._site = site
        self._hold = hold
        self._log: list[Any] = []
        self.result = Result(len(site.wanted) // len(FILES))

    async def run(self) -> Result:
        """Upload all, through all of it."""
        result, begun = self.result, time.monotonic()
        with (
            structlog.testing.capture_logs() as log,
            mock.patch.object(retry, "LONGEST", LONGEST),
            mock.patch.object(target_line, "LONGEST", LONGEST),
        ):
            self._log = log
            uploader = self._site.new_uploader()
            for recording_id in self._site.spool.list_sealed():
                uploader.notify(recording_id)  # each is put before anybody asks for it
            task = asyncio.get_running_loop().create_task(uploader.run())
            try:
                for name in FAULTS:
                    await self._suffer(name, uploader)
                await self._rest(uploader)
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        result.seconds = time.monotonic() - begun
        result.stored, result.failures = uploader.stored, uploader.failures
        result.reasons.update(map(anonymous, self._reasons()))
        result.alarms_left = int(uploader.away)
        await asyncio.to_thread(judge, self._site, result)
        return result

    async def _rest(self, uploader: Uploader) -> None:
        while (before := uploader.stored) < self.result.recordings:
            await until("the next", lambda: uploader.stored > before)

    async def _suffer(self, name: str, uploader: Uploader) -> None:
        """Bring a fault about, wait for its alarm, end it, wait until all goes well."""
        fault, alarm = FAULTS[name]
        told, begun = len(self._reasons()), time.monotonic()
        async with fault(self._site):
            await until(
                f"the alarm of {name}",
                lambda: any(re.search(alarm, r) for r in self._reasons()[told:]),
            )
            self.result.noticed[name] = time.monotonic() - begun
            await asyncio.sleep(self._hold)
        ended, stored = time.monotonic(), uploader.stored
        await until(
            f"the end of {name}",
            lambda: uploader.stored > stored and not uploader.away,
        )
        self.result.over[name] = time.monotonic() - ended

    def _reasons(self) -> list[str]:
        told = {"storing_failed", "recording_not_storable"}
        return [e["reason"] for e in self._log if e["event"] in told]


def anonymous(reason: str) -> str:
    """What an alarm said, without the object's name."""
    return re.sub(r"^[a-z]+/\S+ ", "", reason).partition(". ")[0]


async def until(what: str, done: Callable[[], bool]) -> None:
    """Wait for it. Raises AssertionError when that takes too long."""
    deadline = time.monotonic() + PATIENCE
    while not done():
        assert time.monotonic() < deadline, f"waited in vain: {what}"
        await asyncio.sleep(0.02)


def judge(site: Site, result: Result) -> None:
    """Whether the store has each object once, as it was, and the spool nothing."""
    found: dict[str, list[bytes]] = {}
    s3 = site.s3
    for bucket in (LOCKED, STATE):
        pages = s3.get_paginator("list_object_versions")
        for page in pages.paginate(Bucket=bucket, Prefix=f"{site.prefix}/"):
            for one in page.get("Versions", []):
                which = {"Bucket": bucket, "Key": one["Key"]}
                got = s3.get_object(**which, VersionId=one["VersionId"])
                name = one["Key"].rpartition("/")[2]
                found.setdefault(name, []).append(got["Body"].read())
                locked = got.get("ObjectLockMode") == "GOVERNANCE"
                result.damaged += locked is not (bucket == LOCKED)
    for name, wanted in site.wanted.items():
        kept = found.pop(name, [])
        result.missing += not kept
        result.versions += max(0, len(kept) - 1)
        result.damaged += sum(sha256(data).hexdigest() != wanted for data in kept)
    result.damaged += len(found)
    result.told_twice = sum(count - 1 for count in site.told.values())
    result.missing += result.recordings - len(site.told)
    result.left = len(site.spool.list_sealed())


def report(result: Result) -> None:
    """Print the table."""
    print(f"{'fault':24}{'told after':>12}{'over after':>12}")
    for name in FAULTS:
        print(f"{name:24}{result.noticed[name]:10.1f} s{result.over[name]:10.1f} s")
    rows = {
        "recordings, stored": f"{result.recordings}, {result.stored}",
        "seconds": f"{result.seconds:.0f}",
        "attempts that failed": f"{result.failures}",
        "objects missing, damaged": f"{result.missing}, {result.damaged}",
        "further versions of the same": f"{result.versions}",
        "told twice, left in the spool": f"{result.told_twice}, {result.left}",
        "alarms not cleared": f"{result.alarms_left}",
    }
    for name, value in rows.items():
        print(f"{name:36}{value}")
    for reason, count in result.reasons.most_common():
        print(f"  {count:5}  {reason}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recordings", type=int, default=500)
    parser.add_argument("--hold", type=float, default=10.0)
    arguments = parser.parse_args()
    print(f"machine: {machine()}, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory(prefix="storage-") as scratch:
        (Path(scratch) / "ceph").mkdir()
        ceph = Ceph(Path(scratch) / "ceph")
        site = Site(ceph, Path(scratch), arguments.recordings, "soak")
        try:
            site.make_buckets()
            result = asyncio.run(Campaign(site, arguments.hold).run())
        finally:
            site.close()
            ceph.stop()
    report(result)
    raise SystemExit(not result.fine)


if __name__ == "__main__":
    main()
