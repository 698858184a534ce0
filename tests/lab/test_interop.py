"""The interoperability table is the tests' own."""

import signal
from pathlib import Path

import pytest

from tests.lab.interop import TABLE, Interop, Table, patience, read_table, wanting

_REMEDY = "run scripts/interop, which writes agent/signalling/INTEROP.md"


def test_every_row_comes_from_a_test(request: pytest.FixtureRequest) -> None:
    interop = request.config.pluginmanager.get_plugin("interop")
    assert isinstance(interop, Interop)
    stated = set(read_table().results)
    assert interop.collected <= stated, _REMEDY
    if request.config.args_source is pytest.Config.ArgsSource.TESTPATHS:
        assert stated == interop.collected, _REMEDY


def test_no_row_says_that_it_does_not_work() -> None:
    assert set(read_table().results.values()) <= {"yes"}


def test_the_table_reads_back_as_written(tmp_path: Path) -> None:
    table = Table()
    table.update({"baresip": {"": "1.1.0", "hold": "yes"}})
    table.update({"sipp TLS": {"": "3.8.0", "hold": "no", "TLS": "yes"}})
    path = tmp_path / "table.md"
    path.write_text(str(table))
    assert read_table(path) == table
    table.keep([("sipp TLS", "TLS")])
    table.chapters = "## Others\n\n| a | b |\n\n## And more\n"
    path.write_text(str(table))
    assert read_table(path).results == {("sipp TLS", "TLS"): "yes"}
    assert read_table(path).chapters == table.chapters
    assert "baresip" not in path.read_text()


def test_the_table_is_as_the_script_writes_it() -> None:
    assert str(read_table()) == TABLE.read_text()


@pytest.mark.parametrize(
    ("reason", "corpora", "expected"),
    [
        ("Skipped: missing peer: baresip (…)", False, True),
        ("Skipped: the corpus sip is not beside the checkout", True, True),
        ("Skipped: the corpus sip is not beside the checkout", False, False),
        ("got empty parameter set for (path)", True, True),
        ("Skipped: needs a second processor", True, False),
    ],
)
def test_only_want_of_a_peer_or_corpus_fails_a_complete_run(
    reason: str, corpora: bool, expected: bool
) -> None:
    assert wanting(reason, corpora=corpora) == expected


def test_a_peer_is_not_waited_for_for_ever() -> None:
    with pytest.raises(TimeoutError, match="real peer"), patience(0.01):
        signal.pause()
    with patience(60):
        pass
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
