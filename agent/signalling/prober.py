"""The shell around probing: OPTIONS to each peer that wants it.

Logs `peer_up` and `peer_down` with the peer's name.
"""

import asyncio
import random
from collections.abc import Mapping
from typing import Final

import structlog

from agent.common.tasks import TaskSet
from agent.signalling.probing import PeerState, ProbeStats, Probing
from agent.signalling.sip.contact import contact_of
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.outside import new_request
from agent.signalling.sip.uri import NameAddr, Uri
from agent.signalling.transport import TransportError
from agent.signalling.useragent import UserAgent

ANSWER_SECONDS: Final = 6.0
"For one way to a peer: five sendings over UDP, a connection and its handshake."
_NO_ANSWER: Final = 408
_UNREACHABLE: Final = 503


class Prober:
    """Asks peers whether they are there."""

    def __init__(
        self,
        user_agent: UserAgent,
        targets: Mapping[str, tuple[Uri, float]],
        rng: random.Random,
    ) -> None:
        """`targets`: by peer, where to ask and how often, in seconds."""
        self._user_agent = user_agent
        self._targets = targets
        self._rng = rng
        self._probing = Probing(
            {name: seconds for name, (_, seconds) in targets.items()},
            rng=rng,
            now=user_agent.now,
        )
        self._tasks = TaskSet(self._failed)
        self._log = structlog.get_logger()

    @property
    def stats(self) -> ProbeStats:
        return self._probing.stats

    def state_of(self, peer: str) -> PeerState:
        """What is known of a peer."""
        return self._probing.state_of(peer)

    def is_down(self, peer: str) -> bool:
        """Whether a peer is known not to answer."""
        return self._probing.is_down(peer)

    async def run(self) -> None:
        """Probe for ever."""
        try:
            while True:
                at = self._probing.get_timer()
                # While all wait for answers nothing is due before one has come.
                wait = 1.0 if at is None else at - self._user_agent.now
                await asyncio.sleep(min(1.0, max(0.0, wait)))
                for name in self._probing.due(self._user_agent.now):
                    self._tasks.spawn(self._probe(name), name=f"probe-{name}")
        finally:
            await self._tasks.close()

    async def _probe(self, name: str) -> None:
        status = await self._ask(self._targets[name][0])
        self._probing.answered(name, status, self._user_agent.now)
        while (event := self._probing.next_event()) is not None:
            if event.state is PeerState.UP:
                self._log.info("peer_up", peer=event.peer)
            else:
                self._log.error("peer_down", peer=event.peer)

    async def _ask(self, uri: Uri) -> int:
        """The status of the first answer on any way to `uri`."""
        try:
            flows = await self._user_agent.flows_to(uri)
        except TransportError:
            return _UNREACHABLE
        status = _NO_ANSWER
        for flow in flows:
            status = await self._ask_over(flow, uri)
            if status not in {_NO_ANSWER, _UNREACHABLE}:
                break
        return status

    async def _ask_over(self, flow: Flow, uri: Uri) -> int:
        ours = contact_of(flow)
        request = new_request(
            "OPTIONS",
            uri,
            from_=NameAddr(None, Uri("sip", None, ours.host, ours.port)).with_tag(
                f"{self._rng.getrandbits(64):016x}"
            ),
            to=NameAddr(None, uri),
            call_id=f"{self._rng.getrandbits(128):032x}",
            cseq=1,
            headers=[("Contact", f"<{ours}>"), ("Accept", "application/sdp")],
        )
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                return (await self._user_agent.ask(request, flow)).status
        except TimeoutError:
            return _NO_ANSWER

    def _failed(self, name: str, error: BaseException) -> None:
        self._log.critical("task_failed", task=name, exc_info=error)
