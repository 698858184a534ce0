import inspect
from typing import Any

import pytest

from agent.call.active import ActiveCall
from agent.call.joint import RunningCall
from agent.call.passthrough import PassthroughCall
from agent.call.siprec.session_call import SessionCall
from tests.call.site import Site


@pytest.mark.parametrize("kind", [ActiveCall, SessionCall, PassthroughCall])
def test_every_kind_of_call_is_a_running_call(kind: Any) -> None:
    for name, member in inspect.getmembers(RunningCall, inspect.isfunction):
        if not name.startswith("_"):
            own = getattr(kind, name)
            assert inspect.signature(own) == inspect.signature(member)


async def test_a_call_cannot_change_what_it_shares(site: Site) -> None:
    await site.start()
    with pytest.raises(AttributeError):
        site.joint.host = "other"  # type: ignore[misc]
