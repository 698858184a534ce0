import asyncio
import random
from typing import Any

import pytest
import structlog

from agent.model.media import Address
from agent.signalling import prober as module
from agent.signalling.config import Listener
from agent.signalling.prober import Prober
from agent.signalling.probing import PeerState
from agent.signalling.sip.core import UserAgentCore
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.timers import Timers
from agent.signalling.sip.uri import Uri, parse_uri
from agent.signalling.useragent import UserAgent
from tests.patience import PATIENCE
from tests.ports import free_ports


async def until(condition: Any) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0)


class Mistaken(UserAgent):
    """One with a mistake of ours in it."""

    async def flows_to(self, uri: Uri) -> list[Flow]:
        raise ValueError("a mistake")


def user_agent(port: int, kind: type[UserAgent] = UserAgent) -> UserAgent:
    return kind(
        UserAgentCore(
            rng=random.Random(port), timers=Timers(t1=0.01, t2=0.02), product="test"
        ),
        [Listener("udp", Address("127.0.0.1", port))],
        lambda _: None,
    )


async def test_peers_go_down_and_come_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.05)
    ours, pbx, nobody = free_ports(3)
    agent, peer = user_agent(ours), user_agent(pbx)
    await agent.start()
    await peer.start()
    with structlog.testing.capture_logs() as log:
        prober = Prober(
            agent,
            {
                "pbx": (parse_uri(f"sip:127.0.0.1:{pbx}"), 0.02),
                "nobody": (parse_uri(f"sip:127.0.0.1:{nobody}"), 0.02),
                "nowhere": (parse_uri("sip:[2001:db8::1]"), 0.02),
            },
            random.Random(1),
        )
        running = asyncio.get_running_loop().create_task(prober.run())
        await until(lambda: prober.is_down("nobody") and prober.is_down("nowhere"))
        await until(lambda: prober.state_of("pbx") is PeerState.UP)
        peer.close()
        await until(lambda: prober.is_down("pbx"))
        back = user_agent(pbx)
        await back.start()
        await until(lambda: prober.state_of("pbx") is PeerState.UP)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    told = [(e["event"], e["peer"]) for e in log if "peer" in e]
    assert [event for event, name in told if name == "pbx"] == [
        "peer_up",
        "peer_down",
        "peer_up",
    ]
    assert ("peer_down", "nobody") in told
    assert ("peer_down", "nowhere") in told
    assert prober.stats.answered >= 3
    for each in (agent, back):
        each.close()
    await asyncio.sleep(0)


async def test_a_mistake_of_ours_is_told() -> None:
    agent = user_agent(free_ports(1)[0], Mistaken)
    await agent.start()
    with structlog.testing.capture_logs() as log:
        prober = Prober(agent, {"pbx": (parse_uri("sip:a"), 0.01)}, random.Random(1))
        running = asyncio.get_running_loop().create_task(prober.run())
        await until(lambda: any(e["event"] == "task_failed" for e in log))
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    agent.close()
    await asyncio.sleep(0)
