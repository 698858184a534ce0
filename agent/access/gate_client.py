"""The gate as a person's tools call it: JSON over mutual TLS.

The gate answers an access when its row is in the log; until then nothing is given out.
What it gives is an envelope that only this person's key opens.
"""

import base64
import binascii
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, Self, TypeVar

import msgspec

from agent.access.config import GateClientConfig
from agent.access.reason import Reason
from agent.common.errors import AgentError
from agent.common.outgoing import Destination, Outgoing
from agent.formats.layout import ID_PATTERN

if TYPE_CHECKING:
    import httpx

MAX_ANSWER: Final = 64 << 20
"Bytes: a year of one caller's hits, or a thousand annotations."
MAX_ENVELOPE: Final = 1 << 20
"Bytes: the stanzas of 500 post-quantum recipients."

T = TypeVar("T")
Id = Annotated[str, msgspec.Meta(pattern=rf"^{ID_PATTERN}\Z")]


class GateError(AgentError):
    """The gate did not do what it was asked."""

    hint = "Ask those who run the gate."


class GateUnreachableError(GateError):
    """There was no answer."""

    permanent = False
    hint = "Check the way to the gate; nothing was given out."


class GateDeniedError(GateError):
    """Not for this person, or not there: the gate does not say which."""

    hint = "Check the id; officers reach their own calls, and each act has its roles."


class GateErasedError(GateError):
    """The recording was erased."""

    hint = ""


class GateRestrictedError(GateError):
    """Its processing is restricted: only a case handler gets it."""

    hint = "Ask the case handler."


class GateConflictError(GateError):
    """How it stands with the recording does not allow it."""

    hint = "Look at it with `archive show`."


class GateBusyError(GateError):
    """This person asked too often."""

    permanent = False
    hint = "Wait a minute; many accesses in an hour are reported."


_BY_STATUS: Final[Mapping[int, tuple[type[GateError], str]]] = {
    403: (GateDeniedError, "the gate refused, or there is no such recording."),
    409: (GateConflictError, "the recording's state does not allow it."),
    410: (GateErasedError, "the recording was erased."),
    423: (GateRestrictedError, "the recording is restricted."),
    429: (GateBusyError, "the gate was asked too often."),
}


class Released(msgspec.Struct, frozen=True):
    """An envelope without the gate's layer."""

    id: Id
    day: date
    envelope: bytes

    def __repr__(self) -> str:
        return f"Released(id={self.id!r}, …)"


class FoundHit(msgspec.Struct, frozen=True):
    """One recording that was found."""

    id: Id
    day: date


class FoundHits(msgspec.Struct, frozen=True):
    """What `find` gives back."""

    hits: tuple[FoundHit, ...]
    truncated: bool = False


class GateHold(msgspec.Struct, frozen=True):
    """A reason why a recording is kept."""

    id: str
    kind: str = ""
    owner: str = ""
    since: str = ""
    review: str = ""


class GateState(msgspec.Struct, frozen=True):
    """How it stands with a recording."""

    day: date
    restricted: bool = False
    holds: tuple[GateHold, ...] = ()
    annotations: int = 0
    requests: int = 0


class AccessRow(msgspec.Struct, frozen=True):
    """When a recording was used and why; nobody's name."""

    time: str
    act: str
    purpose: str = ""
    result: str = ""


class _Rows(msgspec.Struct, frozen=True):
    rows: tuple[AccessRow, ...]
    next: date | None = None


class _Texts(msgspec.Struct, frozen=True):
    annotations: tuple[str, ...]


class _Made(msgspec.Struct, frozen=True):
    id: str = ""
    number: int = 0


class Executed(msgspec.Struct, frozen=True):
    """What became of a request that two persons approved."""

    result: Literal["done", "pending"]
    pending_until: date | None = None
    records: int = 0


class LogReport(msgspec.Struct, frozen=True):
    """Whether the gate's log is whole."""

    ok: bool
    findings: tuple[str, ...] = ()


