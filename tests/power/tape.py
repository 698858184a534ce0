"""Stands between a program and `os`, and has every step on tape."""

import itertools
import os
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any
from unittest import mock

from tests.power.disk import (
    ROOT,
    Commit,
    Disk,
    Made,
    Rename,
    State,
    Step,
    Sync,
    SyncNames,
    Truncate,
    Write,
    rename_in,
)
from tests.power.faults import left


class Tape:
    """Records what is done to files below `root` while it is entered.

    Nothing is synced in truth. That no step goes past it is proven by `check`.
    """

    def __init__(self, root: Path, ledger: bytes = b"") -> None:
        self.root = root
        self.before = State.of(root, ledger)
        self.steps: list[Step] = []
        self._names = {n: dict(e) for n, e in self.before.directories.items()}
        self._numbers = itertools.count(1 + max([ROOT, *self._numbered()]))
        self._open: dict[int, list[int]] = {}
        "By descriptor: which file or directory, and where in it."
        self._patches = [
            mock.patch.object(os, name, self._between(name, after))
            for name, after in (
                ("open", self._opened),
                ("write", self._written),
                ("rename", self._renamed),
                ("replace", self._renamed),
                ("link", self._linked),
                ("unlink", self._unlinked),
                ("remove", self._unlinked),
                ("rmdir", self._unlinked),
                ("mkdir", self._made),
                ("truncate", self._truncated),
                ("ftruncate", self._ftruncated),
            )
        ]
        self._patches += [
            mock.patch.object(os, name, self._sync) for name in ("fsync", "fdatasync")
        ]

    def _numbered(self) -> list[int]:
        return [*self.before.files, *self.before.directories]

    def __enter__(self) -> "Tape":
        for patch in self._patches:
            patch.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for patch in self._patches:
            patch.stop()

    def commit(self, ledger: bytes) -> None:
        """The ledger is this from now on."""
        self.steps.append(Commit(ledger))

    def _disk(self) -> Disk:
        disk = Disk(self.before)
        for step in self.steps:
            disk.follow(step)
        return disk

    def survivors(self) -> list[dict[str, bytes | None]]:
        """What a power cut now may leave: each file's bytes, None for a directory."""
        found = {state.digest: state.contents() for *_, state in left(self._disk())}
        return list(found.values())

    def check(self) -> None:
        """Fail if what is really there did not come about by what is on tape."""
        disk = self._disk()
        for rename in disk.renames:
            rename_in(disk.names, rename)
        told = State(disk.now, disk.names)
        assert told.contents() == State.of(self.root).contents()

    # -- what has been done -----------------------------------------------------------

    def _between(self, name: str, after: Callable[..., None]) -> Callable[..., Any]:
        real = getattr(os, name)

        def act(*args: Any, **options: Any) -> Any:
            result = real(*args, **options)
            after(result, *args, **options)
            return result

        return act

    def _place(self, path: Any, dir_fd: int | None = None) -> tuple[int, str] | None:
        """The directory and name a path means; None if it is none of ours."""
        if dir_fd is not None:
            return (self._open[dir_fd][0], path) if dir_fd in self._open else None
        if isinstance(path, int):
            return None
        try:
            parts = Path(os.path.abspath(path)).relative_to(self.root).parts  # noqa: PTH100
        except ValueError:
            return None
        directory = ROOT
        for part in parts[:-1]:
            directory = self._names[directory][part]
        return directory, parts[-1] if parts else ""

    def _named(self, place: tuple[int, str]) -> int | None:
        directory, name = place
        return self._names[directory].get(name) if name else ROOT

    def _rename(self, *names: tuple[int, str, int | None]) -> None:
        step = Rename(names)
        rename_in(self._names, step)
        self.steps.append(step)

    def _new(self, *, directory: bool) -> int:
        number = next(self._numbers)
        if directory:
            self._names[number] = {}
        self.steps.append(Made(number, directory))
        return number

    def _opened(
        self, fd: int, path: Any, flags: int, *_: Any, dir_fd: int | None = None
    ) -> None:
        self._open.pop(fd, None)
        if (place := self._place(path, dir_fd)) is None:
            return
        number = self._named(place)
        if number is None:
            number = self._new(directory=False)
            self._rename((*place, number))
        elif flags & os.O_TRUNC:
            self.steps.append(Truncate(number, 0))
        self._open[fd] = [number, 0]

    def _written(self, written: int, fd: int, data: Any) -> None:
        if fd in self._open:
            number, offset = self._open[fd]
            self.steps.append(Write(number, offset, bytes(data[:written])))
            self._open[fd][1] += written

    def _renamed(self, _: None, source: Any, target: Any) -> None:
        old, new = self._place(source), self._place(target)
        assert old is not None
        assert new is not None
        self._rename((*old, None), (*new, self._named(old)))

    def _linked(self, _: None, source: Any, target: Any, **__: Any) -> None:
        old, new = self._place(source), self._place(target)
        assert old is not None
        assert new is not None
        self._rename((*new, self._named(old)))

    def _unlinked(self, _: None, path: Any, *, dir_fd: int | None = None) -> None:
        if (place := self._place(path, dir_fd)) is not None:
            self._rename((*place, None))

    def _made(self, _: None, path: Any, *__: Any, **___: Any) -> None:
        if (place := self._place(path)) is not None:
            self._rename((*place, self._new(directory=True)))

    def _truncated(self, _: None, path: Any, size: int) -> None:
        if (place := self._place(path)) is not None:
            number = self._named(place)
            assert number is not None
            self.steps.append(Truncate(number, size))

    def _ftruncated(self, _: None, fd: int, size: int) -> None:
        if fd in self._open:
            self.steps.append(Truncate(self._open[fd][0], size))

    def _sync(self, fd: int) -> None:
        if fd in self._open:
            number = self._open[fd][0]
            step = SyncNames if number in self._names else Sync
            self.steps.append(step(number))
