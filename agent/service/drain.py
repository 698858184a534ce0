"""No new calls, while those that are up go on: what operators do before maintenance.

Emergency calls are taken all the same. It lasts until it is taken back or the process
ends: one that starts takes calls.
"""

import structlog

from agent.call.control import CallControl
from agent.service.witness import Witness


class Drain:
    """Begins and ends it, for `by`, who is told to log and audit log."""

    def __init__(self, control: CallControl, witness: Witness) -> None:
        self._control = control
        self._witness = witness
        self._log = structlog.get_logger()

    @property
    def on(self) -> bool:
        """Whether no new call is taken."""
        return self._control.draining

    def begin(self, by: str) -> None:
        """Take no new calls; again: nothing new."""
        if not self.on:
            self._control.take_calls(on=False)
            self._log.warning("draining", by=by, calls=self._control.active_calls)
            self._witness.drained(by)

    def end(self, by: str) -> None:
        """Take calls again."""
        if self.on:
            self._control.take_calls(on=True)
            self._log.warning("undrained", by=by)
            self._witness.undrained(by)