class GateClient:
    """One person's way to the gate. Every method raises GateError."""

    def __init__(self, client: "httpx.AsyncClient") -> None:
        self._client = client

    @classmethod
    @asynccontextmanager
    async def opened(
        cls, config: GateClientConfig, base: Path, outgoing: Outgoing
    ) -> "AsyncIterator[Self]":
        """A client for the time of one command.

        Raises GateError for its files, OutsideRegionError.
        """
        gate = Destination("gate", config.url, config.region)
        async with outgoing.http_client(gate, _tls(config, base)) as client:
            yield cls(client)

    async def release(
        self, recording_id: str, reason: Reason, day: date | None = None
    ) -> Released:
        """The envelope of a recording, for a stated reason."""
        body = {"id": recording_id, **reason.words()}
        if day is not None:
            body["day"] = day.isoformat()
        released = await self._ask("POST", "/releases", Released, json=body)
        if released.id != recording_id or len(released.envelope) > MAX_ENVELOPE:
            raise GateError("the gate answered with something else.")
        return released

    async def find(
        self,
        reason: Reason,
        window: tuple[date, date],
        *,
        number: str = "",
        domain: Literal["caller", "officer"] = "caller",
    ) -> FoundHits:
        """Recordings of a number within a window of days, both included."""
        body = {"from": window[0].isoformat(), "to": window[1].isoformat()}
        body |= {"purpose": reason.purpose, "reference": reason.reference}
        if number:
            body["number" if domain == "caller" else "officer"] = number
        return await self._ask("POST", "/find", FoundHits, json=body)

    async def state(self, recording_id: str) -> GateState:
        """Restriction, holds, annotations and open requests."""
        return await self._ask("GET", f"/recordings/{recording_id}/state", GateState)

    async def restrict(self, recording_id: str, why: str, reference: str) -> None:
        """From the next answer on only case handlers get the recording."""
        path = f"/recordings/{recording_id}/restriction"
        await self._send("PUT", path, json={"reason": why, "reference": reference})

    async def unrestrict(self, recording_id: str) -> None:
        """Lift it."""
        await self._send("DELETE", f"/recordings/{recording_id}/restriction")

    async def hold(
        self, recording_id: str, kind: str, review: date, reference: str
    ) -> str:
        """Keep a recording beyond its year; returns the hold's id."""
        body = {"kind": kind, "review": review.isoformat(), "reference": reference}
        path = f"/recordings/{recording_id}/holds"
        return (await self._ask("POST", path, _Made, json=body)).id

    async def release_hold(self, recording_id: str, hold: str) -> None:
        """Let its year be over again."""
        await self._send("DELETE", f"/recordings/{recording_id}/holds/{hold}")

    async def annotate(self, recording_id: str, sealed: bytes) -> int:
        """Keep an annotation that the gate cannot read; returns its number."""
        path = f"/recordings/{recording_id}/annotations"
        return (await self._ask("POST", path, _Made, data=sealed)).number

    async def annotations(self, recording_id: str) -> list[bytes]:
        """All of a recording's, sealed."""
        path = f"/recordings/{recording_id}/annotations"
        found = await self._ask("GET", path, _Texts)
        try:
            return [base64.b64decode(text, validate=True) for text in found.annotations]
        except (binascii.Error, ValueError):
            raise GateError("the gate answered with something else.") from None

    async def rewrap(
        self, recording_id: str, envelope: bytes, request: str, day: date
    ) -> None:
        """Put a new envelope in the place of the old, by an approved request."""
        body = {
            "request": request,
            "day": day.isoformat(),
            "envelope": base64.b64encode(envelope).decode(),
        }
        await self._send("PUT", f"/recordings/{recording_id}/envelope", json=body)

    async def submit(self, document: bytes) -> str:
        """Hand in a request that two persons signed; returns its id."""
        return (await self._ask("POST", "/requests", _Made, data=document)).id

    async def execute(self, request: str) -> Executed:
        """Have a request carried out."""
        return await self._ask("POST", f"/requests/{request}/execute", Executed)

    async def accesses(
        self, recording_id: str, first: date | None = None
    ) -> list[AccessRow]:
        """When and why a recording was used, from a day in UTC on."""
        rows: list[AccessRow] = []
        while True:
            since = "" if first is None else f"&from={first}"
            told = await self._ask("GET", f"/audit?id={recording_id}{since}", _Rows)
            rows += told.rows
            if told.next is None:
                return rows
            if first is not None and told.next <= first:
                raise GateError("the gate's answers do not come to an end.")
            first = told.next

    async def verify_log(self) -> LogReport:
        """Whether the gate's log is whole, by the gate's own look at it."""
        return await self._ask("GET", "/audit/verify", LogReport)

    async def _ask(
        self,
        method: str,
        path: str,
        type_: type[T],
        *,
        json: Mapping[str, object] | None = None,
        data: bytes | None = None,
    ) -> T:
        answer = await self._send(method, path, json=json, data=data)
        try:
            return msgspec.json.decode(answer, type=type_)
        except (msgspec.DecodeError, RecursionError):
            # It may hold anything: it is not repeated.
            raise GateError("the gate answered with something else.") from None

    async def _send(
        self,
        method: str,
        path: str,
        *,
        json: Mapping[str, object] | None = None,
        data: bytes | None = None,
    ) -> bytes:
        import httpx  # noqa: PLC0415 - slow to import, and not needed without a gate

        headers = {"content-type": "application/json"}
        content = data
        if json is not None:
            content = msgspec.json.encode(json)
        elif data is not None:
            headers = {"content-type": "application/octet-stream"}
        answer = bytearray()
        try:
            async with self._client.stream(
                method, path, content=content, headers=headers
            ) as response:
                _judge(response.status_code)
                async for chunk in response.aiter_bytes():
                    answer += chunk
                    if len(answer) > MAX_ANSWER:
                        raise GateError("the gate's answer is too long.")
        except (httpx.HTTPError, httpx.StreamError) as error:
            kind = type(error).__name__
            raise GateUnreachableError(f"the gate does not answer: {kind}.") from error
        return bytes(answer)


def _judge(status: int) -> None:
    if 200 <= status < 300:
        return
    if status in _BY_STATUS:
        kind, text = _BY_STATUS[status]
        raise kind(text)
    if status >= 500:
        raise GateUnreachableError(f"the gate has a fault of its own ({status}).")
    raise GateError(f"the gate did not accept it ({status}).")


def _tls(config: GateClientConfig, base: Path) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=str(base / config.ca))
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(base / config.certificate, base / config.key)
    except (OSError, ssl.SSLError) as error:
        raise GateError(
            "the gate's ca, or the person's certificate or key, cannot be used.",
            hint="Check [gate] in the configuration.",
        ) from error
    return context
