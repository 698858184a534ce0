"""An upload that ends at any one of its steps, as the process that does it dies."""

import os
import random
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from agent.common.ids import new_id
from agent.recording.spool import SealedObject, Spool
from agent.upload.backends.directory import DirectoryBackend
from agent.upload.targets import Target
from agent.upload.uploader import Uploader

OPERATIONS = ("mkdir", "open", "fsync", "link", "rename", "unlink", "rmdir")
PLACES = {"key": "state", "wav": "locked", "json": "locked"}


class Killed(BaseException):
    """The process is gone."""


class Doom:
    """Raises Killed before the file operation it counts down to."""

    def __init__(self, patch: pytest.MonkeyPatch, steps: int) -> None:
        self._left = steps
        for name in OPERATIONS:
            patch.setattr(os, name, self._counted(getattr(os, name)))

    def step(self) -> None:
        """Another one. Raises Killed when it is the last, and ever after."""
        self._left -= 1
        # What a killed process would not do (cleaning up) is refused as well.
        if self._left <= 0:
            raise Killed

    def _counted(self, operation: Callable[..., object]) -> Callable[..., object]:
        def act(*args: object, **options: object) -> object:
            self.step()
            return operation(*args, **options)

        return act


class Site:
    """A spool with one sealed recording, and an empty storage: a directory."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.told: list[str] = []
        self.wanted: dict[str, bytes] = {}
        "By place and key."
        self.spool = Spool(root / "spool")
        self.spool.prepare()
        for place in ("locked", "state"):
            (root / place).mkdir()
        self.id = new_id()
        self.spool.write_envelope(self.id, b"envelope")
        (self.spool.journal_directory / f"{self.id}.0.journal").write_bytes(b"journal")
        work = self.spool.begin_work(self.id)
        self.spool.commit_sealed(self.id, work, [self._seal(work, k) for k in PLACES])

    def _seal(self, work: Path, kind: str) -> SealedObject:
        name = f"{self.id}.{kind}.age"
        data = random.Random(kind).randbytes(100)
        (work / name).write_bytes(data)
        key = f"{kind}/2026/11/23/{name}"
        self.wanted[f"{PLACES[kind]}/{key}"] = data
        return SealedObject(
            file=name,
            target="state" if PLACES[kind] == "state" else "locked",
            key=key,
            sha256=sha256(data).hexdigest(),
            size=len(data),
        )

    async def start(self) -> None:
        """As a fresh process does: nothing is remembered."""

        async def stored(recording_id: str) -> None:
            self.told.append(recording_id)

        async def purged(recording_id: str) -> None:
            assert not self.spool.is_sealed(recording_id)

        uploader = Uploader(
            self.spool, [self.target()], on_stored=stored, on_purged=purged
        )
        for recording_id in self.spool.list_sealed():
            await uploader.store(recording_id)

    def restart(self) -> None:
        self.spool.close()
        self.spool.prepare()

    def target(self) -> Target:
        """Storage, as a fresh process opens it."""
        return Target(*(DirectoryBackend(self.root / p) for p in ("locked", "state")))

    def stored(self) -> dict[str, bytes]:
        """All that storage lists, by place and key: not copies in the making."""
        files = (p for s in ("locked", "state") for p in (self.root / s).rglob("*"))
        return {
            str(p.relative_to(self.root)): p.read_bytes()
            for p in files
            if p.is_file() and "#" not in p.name
        }

    def left_in_spool(self) -> list[Path]:
        folders = ("journal", "keys", "sealed", "work", "quarantine")
        return [p for name in folders for p in (self.root / "spool" / name).iterdir()]


async def dies_at_each_step(
    new_site: Callable[[int], Site], patch: pytest.MonkeyPatch, arm: Callable[..., None]
) -> int:
    """Live it through as often as it has steps; returns how many these are.

    `new_site` makes one for each life; `arm` has more than files counted.
    """
    survived, steps = False, 0
    while not survived:
        steps += 1
        site = new_site(steps)
        with patch.context() as context:
            arm(context, Doom(context, steps))
            try:
                await site.start()
                survived = True
            except Killed:
                # All of it is still in one of the two places.
                assert site.spool.is_sealed(site.id) or site.stored() == site.wanted
        site.restart()
        await site.start()
        assert site.stored() == site.wanted, steps
        assert site.left_in_spool() == [], steps
        assert site.id in site.told, steps
        site.spool.close()
    return steps
