from typing import Any

from agent.recording.recovery import Recovered
from agent.service.salvage import tell_recovered


def test_what_may_be_lost_is_an_error(log: list[dict[str, Any]]) -> None:
    tell_recovered([Recovered("a", "kept"), Recovered("b", "quarantined")])
    assert [(e["recording_id"], e["action"], e["level"]) for e in log] == [
        ("a", "kept", "warning"),
        ("b", "quarantined", "error"),
    ]
