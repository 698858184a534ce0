"""When and why a stream of a recording session is silent on purpose: sans-IO.

What is not recorded is marked on the timeline, of one stream or, where all are silent
for the same reason, of the recording. Spans of one kind never overlap on a stream: who
reads the marks need not count them.
"""

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

from agent.call.commands import PauseRecording

CLIENT: Final = "src"
"Who paused, where the recording client did."
INACTIVE: Final = "inactive"
"Why, in SDP's word (RFC 7866 section 7.1.1.1)."

_BEGIN: Final = {
    "hold": "hold",
    "pause": "pause-begin",
    "inactive": "inactive-begin",
}
_END: Final = {"hold": "resume", "pause": "pause-end", "inactive": "inactive-end"}


class Span(NamedTuple):
    """One reason for silence that holds now."""

    kind: str
    "`hold`, `pause`, or `inactive`: the pause of one stream."
    leg: int | None
    "Index in the segment; None: all of them."
    by: str = ""
    reason: str = ""

    @property
    def begin(self) -> str:
        """The kind of the mark with which it begins."""
        return _BEGIN[self.kind]

    @property
    def end(self) -> str:
        """The kind of the mark with which it ends."""
        return _END[self.kind]


def spans_of(
    legs: Sequence[str],
    *,
    inactive: Collection[str],
    held: Collection[str],
    paused: PauseRecording | None,
) -> tuple[Span, ...]:
    """What holds of a segment's `legs`, in the order in which it is marked."""
    found: list[Span] = []
    if paused is not None:
        found.append(Span("pause", None, paused.by, paused.reason))
    elif len(indices := _indices(legs, inactive)) == len(legs):
        found.append(Span("pause", None, CLIENT, INACTIVE))
    else:
        found += [Span("inactive", index, CLIENT) for index in indices]
    if len(indices := _indices(legs, held)) == len(legs):
        return (*found, Span("hold", None))
    return (*found, *(Span("hold", index) for index in indices))


def changes(
    before: Collection[Span], now: Collection[Span]
) -> tuple[list[Span], list[Span]]:
    """Which spans of `before` are over, and which of `now` are new."""
    over = [span for span in before if span not in now]
    return over, [span for span in now if span not in before]


def recorded(
    legs: Sequence[str],
    *,
    inactive: Collection[str],
    held: Collection[str],
    paused: PauseRecording | None,
) -> frozenset[str]:
    """Those of `legs` of which something is kept."""
    if paused is not None:
        return frozenset()
    return frozenset(leg for leg in legs if leg not in inactive and leg not in held)


def _indices(legs: Sequence[str], silent: Collection[str]) -> list[int]:
    return [index for index, leg in enumerate(legs) if leg in silent]
