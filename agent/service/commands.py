"""What may be asked of the running daemon, on its socket or over MQTT.

Requests and their reply are msgspec structs because they travel, as JSON.
"""

from collections.abc import Callable
from typing import Annotated, Protocol

import msgspec

from agent.call.config import MAX_PAUSE
from agent.call.joint import CallStatus
from agent.call.orders import Orders
from agent.common.errors import AgentError
from agent.service.host_status import HostStatus

Word = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{0,32}$")]
"It will stand in logs and recordings: no room for a name or a number."
CallId = Annotated[str, msgspec.Meta(max_length=64)]


class PauseRequest(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="pause"
):
    """Keep what is said out of a call's recording for a while; again: for longer."""

    call_id: CallId
    "All of it, or its beginning."
    seconds: Annotated[float, msgspec.Meta(gt=0, le=MAX_PAUSE)] | None = None
    "As long as the route allows if none are given, and no longer in any case."
    reason: Word = ""


class ResumeRequest(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="resume"
):
    """Record a call again."""

    call_id: CallId


class StopRecordingRequest(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    tag="stop-recording",
):
    """Record nothing more of a call, which goes on; what there is of it is partial."""

    call_id: CallId
    reason: Word = ""


class StatusRequest(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="status"
):
    """Tell of the calls that are up, and of the host."""


class DrainRequest(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="drain"
):
    """Take no new calls but emergency calls; those that are up go on."""


class UndrainRequest(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="undrain"
):
    """Take calls again."""


Order = PauseRequest | ResumeRequest | StopRecordingRequest
LocalRequest = (
    PauseRequest | ResumeRequest | StatusRequest | DrainRequest | UndrainRequest
)
"What the control socket takes: a recording is ended by somebody of the roster only."
Request = LocalRequest | StopRecordingRequest


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What came of a request."""

    calls: tuple[CallStatus, ...] = ()
    "The call that was named, or all that are up, the oldest first."
    host: HostStatus | None = None
    "To who asked for the status, or asked to drain."
    error: str = ""
    "Why it was refused, and what to do; empty if it was not."
    permanent: bool = True
    "Whether asking the same again cannot help."


class Draining(Protocol):
    """Takes no new calls, or takes them again."""

    def begin(self, by: str) -> None: ...

    def end(self, by: str) -> None: ...


class Commands:
    """Answers requests; `by` says who asks: a word like `uid:0`, never a name."""

    def __init__(
        self,
        orders: Orders,
        host: Callable[[], HostStatus],
        on_done: Callable[[Order, str, CallStatus], None] = lambda *_: None,
        *,
        drain: Draining,
    ) -> None:
        """`host` tells how it stands with the host, or raises OSError.

        `on_done` is told what was done to a call, by whom, and how it stands with it.
        """
        self._orders = orders
        self._host = host
        self._on_done = on_done
        self._drain = drain

    def execute(self, request: Request, *, by: str) -> Reply:
        """Do what is asked, or say why not."""
        try:
            return self._carry_out(request, by)
        except AgentError as error:
            return Reply(error=str(error), permanent=error.permanent)
        except OSError as error:
            reason = f"The spool cannot be read: {error.strerror}."
            return Reply(error=reason, permanent=False)

    def _carry_out(self, request: Request, by: str) -> Reply:
        match request:
            case StatusRequest():
                return self._status()
            case DrainRequest():
                self._drain.begin(by)
                return self._status()
            case UndrainRequest():
                self._drain.end(by)
                return self._status()
            case _:
                told = self._order(request, by)
                self._on_done(request, by, told)
                return Reply(calls=(told,))

    def _status(self) -> Reply:
        return Reply(calls=tuple(self._orders.status()), host=self._host())

    def _order(self, request: Order, by: str) -> CallStatus:
        match request:
            case PauseRequest():
                return self._orders.pause(
                    request.call_id,
                    by=by,
                    reason=request.reason,
                    seconds=request.seconds,
                )
            case ResumeRequest():
                return self._orders.resume(request.call_id, by=by)
            case StopRecordingRequest():
                return self._orders.stop_recording(
                    request.call_id, by=by, reason=request.reason
                )
