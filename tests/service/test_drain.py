from typing import Any

import pytest

from agent.service.drain import Drain


class Control:
    """Takes calls, or does not."""

    active_calls = 3

    def __init__(self) -> None:
        self.draining = False

    def take_calls(self, *, on: bool) -> None:
        self.draining = not on


class Rows:
    """What the audit log was told."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, str]] = []

    def drained(self, by: str) -> None:
        self.rows.append(("drain", by))

    def undrained(self, by: str) -> None:
        self.rows.append(("undrain", by))


@pytest.mark.parametrize("times", [1, 2])
def test_it_is_told_once_to_log_and_audit_log(
    log: list[dict[str, Any]], times: int
) -> None:
    control, rows = Control(), Rows()
    drain = Drain(control, rows)  # type: ignore[arg-type]  # as much of them as it uses
    drain.end("uid:0")
    assert not drain.on
    for _ in range(times):
        drain.begin("uid:0")
        assert drain.on
    for _ in range(times):
        drain.end("mqtt")
    assert not drain.on
    assert rows.rows == [("drain", "uid:0"), ("undrain", "mqtt")]
    assert [(e["event"], e["by"]) for e in log] == [
        ("draining", "uid:0"),
        ("undrained", "mqtt"),
    ]
    assert log[0]["calls"] == 3
