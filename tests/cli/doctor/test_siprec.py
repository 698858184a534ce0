"""What the sound host of the other tests cannot be spoilt to: it has a roster."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from agent.cli.doctor import siprec
from agent.cli.doctor.finding import Findings, Patient, Verdict
from agent.identity.directory import Directory, OfficerEntry
from agent.identity.people import People
from agent.service.config import decode
from agent.service.material import Material
from agent.signalling.secrets import Secrets
from tests.service.test_config import minimal

_ENTRY = {"name": "s", "from": "trunk", "notice": "header:X-Told"}


def findings(
    tmp_path: Path,
    officers: Directory | None = None,
    *,
    number: str = "1",
    **more: Any,
) -> list[tuple[Verdict, str]]:
    """`officers`: those of the directory that the file names; None: it names none."""
    raw: dict[str, Any] = minimal() | {"siprec": [_ENTRY | more]}
    if officers is not None:
        raw["officers"] = {"directory": "officers.csv"}
    people = People(directory=officers, today=lambda: date(2026, 11, 30))
    raw["routes"][0]["number"] = number
    raw["sip"] = {"listen": ["tls:127.0.0.1:5061"]}
    raw["tls"] = {"certificate": "a", "key": "b"}
    patient = Patient(
        file=tmp_path / "agent.toml",
        config=decode(raw),
        secrets=Secrets(tmp_path, None),
        material=Material(people=people, notices={}, notice_files={}),
    )
    found = siprec.check(patient, Findings("siprec"))
    return [(one.verdict, one.text) for one in found]


def test_somebody_must_tell_officers_and_callers_apart(tmp_path: Path) -> None:
    [(verdict, text)] = findings(tmp_path)
    assert verdict is Verdict.WARNING
    assert "officers and callers apart" in text


@pytest.mark.parametrize(
    "told",
    [{"direction": "inbound"}, {"officer": ["label:2"]}, {"caller": ["label:1"]}],
)
def test_rules_or_a_direction_do(tmp_path: Path, told: dict[str, Any]) -> None:
    assert findings(tmp_path, **told) == [
        (Verdict.RIGHT, "s: its sessions come safely, and say enough")
    ]


NOBODY = Directory(())
SOMEBODY = Directory([OfficerEntry("+358295419601", "A")])


def test_a_directory_of_nobody_tells_nobody_apart(tmp_path: Path) -> None:
    [(verdict, text)] = findings(tmp_path, NOBODY)
    assert verdict is Verdict.WARNING
    assert "knows nobody yet" in text
    [(verdict, _)] = findings(tmp_path, SOMEBODY)
    assert verdict is Verdict.RIGHT


@pytest.mark.parametrize("officers", [None, NOBODY])
@pytest.mark.parametrize("key", ["officer", "caller", "calling"])
def test_a_rule_cannot_ask_a_directory_that_knows_nobody(
    tmp_path: Path, officers: Directory | None, key: str
) -> None:
    [(verdict, text)] = findings(tmp_path, officers, **{key: ["directory"]})
    assert verdict is Verdict.WRONG
    assert "a rule asks the officers' directory" in text
    [(verdict, _)] = findings(tmp_path, SOMEBODY, **{key: ["directory"]})
    assert verdict is Verdict.RIGHT


def test_a_route_of_every_number_takes_what_does_not_say_what_it_is(
    tmp_path: Path,
) -> None:
    legacy = {"recognise": "legacy", "direction": "inbound"}
    texts = [text for _, text in findings(tmp_path, number="*", **legacy)]
    assert len([text for text in texts if "is carried as a call" in text]) == 1
    narrow = [text for _, text in findings(tmp_path, number="358*", **legacy)]
    strict = [text for _, text in findings(tmp_path, number="*", direction="inbound")]
    assert not any("is carried as a call" in text for text in narrow + strict)
