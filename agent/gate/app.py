"""The gate as an ASGI application: paths and bodies in, the acts of the gate, JSON out.

Nothing is decided here. Who asks is the key of the connection (agent.gate.server), and
every refusal is one status and one word.
"""

from collections.abc import Awaitable, Callable
from datetime import date
from typing import Annotated, Any, Final, Protocol

import structlog
from fastapi import Depends, FastAPI, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from agent import __version__
from agent.archive.audit_log import AuditLogError
from agent.archive.record_state import StateError
from agent.archive.tombstones import TombstoneError
from agent.common.errors import AgentError
from agent.formats.audit import RowError
from agent.formats.roster import Person
from agent.gate.admission import Admission
from agent.gate.approvals import Approvals
from agent.gate.auditing import Auditing
from agent.gate.bodies import (
    AnnotationMade,
    Annotations,
    AuditRows,
    AuditVerdict,
    EnvelopeRequest,
    Executed,
    FindRequest,
    Found,
    HoldId,
    HoldMade,
    HoldRequest,
    RecordingId,
    RecordState,
    Refused,
    Release,
    ReleaseRequest,
    RequestId,
    RequestTaken,
    RestrictionRequest,
    SweepOutcome,
    SweepRequest,
)
from agent.gate.bounds import Bounded
from agent.gate.finding import Finding
from agent.gate.keeping import Keeping
from agent.gate.parts import Parts
from agent.gate.publishing import latest
from agent.gate.refusals import (
    MalformedError,
    RefusalError,
    UnavailableError,
)
from agent.gate.releasing import Releasing
from agent.upload.backend import StorageError

MEANINGS: Final = {
    403: "Not to this person, or there is no such record: the same answer.",
    404: "There is no such path.",
    405: "There is no such method.",
    409: "The record's state does not allow it.",
    410: "It was erased, or carried out already.",
    413: "The body is longer than any that is taken.",
    422: "The request makes no sense.",
    423: "Its processing is restricted: only a case handler gets it.",
    429: "So much was asked lately that somebody has to look first.",
    503: "Storage is away: what cannot be logged is not done.",
}
RESPONSES: Final[dict[int | str, dict[str, Any]]] = {
    status: {"model": Refused, "description": text} for status, text in MEANINGS.items()
}
OCTETS: Final = "application/octet-stream"
_BYTES: Final = {OCTETS: {"schema": {"type": "string", "format": "binary"}}}
_BYTES_BODY: Final = {"requestBody": {"required": True, "content": _BYTES}}
_BYTES_ANSWER: Final[dict[int | str, dict[str, Any]]] = {
    200: {"description": "The signed list.", "content": _BYTES}
}


class Erasing(Protocol):
    """What erases: agent.gate.erasing, apart so that tests can do without."""

    async def execute(self, person: Person, request_id: str) -> Executed:
        """Carry out an approved request."""
        ...

    async def sweep(self, person: Person, *, dry_run: bool) -> SweepOutcome:
        """Erase what is a year old, or tell what would be."""
        ...


