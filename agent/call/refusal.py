"""What a refusal means to whoever waits for an answer: sans-IO."""

from typing import Final

from agent.call.release_causes import NO_ANSWER, TEMPORARY_FAILURE, USER_BUSY

_TELLING: Final = (484, 486, 485, 404, 410, 403, 488)
"Of 4xx, those that say more than that nobody came, the best first."
_BUSY: Final = frozenset({486, 600})
_NO_WAY: Final = frozenset({404, 410, 484, 485, 604})
"There is no such number, or no way to it."


def rank(status: int) -> tuple[int, int]:
    """Which refusal a caller is told of several; the lowest wins.

    RFC 3261 section 16.7: a 6xx, then the lowest class; in it, what helps most.
    """
    if status >= 600:
        return 0, 0
    telling = _TELLING.index(status) if status in _TELLING else len(_TELLING)
    return status // 100, telling


def tone(status: int) -> str:
    """The name of the tone that says it: a network without a path sounds faster."""
    failed = 500 <= status < 600 or status in _NO_WAY
    return "congestion" if failed else "busy"


def cause(status: int) -> int:
    """The Q.850 cause that says it."""
    if status in _BUSY:
        return USER_BUSY
    return TEMPORARY_FAILURE if 500 <= status < 600 else NO_ANSWER
