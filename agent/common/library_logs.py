"""What libraries log goes into our log, without the values: they may be personal."""

import logging
from typing import Final

import structlog

MAX_TEXT: Final = 200


class LibraryHandler(logging.Handler):
    """Takes the records of `logging`, of level warning or above."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record's text with the kinds of its values, and no more."""
        log = structlog.get_logger().bind(logger=record.name, said=_said(record))
        error = record.exc_info[1] if record.exc_info else None
        if record.levelno >= logging.ERROR:
            log.error("library_error", exc_info=error)
        else:
            log.warning("library_warning", exc_info=error)


def _said(record: logging.LogRecord) -> str:
    text = str(record.msg)
    values = record.args
    if isinstance(values, tuple) and values:
        try:
            text %= tuple(_shown(value) for value in values)
        except (TypeError, ValueError):
            # A format of numbers was given something else.
            text = str(record.msg)
    # asyncio writes what failed, with its values, into further lines.
    return text.split("\n", 1)[0][:MAX_TEXT]


def _shown(value: object) -> object:
    return value if isinstance(value, int | float) else type(value).__name__