def make_app(parts: Parts, erasing_of: Callable[..., Erasing]) -> FastAPI:
    """The application; `erasing_of(parts, admission, approvals)` makes what erases."""
    admission = Admission(parts)
    approvals = Approvals(parts, admission)
    releasing = Releasing(parts, admission, approvals)
    finding = Finding(parts, admission)
    keeping = Keeping(parts, admission, approvals)
    auditing = Auditing(parts, admission)
    erasing = erasing_of(parts, admission, approvals)

    app = FastAPI(
        title="Gate",
        version=__version__,
        description="The trusted service at the recordings' central storage.",
        docs_url=None,  # its pages would fetch scripts from elsewhere
        redoc_url=None,
        responses=RESPONSES,
    )

    async def caller(request: Request) -> Person:
        return await admission.person(_spki(request))

    Caller = Annotated[Person, Depends(caller)]  # noqa: N806 - a type

    @app.post("/releases")
    async def release(person: Caller, asked: ReleaseRequest) -> Release:
        """Hand out an envelope without the gate's layer."""
        return await releasing.release(person, asked)

    @app.post("/find")
    async def find(person: Caller, asked: FindRequest) -> Found:
        """Recordings by number, officer and days; an officer's own only."""
        return await finding.find(person, asked)

    @app.get("/recordings/{recording_id}/state")
    async def state(person: Caller, recording_id: RecordingId) -> RecordState:
        """Restriction, holds, annotations, open requests."""
        return await keeping.state(person, recording_id)

    @app.put("/recordings/{recording_id}/restriction", status_code=204)
    async def restrict(
        person: Caller, recording_id: RecordingId, asked: RestrictionRequest
    ) -> None:
        """From this answer on only case handlers get a release."""
        await keeping.restrict(person, recording_id, asked)

    @app.delete("/recordings/{recording_id}/restriction", status_code=204)
    async def unrestrict(person: Caller, recording_id: RecordingId) -> None:
        """Lift a restriction."""
        await keeping.unrestrict(person, recording_id)

    @app.post("/recordings/{recording_id}/holds", status_code=201)
    async def hold(
        person: Caller, recording_id: RecordingId, asked: HoldRequest
    ) -> HoldMade:
        """Keep a record beyond its year."""
        return HoldMade(id=await keeping.hold(person, recording_id, asked))

    @app.delete("/recordings/{recording_id}/holds/{hold_id}", status_code=204)
    async def lift(person: Caller, recording_id: RecordingId, hold_id: HoldId) -> None:
        """End a hold."""
        await keeping.lift(person, recording_id, hold_id)

    @app.get("/recordings/{recording_id}/annotations")
    async def annotations(person: Caller, recording_id: RecordingId) -> Annotations:
        """Statements about a recording, sealed."""
        return await keeping.annotations(person, recording_id)

    @app.post(
        "/recordings/{recording_id}/annotations",
        status_code=201,
        openapi_extra=_BYTES_BODY,
    )
    async def annotate(
        person: Caller, recording_id: RecordingId, request: Request
    ) -> AnnotationMade:
        """Keep a statement, encrypted to the recording's own key."""
        sealed = await _octets(request)
        return AnnotationMade(
            number=await keeping.annotate(person, recording_id, sealed)
        )

    @app.put("/recordings/{recording_id}/envelope", status_code=204)
    async def rewrap(
        person: Caller, recording_id: RecordingId, asked: EnvelopeRequest
    ) -> None:
        """Put an envelope for other keys in the old one's place, by a request."""
        await keeping.rewrap(person, recording_id, asked)

    @app.post("/requests", status_code=201, openapi_extra=_BYTES_BODY)
    async def take(person: Caller, request: Request) -> RequestTaken:
        """Hand in a request that two approvers have signed."""
        return RequestTaken(id=await approvals.take(person, await _octets(request)))

    @app.post("/requests/{request_id}/execute")
    async def execute(person: Caller, request_id: RequestId) -> Executed:
        """Carry out an approved request; once more: go on with it."""
        return await erasing.execute(person, request_id)

    @app.get("/day-keys", response_class=Response, responses=_BYTES_ANSWER)
    async def day_keys(request: Request) -> Response:
        """The newest signed list, for people and hosts alike."""
        if not admission.is_known(_spki(request)):
            await admission.person(_spki(request))
        signed = await latest(parts.archive.state)
        if signed is None:
            raise UnavailableError("no-list")
        return Response(signed, media_type=OCTETS)

    @app.get("/audit")
    async def audit(
        person: Caller,
        id_: Annotated[RecordingId, Query(alias="id")],
        first: Annotated[date | None, Query(alias="from")] = None,
    ) -> AuditRows:
        """When and why a recording was used; never by whom."""
        return await auditing.of_recording(person, id_, first)

    @app.get("/audit/verify")
    async def verify(person: Caller) -> AuditVerdict:
        """Whether every log is as its writer wrote it."""
        return await auditing.verify(person)

    @app.post("/sweep")
    async def sweep(person: Caller, asked: SweepRequest) -> SweepOutcome:
        """Erase what is a year old, or tell what would be."""
        return await erasing.sweep(person, dry_run=asked.dry_run)

    _answer_errors(app)
    app.add_middleware(Bounded)
    return app


def _spki(request: Request) -> str:
    spki = request.scope.get("state", {}).get("spki", "")
    return spki if isinstance(spki, str) else ""


async def _octets(request: Request) -> bytes:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != OCTETS:
        raise MalformedError("content-type")
    return await request.body()


def _answer_errors(app: FastAPI) -> None:
    """Every error of ours becomes one status and one word; no value is repeated."""

    async def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, RefusalError)  # noqa: S101 - as registered
        return _refusal(error.status, error.word)

    async def malformed(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101
        fields = [".".join(map(str, one["loc"])) for one in error.errors()]
        return _refusal(422, "malformed", fields[:20])

    async def of_the_framework(_: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)  # noqa: S101 - as registered
        # 400: a body that is not even text.
        status = 422 if error.status_code == 400 else error.status_code
        answer = _refusal(status, MEANT.get(status, "refused"))
        answer.headers.update(error.headers or {})
        return answer

    async def unloggable(_: Request, error: Exception) -> Response:
        structlog.get_logger().warning("not_answered", reason=str(error))
        return _refusal(422, "malformed")

    async def away(_: Request, error: Exception) -> Response:
        structlog.get_logger().error(
            "not_answered", error=type(error).__name__, reason=str(error)
        )
        return _refusal(503, "unavailable")

    handlers: dict[Any, Callable[[Request, Exception], Awaitable[Response]]] = {
        RefusalError: refused,
        RequestValidationError: malformed,
        HTTPException: of_the_framework,
        RowError: unloggable,
        AuditLogError: away,
        StorageError: away,
        StateError: away,
        TombstoneError: away,
        AgentError: away,
        OSError: away,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


MEANT: Final = {404: "no-such-path", 405: "no-such-method", 422: "malformed"}


def _refusal(status: int, word: str, fields: "list[str] | None" = None) -> JSONResponse:
    body = Refused(error=word, fields=fields or [])
    return JSONResponse(body.model_dump(), status_code=status)
