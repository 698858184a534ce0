"""sipp as session recording clients of several makes; their media is ours.

The scenarios beside this file speak of [caller] and [officer], the numbers of the two
parties; [port1] and [port2], where their streams come from; [session], the id of the
communication session where a make has a new one for each pair of parties.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from tests.lab.sipp import Sipp
from tests.lab.siprec.messages import media_lines, parsed
from tests.lab.siprec.streams import Clock, Stream
from tests.patience import PATIENCE
from tests.ports import free_ports

SCENARIOS = Path(__file__).parent
TRANSPORTS = {"udp": "u1", "tcp": "t1"}


@asynccontextmanager
async def dialect(
    root: Path,
    name: str,
    streams: Sequence[Stream],
    *,
    host: str,
    remote: int,
    caller: str,
    officer: str,
    session: str = "",
    transport: str = "udp",
    pause: float = 1.5,
) -> AsyncIterator[Sipp]:
    """A client of one make, whose streams speak from its 200 on until the end."""
    ports = {f"port{n}": str(one.port) for n, one in enumerate(streams, 1)}
    keys = {"caller": caller, "officer": officer, "session": session, **ports}
    clock = Clock()
    clock.streams += streams
    with Sipp(
        root,
        name,
        port=free_ports(1)[0],
        host=host,
        remote=remote,
        service="recorder",
        user=caller,
        pause=pause,
        transport=TRANSPORTS[transport],
        keys=keys,
        scenarios=SCENARIOS,
    ) as sipp:
        clock.start()
        try:
            description = await _answer(sipp)
            lines = media_lines(description)
            assert len(lines) == len(streams)
            for stream, line in zip(streams, lines, strict=True):
                stream.answered(line, clock.frame)
            yield sipp
            await sipp.succeeds()
        finally:
            await clock.stop()


async def _answer(sipp: Sipp) -> bytes:
    """The body of the 200 that a client gets; fails with the client."""
    async with asyncio.timeout(PATIENCE):
        while sipp.running:
            _, found, rest = sipp.messages.partition("\nSIP/2.0 200 ")
            if found and "\nm=" in rest and "\n-----" in rest:
                text = rest.partition("\n-----")[0]
                return parsed(f"x {text}".replace("\n", "\r\n").encode()).body
            await asyncio.sleep(0.02)
    await sipp.succeeds()
    raise AssertionError(f"sipp {sipp.scenario} got no answer")
