import json

import pytest

from agent.common.catalogue import CATALOGUE
from agent.common.log_lines import (
    MAX_VALUE,
    PRIORITIES,
    Told,
    journal_fields,
    json_line,
    sentence,
)

AT = 1_764_462_660_000_012_345


def told(event: str = "call_begun", /, level: str = "info", **fields: object) -> Told:
    return Told(event, level, fields, AT)


def test_a_json_line_has_event_and_fields_then_level_and_time() -> None:
    line = json_line(told(call_id="c", exempt=False, sip_status=486))
    assert line.endswith(b"\n")
    assert list(json.loads(line).items()) == [
        ("event", "call_begun"),
        ("call_id", "c"),
        ("exempt", False),
        ("sip_status", 486),
        ("level", "info"),
        ("time", "2025-11-30T00:31:00.000012Z"),
    ]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (complex(1, 2), "(1+2j)"),
        ("a\udc80b", "a?b"),
        ("line\nline", "line\nline"),
        ("x" * 100_000, "x" * MAX_VALUE + "…"),
    ],
    ids=["unknown kind", "no Unicode", "lines", "too long"],
)
def test_no_line_is_lost_to_a_strange_value(value: object, shown: str) -> None:
    line = json_line(told(reason=value))
    assert line.count(b"\n") == 1
    assert json.loads(line)["reason"] == shown
    assert dict(journal_fields(told(reason=value), "agent"))["REASON"] == shown


def test_the_journal_gets_every_field_under_its_name_in_capitals() -> None:
    fields = dict(
        journal_fields(
            told(call_id="c", exempt=True, sip_status=200, cause=None, days=[1, 2]),
            "recording-agent",
        )
    )
    assert fields == {
        "MESSAGE": "Call begun. (call_id=c, exempt=true, sip_status=200, days=[1,2])",
        "PRIORITY": "6",
        "SYSLOG_IDENTIFIER": "recording-agent",
        "EVENT": "call_begun",
        "LEVEL": "info",
        "TIME": "2025-11-30T00:31:00.000012Z",
        "CALL_ID": "c",
        "EXEMPT": "true",
        "SIP_STATUS": "200",
        "DAYS": "[1,2]",
    }


def test_what_needs_a_human_has_its_message_id_and_sentence() -> None:
    fields = dict(journal_fields(told("peer_down", "error", peer="trunk"), "agent"))
    assert fields["MESSAGE_ID"] == CATALOGUE["peer_down"].message_id
    assert fields["MESSAGE"] == "A peer does not answer. (peer=trunk)"
    assert fields["PRIORITY"] == "3"


def test_a_sentence_without_fields_stands_alone() -> None:
    assert sentence(told("stopping", reason="")) == "Stopping."


def test_priorities_are_those_of_syslog() -> None:
    assert PRIORITIES == {
        "critical": 2, "error": 3, "warning": 4, "info": 6, "debug": 7,
    }  # fmt: skip
