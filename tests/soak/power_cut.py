"""The power cut after every step of a recorded call's life, and of each recovery.

    python -m tests.soak.power_cut --recovery-every 1

A table for each kind of life: in how many ways it was cut, how the starts after it
ended, and which promise was broken where.
"""

import argparse
import logging
import tempfile
import time
from pathlib import Path

import structlog

from agent.model.recording import Kept, RecordingFormat
from tests.bench.usage import machine
from tests.power.campaign import Campaign, Tally

LIVES = {
    f"{format_}{', a worker dies' if dies else ''}": (Kept(format=format_), dies)
    for format_ in (RecordingFormat.WIRE, RecordingFormat.FLAC)
    for dies in (False, True)
}
SHOWN = 20


def table(name: str, tally: Tally, seconds: float) -> None:
    """Print what came of one kind of life."""
    print(f"{name}: {tally.steps} steps, {seconds:.0f} s")
    print(f"  states left by cuts of the life       {tally.cuts:6}")
    print(f"  recoveries cut at each of their steps {tally.recoveries:6}")
    print(f"  further states left by these          {tally.recovery_cuts:6}")
    for end, count in sorted(tally.ends.items()):
        print(f"    {end:44}{count:6}")
    print(f"  promises broken                       {len(tally.broken):6}")
    for broken in tally.broken[:SHOWN]:
        print(f"    {broken}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--recovery-every", type=int, default=1)
    parser.add_argument("--life", choices=LIVES, action="append")
    arguments = parser.parse_args()
    level = logging.CRITICAL
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(level))
    print(f"machine: {machine()}")
    broken = 0
    for name in arguments.life or LIVES:
        kept, dies = LIVES[name]
        memory = Path("/dev/shm")  # noqa: S108 - a directory of our own below it
        place = memory if memory.is_dir() else None
        with tempfile.TemporaryDirectory(prefix="soak-", dir=place) as scratch:
            began = time.monotonic()
            campaign = Campaign(Path(scratch), kept, dies=dies)
            tally = campaign.run(recovery_every=arguments.recovery_every)
            table(name, tally, time.monotonic() - began)
            broken += len(tally.broken)
    raise SystemExit(broken > 0)


if __name__ == "__main__":
    main()
