"""What the sound host of the other tests cannot be spoilt to: it has a roster."""

from pathlib import Path
from typing import Any

import pytest

from agent.cli.doctor import siprec
from agent.cli.doctor.finding import Findings, Patient, Verdict
from agent.service.config import decode
from agent.signalling.secrets import Secrets
from tests.service.test_config import minimal

_ENTRY = {"name": "s", "from": "trunk", "notice": "header:X-Told"}


def findings(tmp_path: Path, **more: Any) -> list[tuple[Verdict, str]]:
    raw = minimal() | {"siprec": [_ENTRY | more]}
    raw["sip"] = {"listen": ["tls:127.0.0.1:5061"]}
    raw["tls"] = {"certificate": "a", "key": "b"}
    patient = Patient(
        file=tmp_path / "agent.toml",
        config=decode(raw),
        secrets=Secrets(tmp_path, None),
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
