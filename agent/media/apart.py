"""Workers that are units of their own: a service manager starts them, not we."""

import asyncio
from pathlib import Path
from typing import Final

import structlog

from agent.common.clock import monotonic
from agent.media.control import Hello
from agent.media.control_socket import control_sockets
from agent.media.errors import MediaError, NoWorkerError
from agent.media.link import WorkerLink

GRACE: Final = 2.0
"Seconds at the start after which those who have answered will do."
PATIENCE: Final = 15.0
"Seconds at the start after which there must be one."
AGAIN: Final = 0.05
"Seconds between two looks for one that has been restarted."
TOLD_AGAIN: Final = 60.0
"Seconds between two lines of the log about one that does not answer."


class Apart:
    """Finds workers at the control sockets of a directory; `places` are wanted.

    The number of a socket says nothing: upgraded workers have others than those that
    they replace. Where there are too few, the lowest free numbers are missed.
    """

    def __init__(self, directory: Path, hello: Hello, places: int) -> None:
        self._hello = hello
        self._directory = directory
        self._places = places
        self._links: dict[Path, WorkerLink] = {}
        "Who was met at each socket, and not let go."
        self._busy: set[Path] = set()
        "Where somebody is being spoken to for the first time."
        self._tell_at: dict[Path, float] = {}
        "When it is worth a line that one has not answered yet."
        self._log = structlog.get_logger()

    async def begin(self) -> list[WorkerLink]:
        """All that answer before long, however many. Raises NoWorkerError if none does.

        Besides those that are wanted there may be some that were wanted once, or of
        another release.
        """
        started = monotonic()
        found: list[WorkerLink] = []
        while len(found) < self._places:
            found += await self._look()
            waited = monotonic() - started
            if waited > (GRACE if found else PATIENCE):
                break
            if len(found) < self._places:
                await asyncio.sleep(AGAIN)
        if not found:
            raise NoWorkerError("No media worker answers at its socket.")
        return found

    def release(self, link: WorkerLink) -> None:
        """Let a worker go that has nothing any more; `hire` may meet it again."""
        link.detach()
        del self._links[link.path]

    async def hire(self) -> WorkerLink:
        """The next that answers and has no place yet; waits for as long as it takes."""
        while True:
            for path in self._sockets():
                if (link := await self._meet(path)) is not None:
                    return link
            await asyncio.sleep(AGAIN)

    def _sockets(self) -> list[Path]:
        """Where somebody is, or should be."""
        found = control_sockets(self._directory)
        missing = max(0, self._places - len(found))
        numbered = (self._directory / f"media-{n}.sock" for n in range(self._places))
        return found + [path for path in numbered if path not in found][:missing]

    async def _look(self) -> list[WorkerLink]:
        met = await asyncio.gather(*(self._meet(path) for path in self._sockets()))
        return [link for link in met if link is not None]

    async def _meet(self, path: Path) -> WorkerLink | None:
        """Whoever is at a socket, if that is news."""
        known = self._links.get(path)
        if path in self._busy or (known is not None and not known.ended):
            return None
        link = WorkerLink(path)
        self._busy.add(path)
        # One that was killed is back in less.
        self._tell_at.setdefault(path, monotonic() + GRACE)
        try:
            await link.attach(self._hello)
        except MediaError as error:
            # It is asked again.
            self._not_met(path, error)
            return None
        finally:
            self._busy.discard(path)
        del self._tell_at[path]
        self._links[path] = link
        return link

    def _not_met(self, path: Path, error: MediaError) -> None:
        now = monotonic()
        if now >= self._tell_at[path]:
            self._tell_at[path] = now + TOLD_AGAIN
            self._tell(path, error)

    def _tell(self, path: Path, error: MediaError) -> None:
        self._log.warning(
            "media_worker_unreachable", socket=path.name, reason=str(error)
        )
