"""Workers as children of the main process, which ends them when it stops."""

import asyncio
from itertools import count
from pathlib import Path

from agent.media.control import Hello
from agent.media.link import WorkerLink


class Spawning:
    """Starts workers, each with a control socket of its own in a directory."""

    def __init__(self, directory: Path, hello: Hello, workers: int) -> None:
        self._directory = directory
        self._hello = hello
        self._workers = workers
        self._names = count()

    async def begin(self) -> list[WorkerLink]:
        """All that are needed at first. Raises MediaError."""
        hired = await asyncio.gather(
            *(self.hire() for _ in range(self._workers)), return_exceptions=True
        )
        links = [link for link in hired if isinstance(link, WorkerLink)]
        for failure in hired:
            if isinstance(failure, BaseException):
                await asyncio.gather(*(link.kill() for link in links))
                raise failure
        return links

    def release(self, link: WorkerLink) -> None:
        """Let a worker go that has nothing any more."""
        link.detach()

    async def hire(self) -> WorkerLink:
        """One more. Raises MediaError."""
        link = WorkerLink(self._directory / f"media-{next(self._names)}.sock")
        await link.start(self._hello)
        return link
