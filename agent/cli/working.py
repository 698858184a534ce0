"""A word on the terminal while something takes its time, and none anywhere else.

It stands on standard error. What is found meanwhile is printed by whoever asked, to
standard output, which may be a file or a pipe: rich's own status would take it along.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self, TypeVar

from rich.live import Live
from rich.spinner import Spinner

from agent.cli.terminal import console

T = TypeVar("T")


class Working:
    """Shows what is being done, until it is left."""

    def __init__(self, text: str) -> None:
        self._spinner = Spinner("dots", text=text)
        self._live = Live(
            self._spinner,
            console=console(stderr=True),
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._live.stop()

    def tell(self, text: str) -> None:
        """Something else is being done now."""
        self._spinner.update(text=text)

    def through(self, found: Iterable[T]) -> Iterator[T]:
        """Each of `found`; out of the way while it is printed."""
        for one in found:
            with self.aside():
                yield one
        self._live.stop()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Out of the way for as long as something is printed."""
        self._live.stop()
        yield
        self._live.start()
