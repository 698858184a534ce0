"""Whether central storage takes what is brought to it, asked before calls are taken.

Asked for by putting the first notice there, which it is to hold anyway. Storage that is
away stops no recording, not at the start either: a host that boots on the day storage
is down must carry calls. Storage that answers and refuses is another matter as long as
it never took anything from here: then the configuration is wrong, and somebody stands
beside it. If it did once, what has changed is not here, and recordings wait in the
spool.
"""

import asyncio
import errno
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import structlog

from agent.common.errors import AgentError
from agent.common.files import write_durably
from agent.recording.spool import SealedObject
from agent.upload.backend import StorageError
from agent.upload.backends.s3_errors import BucketMissingError
from agent.upload.config import StorageConfig
from agent.upload.targets import Target
from agent.upload.uploader import store_object

PROVEN: Final = "storages-proven"
"The spool's file with digests of the storages that took something from this host."
_REFUSALS: Final = {
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR,
}  # fmt: skip
PROOF_SECONDS: Final = 5.0
"So long a start waits for an answer."


class StorageRefusesError(AgentError):
    """A storage that never took anything from this host refuses."""

    hint = "Correct [[storage]]; `recording-agent storage check` says what is wrong."


async def prove_storages(
    storages: Sequence[tuple[StorageConfig, Target]],
    notices: Mapping[str, bytes],
    spool: Path,
    *,
    seconds: float = PROOF_SECONDS,
    on_unproven: Callable[[Target], None] = lambda _: None,
) -> None:
    """Put the first of `notices` (by SHA-256) into each storage, and see it there.

    Raises StorageRefusesError for those that were never proven; logs
    `storage_not_proven` with everything else, of which `on_unproven` is told. Without a
    notice nothing is asked.
    """
    if not notices:
        return
    digest, data = next(iter(notices.items()))
    async with asyncio.TaskGroup() as group:
        asked = [
            group.create_task(_ask(target, digest, data, seconds))
            for _, target in storages
        ]
    known = _known(spool / PROVEN)
    proven, refusals = set[str](), []
    for (config, target), task in zip(storages, asked, strict=True):
        error, mark = task.result(), _mark(config)
        if error is None:
            proven.add(mark)
            continue
        if mark not in known and _refuses(error):
            refusals.append(f"{target.name}: {error}")
        structlog.get_logger().error(
            "storage_not_proven", storage=target.name, reason=str(error)
        )
        on_unproven(target)
    if refusals:
        raise StorageRefusesError(" ".join(refusals))
    if not proven <= known:
        marks = sorted(known & {_mark(config) for config, _ in storages} | proven)
        try:
            write_durably(spool / PROVEN, "\n".join(marks).encode())
        except OSError as error:
            # The next start asks again; the spool's own watch tells of the disk.
            structlog.get_logger().warning("proof_not_kept", reason=str(error))


def are_known(storages: Sequence[StorageConfig], spool: Path) -> bool:
    """Whether each has taken something from this host, at an earlier start."""
    return {_mark(config) for config in storages} <= _known(spool / PROVEN)


async def _ask(
    target: Target, digest: str, data: bytes, seconds: float
) -> AgentError | None:
    """What is wrong with a storage, if something is."""
    sealed = SealedObject(
        file="",
        target="locked",
        key=f"notices/{digest}.wav",
        sha256=digest,
        size=len(data),
    )
    try:
        async with asyncio.timeout(seconds):
            await store_object(target.locked, sealed, data, ask_first=True)
    except TimeoutError:
        return StorageError(f"no answer within {seconds:.0f} s.")
    except OSError as error:
        found = StorageError(f"{error.strerror or error}.")
        # It answers: what it says of the directory somebody must put right.
        found.permanent = error.errno in _REFUSALS
        return found
    except AgentError as error:
        return error
    return None


def _refuses(error: AgentError) -> bool:
    return error.permanent or isinstance(error, BucketMissingError)


def _mark(config: StorageConfig) -> str:
    """What stands for a storage: where it is, and whether it is to lock."""
    text = f"{config.locked_url}\n{config.url}\n{config.lock}"
    return hashlib.sha256(text.encode()).hexdigest()


def _known(path: Path) -> set[str]:
    """The storages that were proven by earlier starts, as far as that can be read."""
    try:
        return set(path.read_text().split())
    except (OSError, UnicodeDecodeError):
        return set()
