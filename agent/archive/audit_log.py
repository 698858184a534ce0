"""A writer's audit log: a row is durable, and in its place, before `append` returns.

Rows that wait for storage are written together. Names are create-only and follow from
each other, so a second process that writes the same log finds its place taken.
"""

import asyncio
import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

import msgspec
import structlog

from agent.archive.audit_mark import Mark
from agent.archive.log_order import last_key
from agent.common.clock import utc_ns
from agent.common.errors import AgentError
from agent.common.tasks import TaskSet
from agent.formats.audit import (
    BACK,
    GENESIS,
    MAX_OBJECT,
    MAX_ROWS,
    Act,
    Page,
    Row,
    digest_of,
    make_row,
    open_page,
    sign_page,
    utc_day,
)
from agent.formats.layout import audit_key, parse_audit
from agent.formats.sshsig import PublicKey, SigningKey
from agent.upload.backend import (
    ObjectExistsError,
    StorageBackend,
    StorageError,
    read_object,
)

MAX_WAITING: Final = 10_000
"Rows; if more wait, storage is away, and what they are about cannot be allowed."
AHEAD: Final = timedelta(1)
"By more than that no clock is wrong around midnight: then the log goes back."


class AuditLogError(AgentError):
    """The row is not durable: what it is about must not be done."""

    permanent = False
    hint = "Nothing is done without its row: try again when storage is back."


class AuditForkedError(AuditLogError):
    """Somebody else writes this log."""

    permanent = True
    hint = "Find the other process, end it, and start this one again."


class AuditBrokenError(AuditLogError):
    """The log's end is not as its writer left it."""

    permanent = True
    hint = "Run `audit verify` and find out who could alter it, before anything else."


@dataclass(slots=True)
class _Waiting:
    """A row that has no number yet, and who waits for it."""

    row: Row | None
    "None: nothing but that the day is closed."
    utc_ns: int
    done: "asyncio.Future[int]"


@dataclass(frozen=True, slots=True)
class _Signed:
    """An object as it is stored, or was tried to be."""

    key: str
    page: Page
    data: bytes


