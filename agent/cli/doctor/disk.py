"""Whether the spool's disk is local, private, has room, and is fast enough."""

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from agent.cli.doctor.finding import Finding, Findings, Patient
from agent.common.clock import monotonic

WRITES: Final = 40
SECONDS: Final = 2.0
"A check of a bad disk ends, too."
BLOCK: Final = 4096
"Bytes of one row of the ledger, about."
SLOW: Final = 0.05
"Seconds of one fsync that a caller notices: the intent is durable before the answer."
TOO_SLOW: Final = 0.5
LOW_INODES: Final = 0.02
_VOLATILE: Final = frozenset({"tmpfs", "ramfs"})
_REMOTE: Final = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "ceph", "glusterfs", "9p"}
)


class Mount(NamedTuple):
    """Where a directory lies."""

    point: Path
    kind: str


def check(patient: Patient, found: Findings) -> Iterator[Finding]:
    """Look at the spool, and write a little there."""
    spool = patient.spool
    if spool in patient.made_by_unit and not spool.exists():
        yield found.warning(
            f"the spool {spool} is not there yet", "Start the unit, which makes it."
        )
        return
    try:
        status = spool.stat()
    except OSError as error:
        yield found.wrong(
            f"the spool {spool} is not there: {error.strerror}",
            "Make it, mode 0700, for the daemon's user, as the unit does.",
        )
        return
    if not stat.S_ISDIR(status.st_mode):
        yield found.wrong(f"the spool {spool} is no directory", "Name one.")
        return
    mode = stat.S_IMODE(status.st_mode)
    if mode & 0o077:
        yield found.wrong(
            f"others may enter the spool (mode {mode:04o})", f"Run chmod 700 {spool}."
        )
    yield from _kind(mount_of(spool.resolve(), patient.proc), found)
    yield from _room(patient, found)
    try:
        yield _speed(latencies(spool), found)
    except OSError as error:
        yield found.wrong(
            f"the spool cannot be written: {error.strerror}",
            "Run doctor as the daemon's user or root; see whether it is read-only.",
        )


def _kind(mount: Mount | None, found: Findings) -> Iterator[Finding]:
    if mount is None:
        return
    if mount.kind in _VOLATILE:
        yield found.wrong(
            f"the spool lies in memory ({mount.kind}): a restart of the host loses it",
            "Put agent.spool on a disk.",
        )
    elif mount.kind in _REMOTE:
        yield found.wrong(
            f"the spool lies on another host ({mount.kind})",
            "Put agent.spool on a local disk: a network pauses, and calls wait.",
        )
    else:
        yield found.right(f"the spool lies on {mount.kind}, mounted at {mount.point}")


def _room(patient: Patient, found: Findings) -> Iterator[Finding]:
    disk = os.statvfs(patient.spool)
    used = (disk.f_blocks - disk.f_bfree) * disk.f_frsize
    free = disk.f_bavail * disk.f_frsize
    share = used / (used + free) if used + free else 1.0
    settings = patient.config.recording
    if share >= settings.spool_high_water or free >> 20 < settings.min_free_mb:
        yield found.wrong(
            f"the spool's disk is {share * 100:.0f} % full: no recording begins",
            "Make room, or let storage take what waits.",
        )
    elif share >= settings.spool_high_water - 0.1:
        yield found.warning(
            f"the spool's disk is {share * 100:.0f} % full; at"
            f" {settings.spool_high_water * 100:.0f} % no recording begins",
            "Make room, or let storage take what waits.",
        )
    else:
        yield found.right(f"the spool's disk has {free >> 30} GiB free")
    if disk.f_files and disk.f_favail < disk.f_files * LOW_INODES:
        yield found.wrong(
            f"the spool's disk takes {disk.f_favail} more files only",
            "Remove small files there, or make its file system anew with more inodes.",
        )


def _speed(seconds: list[float], found: Findings) -> Finding:
    """The slowest but one in twenty decides: what a caller waits for, now and then."""
    worst = sorted(seconds)[max(0, len(seconds) * 19 // 20 - 1)]
    text = f"one write in twenty takes {worst * 1000:.1f} ms or longer to be durable"
    if worst >= TOO_SLOW:
        return found.wrong(
            text, "Put agent.spool on another disk: calls wait for each answer."
        )
    if worst >= SLOW:
        return found.warning(text, "See what else writes to this disk (iostat -x 1).")
    return found.right(text)


def latencies(directory: Path) -> list[float]:
    """Seconds that each of some small durable writes takes; leaves no file behind.

    Raises OSError.
    """
    fd = os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        taken: list[float] = []
        begun = monotonic()
        while len(taken) < WRITES and monotonic() - begun < SECONDS:
            before = monotonic()
            os.pwrite(fd, os.urandom(BLOCK), len(taken) * BLOCK)
            os.fdatasync(fd)
            taken.append(monotonic() - before)
        return taken
    finally:
        os.close(fd)


def mount_of(path: Path, proc: Path) -> Mount | None:
    """The mount that a path lies in (proc_pid_mountinfo(5)); None if nobody says."""
    best: Mount | None = None
    try:
        lines = (proc / "self/mountinfo").read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    for line in lines:
        before, _, after = line.partition(" - ")
        fields, kinds = before.split(), after.split()
        if len(fields) < 5 or not kinds:
            continue
        point = Path(fields[4].replace("\\040", " "))
        # The later of two at one place covers the earlier.
        if path.is_relative_to(point) and (
            best is None or len(point.parts) >= len(best.point.parts)
        ):
            best = Mount(point, kinds[0])
    return best
