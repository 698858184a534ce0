"""Peers as they are configured now: where we register, and whether they are there."""

import random
from collections.abc import Callable, Sequence

from agent.call.config import PeerConfig
from agent.common.tasks import TaskSet
from agent.service.host_status import PeerStatus, peer_statuses
from agent.signalling.prober import Prober
from agent.signalling.registrar import Account, Registrar
from agent.signalling.sip.uri import Uri, parse_uri
from agent.signalling.useragent import UserAgent


class PeerWatch:
    """Registrars and the prober; `failed` is told of one that cannot go on."""

    def __init__(
        self,
        user_agent: UserAgent,
        rng: random.Random,
        failed: Callable[[str, BaseException], None],
    ) -> None:
        self._user_agent = user_agent
        self._rng = rng
        self._failed = failed
        self._peers: tuple[PeerConfig, ...] = ()
        self._registrars: dict[Account, tuple[Registrar, TaskSet]] = {}
        self._prober = Prober(user_agent, {}, rng)
        self._probing = TaskSet(failed)

    async def use(
        self, peers: Sequence[PeerConfig], accounts: Sequence[Account]
    ) -> None:
        """Register where `accounts` say, and probe `peers`; what is as it was goes on.

        Registrations that are configured no more are taken back.
        """
        gone = [one for one in self._registrars if one not in accounts]
        for account in accounts:
            if account not in self._registrars:
                registrar = Registrar(self._user_agent, account, self._rng)
                tasks = TaskSet(self._failed)
                tasks.spawn(registrar.run(), name=f"register-{account.peer}")
                self._registrars[account] = registrar, tasks
        if _targets(peers) != _targets(self._peers) or not len(self._probing):
            await self._probing.close()
            self._prober = Prober(self._user_agent, _targets(peers), self._rng)
            self._probing.spawn(self._prober.run(), name="prober")
        self._peers = tuple(peers)
        for account in gone:
            await self._stop(account)

    @property
    def prober(self) -> Prober:
        """Who asks peers now whether they are there."""
        return self._prober

    @property
    def registrars(self) -> list[Registrar]:
        """Who keeps us registered now."""
        return [registrar for registrar, _ in self._registrars.values()]

    def is_down(self, peer: str) -> bool:
        """Whether a peer is known not to answer."""
        return self._prober.is_down(peer)

    def statuses(self) -> tuple[PeerStatus, ...]:
        """What is known of each peer."""
        return peer_statuses(self._peers, self._prober, self.registrars)

    async def close(self) -> None:
        """Ask nobody any more, and take every registration back."""
        await self._probing.close()
        for account in list(self._registrars):
            await self._stop(account)

    async def _stop(self, account: Account) -> None:
        registrar, tasks = self._registrars.pop(account)
        await tasks.close()
        await registrar.stop()


def _targets(peers: Sequence[PeerConfig]) -> dict[str, tuple[Uri, float]]:
    return {p.name: (parse_uri(p.uri), p.probe) for p in peers if p.probe}
