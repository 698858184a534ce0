"""Every power cut of a call, and of the recovery after it, and what came of it."""

import shutil
import traceback
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from agent.model.recording import Kept
from tests.power.checks import check
from tests.power.disk import State
from tests.power.faults import cuts
from tests.power.life import Site, at_once, ledger_on, live
from tests.power.tape import Tape


@dataclass
class Tally:
    """What came of a campaign."""

    steps: int = 0
    "Of the life."
    cuts: int = 0
    "States that cuts of the life left, each another one."
    recoveries: int = 0
    "Of these, whose recovery was cut as well …"
    recovery_cuts: int = 0
    "… and the states that left, without those that were seen before."
    ends: Counter[str] = field(default_factory=Counter)
    broken: list[str] = field(default_factory=list)


class Campaign:
    """Cuts the power in one kind of life; `root` is a directory for its disks."""

    def __init__(self, root: Path, kept: Kept, *, dies: bool = False) -> None:
        self._root = root
        self._seen: set[tuple[bytes, int | None]] = set()
        self._number = 0
        self.tally = Tally()
        self.life = at_once(live(self._fresh(), kept, dies=dies))

    def run(self, *, every: int = 1, recovery_every: int = 1) -> Tally:
        """Cut after every step; take one of so many states, and so their recovery."""
        tape, tally = self.life.tape, self.tally
        tally.steps = len(tape.steps)
        for done, data, names, state in cuts(tape.before, tape.steps):
            where = f"step {done}, data {data}, {names}"
            if tally.cuts % every == 0:
                self._check(state, done, where)
            if tally.cuts % recovery_every == recovery_every // 2:
                tally.recoveries += 1
                self._cut_recovery(state, done, where)
            tally.cuts += 1
        return tally

    def _cut_recovery(self, state: State, done: int, where: str) -> None:
        site = Site(self._fresh())
        site.disk.mkdir()
        state.put(site.disk)
        if state.ledger:
            site.ledger_path.write_bytes(state.ledger)
        tape = Tape(site.disk, state.ledger)
        with tape, ledger_on(tape):
            at_once(site.start_again())
        tape.check()
        shutil.rmtree(site.root)
        for again, data, names, left in cuts(tape.before, tape.steps):
            key = (left.digest, self.life.bound(done))
            if key not in self._seen:
                self._seen.add(key)
                self.tally.recovery_cuts += 1
                self._check(left, done, f"{where}; then step {again}, {data}, {names}")

    def _check(self, state: State, done: int, where: str) -> None:
        self._seen.add((state.digest, self.life.bound(done)))
        root = self._fresh()
        try:
            self.tally.ends[check(root, state, self.life, done)] += 1
        except Exception as error:  # noqa: BLE001 - told with where it came about
            last = traceback.extract_tb(error.__traceback__)[-1]
            self.tally.broken.append(
                f"{where}: {type(error).__name__}: {error} ({last.name}:{last.lineno})"
            )
        shutil.rmtree(root)

    def _fresh(self) -> Path:
        self._number += 1
        path = self._root / str(self._number)
        path.mkdir()
        return path
