"""Whether the hosts that calls go to can be found: SRV, A and AAAA (RFC 3263)."""

import asyncio
import random
from collections.abc import Iterator

from agent.cli.doctor.finding import Finding, Findings, Patient
from agent.common.errors import AgentError
from agent.signalling.config import parse_listen, parse_nameserver
from agent.signalling.resolver import Resolver
from agent.signalling.sip.resolution import Target
from agent.signalling.sip.uri import Uri, parse_uri

_REMEDY = (
    "Ask as the daemon does: `dig {host}`, `dig _sip._udp.{host} SRV`; see"
    " sip.nameservers and /etc/resolv.conf."
)


def check(patient: Patient, found: Findings) -> Iterator[Finding]:
    """Look up every host that a peer, a route or a `[[siprec]]` entry names."""
    wanted = dict(_wanted(patient))
    answers = asyncio.run(_resolve(patient, list(wanted.values())))
    for (place, uri), answer in zip(wanted.items(), answers, strict=True):
        if isinstance(answer, AgentError):
            yield found.wrong(
                f"{place}: {answer}", "Listen by that transport too, in sip.listen."
            )
        elif not answer:
            yield found.wrong(
                f"{place}: {uri.host} is not found", _REMEDY.format(host=uri.host)
            )
        else:
            first = answer[0]
            yield found.right(
                f"{place}: {len(answer)} target{'' if len(answer) == 1 else 's'},"
                f" first {first.transport}:{first.host}:{first.port}"
            )


def _wanted(patient: Patient) -> Iterator[tuple[str, Uri]]:
    """By their place in the file."""
    config = patient.config
    for peer in config.peers:
        if peer.uri:
            yield f"peer {peer.name}", parse_uri(peer.uri)
    for route in config.routes:
        for number, target in enumerate((*route.to, route.overflow)):
            if target.startswith(("sip:", "sips:")):
                yield f"route {route.name}, target {number + 1}", parse_uri(target)
    for entry in config.siprec:
        if entry.redirect:
            yield f"siprec {entry.name}, redirect", parse_uri(entry.redirect)


async def _resolve(
    patient: Patient, uris: list[Uri]
) -> list[list[Target] | AgentError]:
    config = patient.config.sip
    resolver = Resolver(
        [parse_nameserver(entry) for entry in config.nameservers],
        rng=random.Random(0),  # noqa: S311 - which of equal servers comes first
    )
    served = [
        (one.transport, 6 if ":" in one.address.host else 4)
        for one in map(parse_listen, config.listen)
    ]

    async def resolve(uri: Uri) -> list[Target] | AgentError:
        try:
            return await resolver.targets(uri, served)
        except AgentError as error:
            return error

    return list(await asyncio.gather(*map(resolve, uris)))
