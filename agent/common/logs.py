"""Log lines: JSON on stdout, or fields in systemd's journal; nobody else configures it.

Numbers are masked before they come here; audio and keys never come. Nobody waits for
whoever reads: a line that is not taken waits, and in the end is dropped and counted.
"""

import logging
import os
import sys
from collections.abc import Callable
from threading import RLock
from typing import Any, Final, Literal, TextIO

import structlog

from agent.common.catalogue import CATALOGUE
from agent.common.clock import monotonic_ns, utc_ns
from agent.common.library_logs import LibraryHandler
from agent.common.log_fields import TELL_APART
from agent.common.log_lines import Told, journal_fields, json_line
from agent.common.log_outlet import Outlet, stream_taker
from agent.common.repeats import Repeats
from agent.common.system_journal import SystemJournal, encode, goes_to_journal

__all__ = ["Level", "Told", "configure", "dropped", "flush", "listen", "set_level"]

Level = Literal["debug", "info", "warning", "error"]
Listener = Callable[[Told], None]
IDENTIFIER: Final = "recording-agent"
"How journald names lines of ours, unless another is given."
_LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
    "critical": logging.CRITICAL,
}
_HEEDED: Final = frozenset(CATALOGUE) | frozenset(
    entry.cleared_by for entry in CATALOGUE.values() if entry.cleared_by
)
"Events that listeners hear of at whatever level lines are shown."


def configure(
    level: Level, stream: TextIO | None = None, *, identifier: str = IDENTIFIER
) -> None:
    """Send every line of `level` or above to `stream`, by default stdout.

    Where that stream goes to systemd's journal, lines go there with their fields.
    """
    _LINES.open(level, stream or sys.stdout, identifier)
    structlog.configure(
        processors=[_LINES],
        # It passes all: who listens hears of some that are not shown.
        wrapper_class=structlog.make_filtering_bound_logger(logging.NOTSET),
        # One for all: each call binds a few loggers of its own.
        logger_factory=lambda *_: _LINES,
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, handlers=[LibraryHandler()])


def is_configured() -> bool:
    """Whether `configure` has been called in this process."""
    return _LINES.opened


def set_level(level: Level) -> None:
    """Show lines of `level` or above from now on."""
    _LINES.threshold = _LEVELS[level]


def listen(callback: Listener) -> Callable[[], None]:
    """Have `callback` hear each line that is shown, and all of the catalogue's.

    Repeats, too. It is called by whichever thread has logged, at once: it must be
    short, and raise nothing. Returns what ends it.
    """
    return _LINES.listen(callback)


def flush() -> None:
    """Write what is due or was not taken before; to be called now and then."""
    _LINES.flush()


def dropped() -> int:
    """Lines that nobody took, since the start."""
    return _LINES.outlet.dropped


def held_back() -> int:
    """Lines that were counted and not written, because they repeat, since the start."""
    return _LINES.repeats.held_back


class _Lines:
    """The last processor and the logger at once: what it returns it then writes."""

    def __init__(self) -> None:
        self.threshold = logging.INFO
        self.opened = False
        self.outlet = Outlet(len)
        self.repeats = Repeats(TELL_APART)
        self._render: Callable[[Told], bytes] = json_line
        self._listeners: tuple[Listener, ...] = ()
        self._unsaid = 0
        "Lines dropped of which the log does not tell yet."
        self._lock = RLock()

    def open(self, level: Level, stream: TextIO, identifier: str) -> None:
        """Write lines of `level` to `stream`, or where it goes, from now on."""
        self.threshold = _LEVELS[level]
        self.opened = True
        self.repeats = Repeats(TELL_APART)
        self._unsaid = 0
        if _is_journal(stream):
            self.outlet = Outlet(SystemJournal().take)
            self._render = lambda told: encode(journal_fields(told, identifier))
        else:
            self.outlet = Outlet(stream_taker(stream))
            self._render = json_line

    def listen(self, callback: Listener) -> Callable[[], None]:
        """Have `callback` hear of lines until what is returned is called."""
        # Replaced and never changed: another thread may be going through it.
        with self._lock:
            self._listeners = (*self._listeners, callback)

        def end() -> None:
            with self._lock:
                self._listeners = tuple(x for x in self._listeners if x != callback)

        return end

    def __call__(
        self, logger: object, level: str, fields: structlog.typing.EventDict
    ) -> tuple[tuple[Told], dict[str, Any]]:
        """Tell those who listen of a line; what is to be written. Raises DropEvent."""
        event = fields.pop("event")
        shown = _LEVELS[level] >= self.threshold
        if not shown and event not in _HEEDED:
            raise structlog.DropEvent
        _elide_exception(fields)
        told = Told(event, level, fields, utc_ns())
        self._tell(told)
        if not shown:
            raise structlog.DropEvent
        return (told,), {}

    def write(self, told: Told) -> None:
        """Write one line, unless it is one repeat too many."""
        now = monotonic_ns()
        with self._lock:
            self._write_repeats(now)
            if self.repeats.passes(told.event, told.level, told.fields, now):
                self._put(told)

    debug = info = warning = error = critical = write

    def flush(self) -> None:
        """Write what is due, and what was not taken before."""
        with self._lock:
            self._write_repeats(monotonic_ns())
            self.outlet.flush()
            self._say_dropped()

    def _write_repeats(self, now: int) -> None:
        for one in self.repeats.told(now):
            fields = {"repeats": one.event, **one.ids, "count": one.count}
            self._put(Told("repeated", one.level, fields, utc_ns()))

    def _put(self, told: Told) -> None:
        before = self.outlet.dropped
        self.outlet.write(self._render(told))
        if lost := self.outlet.dropped - before:
            if not self._unsaid:
                # At once: the alarm does not need the log.
                self._tell(_dropped(lost))
            self._unsaid += lost
        else:
            self._say_dropped()

    def _say_dropped(self) -> None:
        if self._unsaid and self.outlet.flowing:
            told = _dropped(self._unsaid)
            self._unsaid = 0
            self.outlet.write(self._render(told))

    def _tell(self, told: Told) -> None:
        for callback in self._listeners:
            callback(told)


def _is_journal(stream: TextIO) -> bool:
    try:
        return goes_to_journal(stream.fileno(), os.environ)
    except OSError:
        return False  # it has no descriptor


def _dropped(count: int) -> Told:
    return Told("log_lines_dropped", "error", {"count": count}, utc_ns())


def _elide_exception(fields: structlog.typing.EventDict) -> None:
    """Name an exception's type and place, not its values: they may be personal."""
    error = fields.pop("exc_info", None)
    if not isinstance(error, BaseException):
        return
    fields["error"] = type(error).__name__
    traceback = error.__traceback__
    places = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        places.append(f"{code.co_filename.rpartition('/')[2]}:{traceback.tb_lineno}")
        traceback = traceback.tb_next
    fields["where"] = " ".join(places[-6:])


_LINES: Final = _Lines()
