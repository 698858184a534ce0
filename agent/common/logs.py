"""JSON lines on stdout; nobody else configures logging.

Numbers are masked before they come here; audio and keys never come.
"""

import logging
import sys
from typing import Final, Literal, TextIO

import msgspec
import structlog

Level = Literal["debug", "info", "warning", "error"]
_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_threshold = [logging.INFO]
_ENCODER: Final = msgspec.json.Encoder(enc_hook=repr)
"A value it does not know is shown as programmers see it; no line is lost to it."


def configure(level: Level, stream: TextIO | None = None) -> None:
    """Send every log line to `stream` (default stdout) as one JSON object."""
    set_level(level)
    # One for all: each call binds a few loggers of its own.
    logger = structlog.WriteLogger(stream or sys.stdout)
    structlog.configure(
        processors=[
            _drop_quiet,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            _elide_exception,
            structlog.processors.JSONRenderer(serializer=_to_json),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG),
        logger_factory=lambda *_: logger,
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)


def set_level(level: Level) -> None:
    """Show lines of `level` or above from now on."""
    _threshold[0] = _LEVELS[level]


def _drop_quiet(
    logger: object,
    method: str,
    event: structlog.typing.EventDict,
) -> structlog.typing.EventDict:
    """Show nothing below the level: one that may change, unlike the wrapper's."""
    if _LEVELS.get(method, logging.CRITICAL) < _threshold[0]:
        raise structlog.DropEvent
    return event


def _to_json(event: structlog.typing.EventDict, **_: object) -> str:
    return _ENCODER.encode(event).decode()


def _elide_exception(
    logger: object,
    method: str,
    event: structlog.typing.EventDict,
) -> structlog.typing.EventDict:
    """Name an exception's type and place, not its values: they may be personal."""
    error = event.pop("exc_info", None)
    if isinstance(error, BaseException):
        event["error"] = type(error).__name__
        traceback = error.__traceback__
        places = []
        while traceback is not None:
            code = traceback.tb_frame.f_code
            places.append(
                f"{code.co_filename.rpartition('/')[2]}:{traceback.tb_lineno}"
            )
            traceback = traceback.tb_next
        event["where"] = " ".join(places[-6:])
    return event
