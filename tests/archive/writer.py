"""A process that writes an audit log until it is killed: each number once it is told.

python -m tests.archive.writer FOLDER
"""

import asyncio
import sys
from pathlib import Path

from agent.archive.audit_log import AuditLog
from agent.formats.audit import Act
from agent.upload.backends.directory import DirectoryBackend
from tests.archive.logs import ID, KEY

AT_ONCE = 3


async def write(folder: Path) -> None:
    log = AuditLog(DirectoryBackend(folder), "gate", KEY)
    await log.start()
    sys.stdout.write("0\n")

    async def one() -> None:
        while True:
            number = await log.append("p-17", Act.RELEASE, recording_id=ID)
            sys.stdout.write(f"{number}\n")
            sys.stdout.flush()

    await asyncio.gather(*(one() for _ in range(AT_ONCE)))


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1])))
