"""The name service: dnspython asks what `resolution` wants to know."""

import asyncio
import random
import socket
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Final

import dns.asyncresolver
import dns.exception
import dns.nameserver
import dns.resolver
import structlog

from agent.model.media import Address
from agent.signalling.sip.answers import AnswerCache
from agent.signalling.sip.resolution import (
    Answer,
    Naptr,
    Question,
    Record,
    Srv,
    Target,
    locate,
)
from agent.signalling.sip.uri import Uri

LIFETIME: Final = 4.0
"Seconds one question may take, all name servers together: a caller is waiting."
NEGATIVE_SECONDS: Final = 30.0
HOSTS_SECONDS: Final = 60.0
"For what /etc/hosts says, which has no lifetime of its own."


@dataclass(slots=True)
class ResolverStats:
    """Counters since the start."""

    questions: int = 0
    "Put to the name service; what the cache knew is not among them."
    failures: int = 0
    "Questions no name server answered."
    stale: int = 0
    "Of those, the ones an older answer stood in for."


class Resolver:
    """Finds the targets of URIs.

    `nameservers` empty: those of the system, and its hosts file.
    """

    def __init__(
        self, nameservers: Sequence[Address] = (), *, rng: random.Random
    ) -> None:
        self.stats = ResolverStats()
        self._rng = rng
        self._cache = AnswerCache()
        self._hosts_file = not nameservers
        self._dns = _system() if self._hosts_file else _given(nameservers)
        self._log = structlog.get_logger()

    async def targets(
        self, uri: Uri, served: Collection[tuple[str, int]]
    ) -> list[Target]:
        """The targets of `uri`, in the order in which they are to be tried.

        `served` as for `locate`. Raises UnsupportedTransportError.
        """
        search = locate(uri, served=served, rng=self._rng)
        try:
            question = next(search)
            while True:
                question = search.send(await self._answer(question))
        except StopIteration as found:
            return list(found.value)

    async def _answer(self, question: Question) -> Answer:
        now = asyncio.get_running_loop().time()
        answer = self._cache.get(question, now)
        if answer is not None:
            return answer
        self.stats.questions += 1
        answer, ttl = await self._ask(question)
        if not answer and self._hosts_file and question.type in {"A", "AAAA"}:
            answer, ttl = await _ask_hosts_file(question), HOSTS_SECONDS
        if ttl is not None:
            self._cache.put(question, answer, ttl, now)
            return answer
        self.stats.failures += 1
        old = self._cache.stale(question, now)
        if old is None:
            return ()
        self.stats.stale += 1
        return old

    async def _ask(self, question: Question) -> tuple[Answer, float | None]:
        """What the name servers say, and for how long; no time: they say nothing."""
        if self._dns is None:
            return (), None
        try:
            found = await self._dns.resolve(
                question.name, question.type, raise_on_no_answer=False, search=False
            )
        except dns.resolver.NXDOMAIN:
            return (), NEGATIVE_SECONDS
        except (dns.exception.DNSException, OSError) as error:
            self._log.warning(
                "dns_failed", type=question.type, reason=type(error).__name__
            )
            return (), None
        if found.rrset is None:
            return (), NEGATIVE_SECONDS
        records = tuple(_record(question.type, data) for data in found.rrset)
        return records, float(found.chaining_result.minimum_ttl)


def _system() -> dns.asyncresolver.Resolver | None:
    try:
        resolver = dns.asyncresolver.Resolver()
    except dns.resolver.NoResolverConfiguration:
        return None
    resolver.lifetime = LIFETIME
    return resolver


def _given(nameservers: Sequence[Address]) -> dns.asyncresolver.Resolver:
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers = [
        dns.nameserver.Do53Nameserver(server.host, server.port)
        for server in nameservers
    ]
    resolver.lifetime = LIFETIME
    return resolver


async def _ask_hosts_file(question: Question) -> Answer:
    family = socket.AF_INET6 if question.type == "AAAA" else socket.AF_INET
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(
            question.name, None, family=family, type=socket.SOCK_DGRAM
        )
    except OSError:
        return ()
    return tuple(dict.fromkeys(str(entry[4][0]) for entry in found))


def _record(type_: str, data: Any) -> Record:
    if type_ == "SRV":
        target = data.target.to_text(omit_final_dot=True)
        return Srv(
            data.priority, data.weight, data.port, "" if target == "." else target
        )
    if type_ == "NAPTR":
        return Naptr(
            data.order,
            data.preference,
            data.flags.decode("ascii", "replace"),
            data.service.decode("ascii", "replace"),
            data.replacement.to_text(omit_final_dot=True),
        )
    return str(data.address)
