"""The table of the log's fields: the README has it."""

from pathlib import Path

from agent.common.log_fields import BY_NAME, FIELDS, TELL_APART, log_field_table
from agent.common.log_lines import Told, journal_fields

README = Path(__file__).parents[2] / "README.md"


def test_no_field_hides_another_of_the_journal() -> None:
    told = Told("x", "info", {}, 0)
    own = {name for name, _ in journal_fields(told, "agent")}
    own -= {"EVENT", "LEVEL", "TIME"}
    assert not own & {one.name.upper() for one in FIELDS}
    for field in FIELDS:
        assert field.name.replace("_", "").isalpha(), field
        assert len(field.name) < 64, field
    assert len(BY_NAME) == len(FIELDS)


def test_ids_tell_lines_apart_and_reasons_do_not() -> None:
    assert {"call_id", "storage", "peer", "worker", "request"} <= TELL_APART
    assert not {"reason", "source", "remote", "count"} & TELL_APART


def test_the_readme_has_the_table() -> None:
    assert log_field_table() in README.read_text(), (
        "python -c 'from agent.common.log_fields import *; print(log_field_table())'"
    )
