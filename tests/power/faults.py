"""What a power cut may leave of what was not synced."""

from collections.abc import Callable, Iterator, Sequence

from tests.power.disk import Disk, State, Step, Truncate, Write, applied, rename_in

SECTOR = 512

Changes = Sequence[Write | Truncate]


def _all(durable: bytes, changes: Changes) -> bytes:
    for change in changes:
        durable = applied(durable, change)
    return durable


def _lost(durable: bytes, changes: Changes) -> bytes:
    return durable


def _torn(durable: bytes, changes: Changes) -> bytes:
    """The last write is there in part."""
    *before, last = changes
    if isinstance(last, Write):
        last = Write(last.file, last.offset, last.data[: len(last.data) // 2])
    return _all(durable, [*before, last])


def _first_torn(durable: bytes, changes: Changes) -> bytes:
    """The first write is there in part, and nothing after it."""
    return _torn(durable, changes[:1])


def _zeros(durable: bytes, changes: Changes) -> bytes:
    """The size is there, and not one byte of the data."""
    return _all(durable, [_without(change, lambda _: True) for change in changes])


def _sectors(durable: bytes, changes: Changes) -> bytes:
    """Every other sector of what was written is zeros."""

    def missing(position: int) -> bool:
        return position // SECTOR % 2 == 0

    return _all(durable, [_without(change, missing) for change in changes])


def _last_first(durable: bytes, changes: Changes) -> bytes:
    """The last write is there, those before it are zeros."""
    *before, last = changes
    return _all(durable, [*(_without(c, lambda _: True) for c in before), last])


def _without(
    change: Write | Truncate, missing: Callable[[int], bool]
) -> Write | Truncate:
    if isinstance(change, Truncate):
        return change
    data = bytes(
        0 if missing(change.offset + index) else byte
        for index, byte in enumerate(change.data)
    )
    return Write(change.file, change.offset, data)


DATA: dict[str, Callable[[bytes, Changes], bytes]] = {
    "lost": _lost,
    "kept": _all,
    "torn": _torn,
    "first torn": _first_torn,
    "zeros": _zeros,
    "sectors": _sectors,
    "last first": _last_first,
}


def _choices(disk: Disk) -> Iterator[tuple[str, frozenset[int]]]:
    """Which names survive: as ext4 has it, a beginning; as POSIX has it, any."""
    count = len(disk.renames)
    for length in range(count + 1):
        yield f"first {length} of {count} names", frozenset(range(length))
    for one in range(count):
        yield f"name {one} alone", disk.closed({one})
    for one in range(count):
        yield f"all names but {one}", disk.closed(set(range(count)) - {one})


def left(disk: Disk) -> Iterator[tuple[str, str, State]]:
    """All that a power cut at this moment may leave: (data, names, state)."""
    for names, kept in _choices(disk):
        directories = {n: dict(entries) for n, entries in disk.names.items()}
        for index in sorted(kept):
            rename_in(directories, disk.renames[index])
        for name, lose in DATA.items():
            files = {
                number: lose(durable, disk.pending[number])
                if number in disk.pending
                else durable
                for number, durable in disk.durable.items()
            }
            yield name, names, State(files, directories, disk.ledger)


def cuts(state: State, steps: Sequence[Step]) -> Iterator[tuple[int, str, str, State]]:
    """All that cuts after each of the steps may leave, each state once.

    Yields how many steps were done, what became of data and of names, and the state.
    """
    disk, seen = Disk(state), set[bytes]()
    for done in range(len(steps) + 1):
        if done:
            disk.follow(steps[done - 1])
        for data, names, found in left(disk):
            if (digest := found.digest) not in seen:
                seen.add(digest)
                yield done, data, names, found