class AuditLog:
    """One writer's log in one storage; `start` first."""

    def __init__(
        self,
        backend: StorageBackend,
        writer: str,
        key: SigningKey,
        clock: Callable[[], int] = utc_ns,
        *,
        trusted: Iterable[PublicKey] = (),
        mark: Mark | None = None,
        follow: Callable[[Iterable[Row], date], None] = lambda *_: None,
    ) -> None:
        """`trusted` are keys that the writer signed by before this one.

        `mark` remembers how far the log has come, where its writer is. `follow` is told
        rows as soon as they are durable, and the day under which the next ones lie.
        """
        self._follow = follow
        self._backend = backend
        self._writer = writer
        self._key = key
        self._clock = clock
        self._trusted = (key.public, *trusted)
        self._mark = mark
        self._next = 1
        self._previous = GENESIS
        self._day = date.min
        self._waiting: list[_Waiting] = []
        self._unsettled: _Signed | None = None
        "Put, and nobody knows whether it arrived: nothing else has its number."
        self._broken: AuditLogError | None = None
        self._committing = False
        self._tasks = TaskSet(self._failed)

    @property
    def last(self) -> int:
        """The number of the last row that is durable; 0 if none is."""
        return self._next - 1

    async def start(self, *, at_least: int = 0) -> None:
        """Find the log's end.

        Raises AuditBrokenError if it is not as its writer left it, or ends before row
        `at_least` or the one that was marked; MarkError, StorageError, OSError.
        """
        if self._mark is not None:
            at_least = max(at_least, self._mark.read())
        key = await last_key(self._backend, self._writer, utc_day(self._clock()))
        if key:
            data = await read_object(self._backend, key, MAX_OBJECT)
            try:
                name, page = parse_audit(key), open_page(data, self._trusted)
            except AgentError as error:
                raise AuditBrokenError(f"{key}: {error}") from error
            if (page.writer, page.first) != (self._writer, name.sequence):
                raise AuditBrokenError(f"{key} belongs elsewhere.")
            self._take_over(_Signed(key, page, data), name.day)
        if self.last < at_least:
            raise AuditBrokenError(
                f"the audit log of {self._writer} ends before row {at_least}."
            )

    async def append(
        self,
        who: str,
        act: Act,
        *,
        purpose: str = "",
        recording_id: str = "",
        result: str = "ok",
        reference: str = "",
        detail: dict[str, str] | None = None,
    ) -> int:
        """Write one row; its number, once it is durable.

        Raises RowError if a field is none, AuditLogError if it may not be durable: it
        may stand in the log all the same, as a thing that was tried.
        """
        now = self._clock()
        row = make_row(
            1, now, who, act, purpose=purpose, recording_id=recording_id,
            result=result, reference=reference, detail=detail,
        )  # fmt: skip
        return await self._written(row, now)

    async def roll(self) -> None:
        """Close the day if it is over, so that its end can be kept elsewhere.

        The first row of another day does that too. Raises AuditLogError.
        """
        if self.last and self._closes(utc_day(now := self._clock())):
            await self._written(None, now)

    async def close(self) -> None:
        """Wait until what is written is written."""
        await self._tasks.drain(60.0)
        await self._tasks.close()

    # -- writing ------------------------------------------------------------------

    async def _written(self, row: Row | None, now: int) -> int:
        if self._broken is not None:
            raise self._broken.with_traceback(None)
        if len(self._waiting) >= MAX_WAITING:
            raise AuditLogError("too many rows of the audit log wait for storage.")
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(row, now, done))
        if not self._committing:
            # A task of its own: who waits for a row may go away, the row may not.
            self._committing = True
            self._tasks.spawn(self._commit(), name="audit-log")
        return await done

    async def _commit(self) -> None:
        """Write what waits, and what comes meanwhile."""
        batch: list[_Waiting] = []
        failure = AuditLogError("the audit log has ended.")
        try:
            while self._waiting:
                batch = self._waiting[:MAX_ROWS]
                del self._waiting[:MAX_ROWS]
                await self._write(batch)
        except AuditLogError as error:
            failure = error
            if error.permanent:
                self._broken = error
        finally:
            self._committing = False
            for one in (*batch, *self._waiting):
                if not one.done.done():
                    one.done.set_exception(failure)
            self._waiting.clear()

    async def _write(self, batch: list[_Waiting]) -> None:
        """Give each its number, durably. Raises AuditLogError."""
        if self._unsettled is not None:
            await self._put(self._unsettled)
        today = utc_day(batch[-1].utc_ns)
        if not self.last:
            self._day = today
        elif self._closes(today):
            closing = make_row(
                self._next, batch[0].utc_ns, self._writer, Act.ROLL,
                result="ok" if today > self._day else BACK,
                detail={"day": today.isoformat()},
            )  # fmt: skip
            await self._put(self._signed((closing,)))
        numbers = range(self._next, self._next + len(batch))
        rows = [one.row for one in batch if one.row is not None]
        if rows:
            numbered = (
                msgspec.structs.replace(row, sequence=number)
                for number, row in zip(numbers, rows, strict=False)
            )
            await self._put(self._signed(tuple(numbered)))
        given = iter(numbers)
        for one in batch:
            number = self.last if one.row is None else next(given)
            if not one.done.done():
                one.done.set_result(number)

    def _closes(self, today: date) -> bool:
        """Whether a row of today is filed under another day than the one before it.

        A clock that was ahead has led to a day that is still to come: until it comes no
        day's end would be kept anywhere, so the log goes back.
        """
        return today > self._day or self._day - today > AHEAD

    def _signed(self, rows: tuple[Row, ...]) -> _Signed:
        page = Page(
            writer=self._writer, first=self._next, previous=self._previous, rows=rows
        )
        key = audit_key(self._writer, self._day, self._next)
        return _Signed(key, page, sign_page(page, self._key))

    async def _put(self, signed: _Signed) -> None:
        """Store an object, or find that it had been stored. Raises AuditLogError."""
        digest = hashlib.sha256(signed.data).hexdigest()
        again, self._unsettled = self._unsettled is signed, signed
        try:
            try:
                await self._backend.put(signed.key, signed.data, sha256=digest)
            except ObjectExistsError:
                size = len(signed.data)
                # Asked of storage: it says too whether its lock is on the object.
                ours = again and await self._backend.holds(
                    signed.key, sha256=digest, size=size
                )
                if not ours:
                    raise AuditForkedError(
                        f"{signed.key} holds what this process did not write."
                    ) from None
        except (StorageError, OSError) as error:
            raise AuditLogError(f"the audit row is not stored: {error}") from error
        self._unsettled = None
        self._take_over(signed, self._day)
        if self._mark is not None:
            try:
                self._mark.write(self.last)
            except OSError as error:
                # What it is for is another's wrong; the row is durable.
                structlog.get_logger().error(
                    "audit_mark_not_written", reason=str(error)
                )

    def _take_over(self, signed: _Signed, day: date) -> None:
        """What follows follows this."""
        self._next = signed.page.last + 1
        self._previous = digest_of(signed.data)
        self._day = signed.page.rolls_to() or day
        self._follow(signed.page.rows, self._day)

    def _failed(self, name: str, error: BaseException) -> None:
        self._broken = AuditBrokenError(f"{name} failed: {type(error).__name__}.")
