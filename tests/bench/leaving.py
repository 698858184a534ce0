"""What it costs that a recording leaves the host sealed, wrapped and indexed.

    python -m tests.bench.leaving [--recordings 300]

CPU and elapsed time for each recording, post-quantum, between finishing and upload; the
first row is what every recording costs, the others what each part adds to it.
"""

import argparse
import asyncio
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import structlog

from agent.common.ids import new_id
from agent.formats.age import KeyKind, generate_identity
from agent.formats.blind_index import IndexKeys
from agent.formats.day_keys import DayKey, DayKeyList
from agent.formats.layout import day_of
from agent.formats.seal import Addressees
from agent.formats.sshsig import SigningKey
from agent.recording.dispatch import Dispatch
from agent.recording.finisher import finish
from agent.recording.seal_chain import SealChain
from agent.recording.spool import Spool
from tests.bench.usage import machine
from tests.recording.segments import STARTED_AT, entropy, quality, write_segment

KIND = KeyKind.POST_QUANTUM
INDEX = IndexKeys({"2026-11": bytes(32)})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recordings", type=int, default=300)
    count = parser.parse_args().recordings
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    print(f"machine: {machine()}")
    print(f"{'':32}{'CPU':>12}{'elapsed':>12}")
    with tempfile.TemporaryDirectory(prefix="bench-") as scratch:
        root = Path(scratch)
        plain = finished(root / "plain", count, None)
        finished(root / "indexed", count, INDEX)
        for name, signs, wraps in (
            ("leaving as it was sealed", False, False),
            ("… with its seal", True, False),
            ("… within the gate's layer", False, True),
            ("… with both", True, True),
        ):
            leave(name, plain, signs=signs, wraps=wraps)


def finished(root: Path, count: int, index: IndexKeys | None) -> Spool:
    """A spool of sealed recordings of a tenth of a second; prints what they took."""
    spool = Spool(root)
    spool.prepare()
    recipient = str(quality(KIND).identity.recipient())
    segments = [write_segment(spool, frames=5, kind=KIND) for _ in range(count)]
    for segment in segments:
        said = Addressees.of(segment.key.recipient, [recipient]).to_bytes()
        spool.addressees_path(segment.id).write_bytes(said)
    name = "finishing" if index is None else "… with its index"
    jobs = [segment.job(spool) for segment in segments]
    with_each(
        name,
        count,
        lambda number: finish(jobs[number], root, index=index),
    )
    return spool


def leave(name: str, spool: Spool, *, signs: bool, wraps: bool) -> None:
    """What it takes to make each of a spool's recordings ready to leave."""
    chain = None
    if signs:
        key = SigningKey.from_seed(bytes(32))
        chain = SealChain(
            spool, key, "host-a", new_id=new_id, utc_ns=lambda: STARTED_AT
        )
        chain.open()
    keys = None
    if wraps:
        recipient = str(generate_identity(KIND, entropy).recipient())
        day = day_of(STARTED_AT).isoformat()
        key_of_day = DayKey(day=day, generation=1, recipient=recipient)
        keys = DayKeyList(serial=1, issued="", keys=(key_of_day,))
    dispatch = Dispatch(spool, chain=chain, day_keys=keys, utc_ns=lambda: STARTED_AT)
    ids = spool.list_sealed()
    with asyncio.Runner() as runner:
        with_each(name, len(ids), lambda n: runner.run(dispatch.objects(ids[n])))
    for recording_id in ids:  # for the next row
        for made in ("*.seal", "*.gate-*.age"):
            for path in spool.sealed_path(recording_id, "").glob(made):
                path.unlink()


def with_each(name: str, count: int, act: Callable[[int], object]) -> None:
    """Print what one of `count` took."""
    began, used = time.monotonic(), time.process_time()
    for number in range(count):
        act(number)
    cpu = (time.process_time() - used) / count * 1e3
    elapsed = (time.monotonic() - began) / count * 1e3
    print(f"{name:32}{cpu:9.2f} ms{elapsed:9.2f} ms")


if __name__ == "__main__":
    main()
