import inspect
from typing import Any

import pytest

from agent.call.active import ActiveCall
from agent.call.joint import RunningCall
from agent.call.passthrough import PassthroughCall
from tests.call.site import Site


@pytest.mark.parametrize("kind", [ActiveCall, PassthroughCall])
def test_both_kinds_of_calls_are_running_calls(kind: Any) -> None:
    for name, member in inspect.getmembers(RunningCall):
        if name.startswith("_"):
            continue
        own = getattr(kind, name)
        if inspect.isfunction(member):
            assert inspect.signature(own) == inspect.signature(member)


async def test_a_call_cannot_change_what_it_shares(site: Site) -> None:
    await site.start()
    with pytest.raises(AttributeError):
        site.joint.host = "other"  # type: ignore[misc]
