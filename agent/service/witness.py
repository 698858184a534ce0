"""What the daemon writes down of itself: the acts of the host's audit log.

Where no signing key is configured nothing is written: nobody would have to believe it.
"""

import hashlib
from pathlib import Path
from typing import Final

import msgspec
import structlog

from agent import __version__
from agent.archive.host_log import HostLog
from agent.call.joint import CallStatus
from agent.common.errors import AgentError
from agent.common.files import write_durably
from agent.formats.audit import Act
from agent.service.commands import (
    Order,
    PauseRequest,
    ResumeRequest,
    StopRecordingRequest,
)
from agent.service.config import Config

DIGEST: Final = "config-digest"
"The spool's file with the digest of the configuration that ran last."


class Witness:
    """Turns what happens into rows."""

    def __init__(self, log: HostLog | None, config: Config, spool: Path) -> None:
        self._log = log
        self._config = config
        self.problems = 0
        "Since the start."
        self._digest_path = spool / DIGEST

    async def start(self) -> None:
        """Say that the host has started, and whether its configuration is another.

        A log that cannot be continued, or a full disk, is told, and no more is
        written: recording goes on.
        """
        if self._log is None:
            return
        try:
            await self._log.start()
        except (AgentError, OSError) as error:
            structlog.get_logger().critical("audit_log_unusable", reason=str(error))
            self._log = None
            return
        digest = config_digest(self._config)
        self.note(Act.START, version=__version__, config=digest)
        if _read(self._digest_path) == digest:
            return
        self.note(Act.CONFIG, digest=digest)
        try:
            write_durably(self._digest_path, digest.encode())
        except OSError as error:
            # It is said again at the next start: better twice than never.
            structlog.get_logger().error("config_digest_lost", reason=str(error))

    def note(self, act: Act, *, result: str = "ok", **detail: str) -> None:
        """Write a row."""
        if self._log is not None:
            self._log.note(act, result=result, **detail)

    def reloaded(self) -> None:
        """Somebody had the files read again that the configuration names."""
        self.note(Act.CONFIG, what="reload")

    def drained(self, by: str) -> None:
        """No new calls are taken any more, says `by`."""
        self.note(Act.DRAIN, by=by)

    def undrained(self, by: str) -> None:
        """Calls are taken again, says `by`."""
        self.note(Act.UNDRAIN, by=by)

    def problem(self, what: str) -> None:
        """Keys, or lists of them, are not there or not believed; `what` in a word."""
        self.problems += 1
        self.note(Act.KEY_PROBLEM, result="problem", what=what)

    def command(self, request: Order, by: str, call: CallStatus) -> None:
        """A command about a call was carried out, for `by`."""
        match request:
            case PauseRequest():
                self.note(Act.PAUSE, by=by, reason=request.reason, call=call.call_id)
            case ResumeRequest():
                self.note(Act.RESUME, by=by, call=call.call_id)
            case StopRecordingRequest():
                reason = request.reason
                self.note(Act.STOP_RECORDING, by=by, reason=reason, call=call.call_id)

    def commanded(self, kind: str, command_id: str, by: str, result: str) -> None:
        """Somebody of the roster gave a command over MQTT; `result` in a word."""
        self.note(Act.COMMAND, result=result, by=by, what=kind, command=command_id)

    async def run(self) -> None:
        """Bring the rows to storage, for ever."""
        if self._log is not None:
            await self._log.run()

    async def stop(self) -> None:
        """Say that the host stops."""
        if self._log is not None:
            self.note(Act.STOP)
            await self._log.close()


def config_digest(config: Config) -> str:
    """SHA-256 of all that is configured, defaults too; of no file that it names."""
    data = msgspec.json.encode(config, order="sorted")
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return ""
