"""A disk whose every step is on tape, so that the power can be cut after each.

The model is POSIX's: what was written is durable once its file was synced, a name once
its directory was, and until then all, some or nothing of it may be. Of ext4 it takes
one promise: a rename is whole or has not been.
"""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from pathlib import Path

ROOT = 0
_RANDOM = re.compile(r"#\d+|\.[a-z0-9_]{8}\.tmp$")


@dataclass(frozen=True, slots=True)
class Made:
    """A new file or directory, empty, and without a name yet."""

    number: int
    directory: bool


@dataclass(frozen=True, slots=True)
class Write:
    file: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Truncate:
    file: int
    size: int


@dataclass(frozen=True, slots=True)
class Sync:
    """All that was written to a file is durable."""

    file: int


@dataclass(frozen=True, slots=True)
class Rename:
    """Names that change together: (directory, name, what it names now or None)."""

    names: tuple[tuple[int, str, int | None], ...]

    def touches(self, other: "Rename") -> bool:
        """Whether a name is changed by both."""
        return bool({n[:2] for n in self.names} & {n[:2] for n in other.names})


@dataclass(frozen=True, slots=True)
class SyncNames:
    """All names in a directory are durable."""

    directory: int


@dataclass(frozen=True, slots=True)
class Commit:
    """SQLite's business: the ledger is this, durably and at once."""

    ledger: bytes


Step = Made | Write | Truncate | Sync | Rename | SyncNames | Commit


@dataclass
class State:
    """Files and directories by number, and the ledger beside them."""

    files: dict[int, bytes] = field(default_factory=dict)
    directories: dict[int, dict[str, int]] = field(default_factory=lambda: {ROOT: {}})
    ledger: bytes = b""

    def walk(self, directory: int = ROOT, at: str = "") -> Iterator[tuple[str, int]]:
        """Every name that is reached from the root, and what it names."""
        for name, number in sorted(self.directories[directory].items()):
            yield f"{at}{name}", number
            if number in self.directories:
                yield from self.walk(number, f"{at}{name}/")

    def contents(self) -> dict[str, bytes | None]:
        """Every file's bytes by path; None for a directory."""
        return {path: self.files.get(number) for path, number in self.walk()}

    @property
    def digest(self) -> bytes:
        """The same for states that differ in random names and in moments alone."""
        state = sha256(repr(rows(self.ledger)).encode())
        for path, data in self.contents().items():
            state.update(repr((_RANDOM.sub("", path), data)).encode())
        return state.digest()

    def put(self, root: Path) -> None:
        """Make it real in the empty directory `root`."""
        made: dict[int, Path] = {}
        for name, number in self.walk():
            path = root / name
            if number in self.directories:
                path.mkdir(mode=0o700)
            elif number in made:
                path.hardlink_to(made[number])
            else:
                path.write_bytes(self.files[number])
                made[number] = path

    @classmethod
    def of(cls, root: Path, ledger: bytes = b"") -> "State":
        """What is really there, all of it durable."""
        state, known, numbers = cls(ledger=ledger), {root.stat().st_ino: ROOT}, {}
        for path in sorted(root.rglob("*")):
            inode = path.lstat().st_ino
            number = numbers.setdefault(inode, len(numbers) + 1)
            if path.is_dir():
                known[inode] = number
                state.directories[number] = {}
            else:
                state.files[number] = path.read_bytes()
            parent = known[path.parent.stat().st_ino]
            state.directories[parent][path.name] = number
        return state


@cache
def rows(ledger: bytes) -> list[tuple[object, ...]]:
    """What a ledger says of calls and recordings, but for when it came to know it."""
    with closing(sqlite3.connect(":memory:")) as db:
        if not ledger:
            return []
        # Of a file with a write-ahead log, which memory cannot have.
        db.deserialize(ledger[:18] + b"\1\1" + ledger[20:])
        calls = db.execute("SELECT call_id, outcome, cause FROM calls").fetchall()
        states = "SELECT recording_id, state FROM recordings"
        return calls + db.execute(states).fetchall()


class Disk:
    """Follows the steps; knows what is durable, and what is not yet."""

    def __init__(self, state: State) -> None:
        self.now = dict(state.files)
        self.durable = dict(state.files)
        self.pending: dict[int, list[Write | Truncate]] = {}
        self.names = {n: dict(entries) for n, entries in state.directories.items()}
        "Durable ones."
        self.renames: list[Rename] = []
        "Not durable yet, in order."
        self.ledger = state.ledger

    def follow(self, step: Step) -> None:
        """Let one step happen."""
        match step:
            case Made(number, directory):
                if directory:
                    self.names[number] = {}
                else:
                    self.now[number] = self.durable[number] = b""
            case Write() | Truncate():
                self.now[step.file] = applied(self.now[step.file], step)
                self.pending.setdefault(step.file, []).append(step)
            case Sync(file):
                self.durable[file] = self.now[file]
                self.pending.pop(file, None)
            case Rename():
                self.renames.append(step)
            case SyncNames(directory):
                touched = {
                    index
                    for index, rename in enumerate(self.renames)
                    if any(name[0] == directory for name in rename.names)
                }
                kept = self.closed(touched)
                for index in sorted(kept):
                    rename_in(self.names, self.renames[index])
                self.renames = [
                    one for index, one in enumerate(self.renames) if index not in kept
                ]
            case Commit(ledger):
                self.ledger = ledger

    def closed(self, chosen: set[int]) -> frozenset[int]:
        """The chosen renames, and those before them that they build upon."""
        found = set(chosen)
        for index in range(len(self.renames) - 1, -1, -1):
            if index in found:
                found |= {
                    earlier
                    for earlier in range(index)
                    if self.renames[earlier].touches(self.renames[index])
                }
        return frozenset(found)


def applied(data: bytes, change: Write | Truncate) -> bytes:
    """A file's bytes after a change."""
    if isinstance(change, Truncate):
        return data[: change.size].ljust(change.size, b"\0")
    end = change.offset + len(change.data)
    return data[: change.offset].ljust(change.offset, b"\0") + change.data + data[end:]


def rename_in(directories: dict[int, dict[str, int]], rename: Rename) -> None:
    """Carry out a change of names."""
    for directory, name, number in rename.names:
        if number is None:
            directories[directory].pop(name, None)
        else:
            directories[directory][name] = number
