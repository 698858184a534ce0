"""What tests with real peers prove, as a table: peer by feature.

`@pytest.mark.interop("baresip", "hold and resume")` makes a test the proof of one cell
of `agent/signalling/INTEROP.md`. `scripts/interop` writes the file from a run's
results; `tests/lab/test_interop.py` checks that its cells are those of the tests.
"""

import contextlib
import json
import re
import signal
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn

import pytest

from tests.lab import peers
from tests.lab.daemon import ROOT

TABLE: Final = ROOT / "agent/signalling/INTEROP.md"
Cell = tuple[str, str]
"A peer and a feature."

_HEAD = """# Interoperability

What other people's SIP software does with the agent. Written by `scripts/interop` from
the results of the tests marked `interop`, all of which run in CI; not by hand. An empty
field is a pair nobody tries, which may be because that peer lacks the feature.

"""
_CHAPTER: Final = "## "
"How a chapter that follows the table begins."


def cells(item: pytest.Item) -> Iterator[Cell]:
    """What a test proves."""
    for mark in item.iter_markers("interop"):
        peer, feature = mark.args
        yield peer, feature


@dataclass
class Table:
    """Versions by peer, and what came of each cell."""

    versions: dict[str, str] = field(default_factory=dict)
    results: dict[Cell, str] = field(default_factory=dict)
    chapters: str = ""
    "What follows the table, from the first heading on; others write it."

    def __str__(self) -> str:
        names = sorted({peer for peer, _ in self.results}, key=str.casefold)
        heads = [f"{name} {self.versions.get(name, '?')}" for name in names]
        lines = [_row("feature", heads), _row("---", ["---"] * len(names))]
        features = dict.fromkeys(sorted(feature for _, feature in self.results))
        for feature in features:
            row = [self.results.get((name, feature), "") for name in names]
            lines.append(_row(feature, row))
        return (
            _HEAD + "\n".join(lines) + "\n" + (self.chapters and f"\n{self.chapters}")
        )

    def update(self, results: Mapping[str, dict[str, str]]) -> None:
        """Take a run's results in: `{peer: {feature: result, "": version}}`."""
        for peer, row in results.items():
            self.versions[peer] = row[""]
            for feature, result in row.items():
                if feature:
                    self.results[peer, feature] = result

    def keep(self, wanted: Iterable[Cell]) -> None:
        """Forget cells no test proves any more."""
        kept = set(wanted)
        self.results = {c: r for c, r in self.results.items() if c in kept}


def _row(name: str, fields: Iterable[str]) -> str:
    return f"| {name} | {' | '.join(fields)} |"


def read_table(path: Path = TABLE) -> Table:
    """The table as it stands; empty where there is none."""
    table = Table()
    if not path.exists():
        return table
    text, heading, rest = path.read_text().partition("\n" + _CHAPTER)
    table.chapters = heading.removeprefix("\n") + rest
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in text.splitlines()
        if line.startswith("|")
    ]
    heads = [head.rpartition(" ") for head in rows[0][1:]]
    table.versions = {name: version for name, _, version in heads}
    for feature, *results in rows[2:]:
        for (name, _, _), result in zip(heads, results, strict=True):
            if result:
                table.results[name, feature] = result
    return table


class Interop:
    """Hears what is collected and what came of it."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self.collected: set[Cell] = set()
        self._outcomes: dict[Cell, set[str]] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        self.collected = {cell for item in items for cell in cells(item)}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item) -> Iterator[None]:
        report = yield
        assert isinstance(report, pytest.TestReport)
        if report.when == "call" or report.outcome != "passed":
            for cell in cells(item):
                self._outcomes.setdefault(cell, set()).add(report.outcome)
        return report

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Iterator[None]:
        if item.get_closest_marker("interop") is None:
            return (yield)
        with patience():
            return (yield)

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._path is None:
            return
        whole = session.config.args_source is pytest.Config.ArgsSource.TESTPATHS
        results: dict[str, dict[str, str]] = {}
        for (peer, feature), outcomes in sorted(self._outcomes.items()):
            if "skipped" in outcomes:
                continue
            row = results.setdefault(peer, {"": peers.version(peer)})
            row[feature] = "yes" if outcomes == {"passed"} else "no"
        proofs = sorted(self.collected) if whole else None
        self._path.write_text(json.dumps({"results": results, "proofs": proofs}))


PATIENCE: Final = 60
"Seconds after which a test with a peer that does not answer has failed."


@contextlib.contextmanager
def patience(seconds: float = PATIENCE) -> Iterator[None]:
    """End what goes on for longer, by TimeoutError in the main thread."""

    def end(_signal: int, _frame: object) -> NoReturn:
        raise TimeoutError(f"a test with a real peer took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


_WANTING = re.compile(rf"{peers.MISSING}|the corpus |got empty parameter set")
_CORPORA = ROOT.parent / "shared/corpora"


def wanting(reason: str, *, corpora: bool | None = None) -> bool:
    """Whether a skip of this reason means that a complete run was none.

    A peer must be there; a corpus only where the corpora are beside the checkout.
    """
    found = _WANTING.search(reason)
    if found is None:
        return False
    if found[0] == peers.MISSING:
        return True
    return _CORPORA.exists() if corpora is None else corpora


class Complete:
    """Makes every skip a failure that is for want of a peer or a corpus."""

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self) -> Iterator[None]:
        report = yield
        assert isinstance(report, pytest.TestReport)
        if report.skipped and isinstance(report.longrepr, tuple):
            reason = report.longrepr[2]
            if wanting(reason):
                report.outcome = "failed"
                report.longrepr = f"{report.nodeid}: {reason}, which --complete forbids"
        return report


def main(path: Path) -> None:
    """Bring the table up to what a run's results say."""
    run = json.loads(path.read_text())
    table = read_table()
    table.update(run["results"])
    if run["proofs"] is not None:
        table.keep((peer, feature) for peer, feature in run["proofs"])
    TABLE.write_text(str(table))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
