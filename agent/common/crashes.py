"""The last line of a process that ends by a mistake: what kind, and where.

Python would print the exception's values, and they may be personal.
"""

import sys
import threading
from types import TracebackType


def tell_crashes(identifier: str) -> None:
    """Have what nobody caught in this process end in the log, not on the terminal."""

    def tell(
        _kind: type[BaseException],
        error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        # A process that lives needs none of it.
        import structlog  # noqa: PLC0415

        from agent.common import logs  # noqa: PLC0415

        if not logs.is_configured():
            logs.configure("info", sys.stderr, identifier=identifier)
        structlog.get_logger().critical("process_failed", exc_info=error)

    sys.excepthook = tell
    threading.excepthook = lambda args: tell(
        args.exc_type, args.exc_value, args.exc_traceback
    )
