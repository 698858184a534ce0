from dataclasses import fields

from agent.service.metrics.sources import Sources
from tests.service.metrics.running import running


def test_an_agent_without_extras_has_none_to_tell_of() -> None:
    sources = running()
    extras = {"events", "raising", "alarms", "dropped", "expiries"}
    needed = {
        field.name: getattr(sources, field.name)
        for field in fields(Sources)
        if field.name not in extras
    }
    bare = Sources(**needed)
    assert list(bare.alarms()) == []
    assert bare.dropped() == 0
    assert dict(bare.expiries()) == {}
