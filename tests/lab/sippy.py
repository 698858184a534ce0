"""sippy's B2BUA as the trunk: it answers for the other side, dialog by dialog."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from tests.lab.peers import SIPPY, missing
from tests.lab.process import Process, bound, running


@contextlib.asynccontextmanager
async def sippy(root: Path, *, port: int, to: int) -> AsyncIterator[Process]:
    """A B2BUA at `port` that takes every call on to port `to`."""
    program = SIPPY / "bin/b2bua_simple"
    if not program.exists():
        missing("sippy")
    folder = root / f"sippy-{port}"
    command = [str(program), "-f", "-l", "127.0.0.1", "-p", str(port)]
    command += ["-n", f"127.0.0.1:{to}", "-L", str(folder / "sip.log")]
    with running("sippy", folder, command, HOME=str(folder)) as process:
        await process.ready(lambda: bound(port))
        yield process
