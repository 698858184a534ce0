"""Workers that a dead main process left behind."""

import asyncio
import contextlib
from pathlib import Path

from agent.media import control
from agent.media.control_socket import connect, control_sockets
from agent.media.link import RETIRE_SECONDS
from agent.model.call import EndCause


async def retire_orphans(directory: Path) -> int:
    """End them; returns how many lived. Their journals are closed when this returns."""
    found = 0
    loop = asyncio.get_running_loop()
    for path in control_sockets(directory):
        try:
            channel = connect(path)
        except OSError:
            path.unlink(missing_ok=True)
            continue
        with channel, contextlib.suppress(OSError, TimeoutError):
            found += 1
            channel.send(control.encode(control.Retire(cause=EndCause.AGENT_DIED)))
            async with asyncio.timeout(RETIRE_SECONDS):
                while await loop.sock_recv(channel, control.MAX_MESSAGE):
                    pass
        path.unlink(missing_ok=True)
    return found
