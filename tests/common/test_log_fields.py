"""Every field of the log is in the table, and the README has the table."""

from datetime import date
from pathlib import Path

from agent.common.log_fields import BY_NAME, FIELDS, TELL_APART, log_field_table
from agent.common.log_lines import Told, journal_fields
from agent.retention.report import Left
from tests.common.log_calls import log_calls

README = Path(__file__).parents[2] / "README.md"
COMPUTED = {"retention/replay.py", "retention/sweep.py", "retention/erasure.py"}
"Where `**` gives a line the words of a `Left`."
OF_EVERY_LINE = {"event", "level", "time"}
OF_EXCEPTIONS = {"error", "where"}
OF_THE_LOG_ITSELF = {"repeats"}


def used() -> dict[str, str]:
    """Fields that are named in a call, and where."""
    found = {field: call.place for call in log_calls() for field in call.fields}
    del found["exc_info"]
    found.pop("**")
    words = Left(date(2026, 1, 1), "place", "reason").to_words()
    return found | dict.fromkeys(words, "retention/report.py")


def test_the_search_finds_fields_and_what_is_bound() -> None:
    assert {"call_id", "leg", "reason", "peer", "logger"} <= set(used())


def test_every_field_that_is_used_is_in_the_table() -> None:
    assert {name: place for name, place in used().items() if name not in BY_NAME} == {}


def test_the_table_has_no_field_that_nothing_uses() -> None:
    others = OF_EVERY_LINE | OF_EXCEPTIONS | OF_THE_LOG_ITSELF
    assert set(BY_NAME) - set(used()) - others == set()
    assert len(BY_NAME) == len(FIELDS)


def test_fields_are_computed_only_where_it_is_known_which() -> None:
    places = {
        call.place.partition(":")[0] for call in log_calls() if "**" in call.fields
    }
    assert places == COMPUTED


def test_no_field_hides_another_of_the_journal() -> None:
    told = Told("x", "info", {}, 0)
    own = {name for name, _ in journal_fields(told, "agent")} - {
        "EVENT",
        "LEVEL",
        "TIME",
    }
    assert not own & {field.name.upper() for field in FIELDS}
    for field in FIELDS:
        assert field.name.replace("_", "").isalpha(), field
        assert len(field.name) < 64, field


def test_ids_tell_lines_apart_and_reasons_do_not() -> None:
    assert {"call_id", "storage", "peer", "worker", "request"} <= TELL_APART
    assert not {"reason", "source", "remote", "count"} & TELL_APART


def test_the_readme_has_the_table() -> None:
    assert log_field_table() in README.read_text(), (
        "python -c 'from agent.common.log_fields import *; print(log_field_table())'"
    )
