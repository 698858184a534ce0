"""A clock that is a year ahead must not erase a year: storage has one, too."""

from typing import Final

from agent.common.errors import AgentError
from agent.retention.mark_store import MarkStore
from agent.retention.marks import Mark

SKEW: Final = 600.0
"Seconds by which this host's clock and the storage's may differ."
_SECOND_NS: Final = 1_000_000_000


class ClockError(AgentError):
    """This host and the storage do not agree what time it is."""

    permanent = False
    hint = "Set the clock that is wrong; until then nothing is erased."


async def check_clock(
    marks: MarkStore, mark: Mark, now_ns: int, skew: float = SKEW
) -> None:
    """Store a mark anew, and compare when storage says that it got it with `now_ns`.

    Nobody else's clock is asked where the storage is a directory of this host. Raises
    ClockError, StorageError.
    """
    await marks.replace(mark)
    stored_ns = await marks.stored_ns(mark)
    if abs(stored_ns - now_ns) > skew * _SECOND_NS:
        raise ClockError(
            f"this host's clock and the storage's differ by more than {skew:.0f} s."
        )
