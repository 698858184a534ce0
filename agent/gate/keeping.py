"""What is done to a record beside opening it: restriction, holds, annotations, keys.

What keeps a record, or keeps it from others, is done first and logged then; what lifts
that is logged first. So a crash in between leaves too much kept, never too little.
"""

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

from agent.archive.record_state import (
    Hold,
    HoldKind,
    RecordErasedError,
    RecordState,
    Restriction,
    StateError,
    annotate,
    hold,
    lift_hold,
    restrict,
    unrestrict,
)
from agent.archive.store import MAX_ENVELOPE
from agent.common.ids import new_id
from agent.formats.age import AgeError, Identity
from agent.formats.audit import Act
from agent.formats.day_keys import DayKey
from agent.formats.envelope import wrap
from agent.formats.layout import Folder, annotation_key, envelope_key
from agent.formats.roster import Person
from agent.gate.admission import Admission, Record
from agent.gate.approvals import Approvals
from agent.gate.bodies import (
    Annotations,
    EnvelopeRequest,
    HoldRequest,
    HoldState,
    RecordState as StateAnswer,
    RestrictionRequest,
)
from agent.gate.limits import Counted
from agent.gate.parts import Parts
from agent.gate.refusals import ConflictError, ErasedError, MalformedError
from agent.upload.backend import ObjectExistsError, ObjectMissingError, read_object

MAX_ANNOTATION: Final = 16 * 1024
"Bytes of ciphertext: a statement of a few pages."
AGE: Final = b"age-encryption.org/v1\n"


class Keeping:
    """Changes what holds for a record."""

    def __init__(
        self, parts: Parts, admission: Admission, approvals: Approvals
    ) -> None:
        self._parts = parts
        self._admission = admission
        self._approvals = approvals

    async def state(self, person: Person, recording_id: str) -> StateAnswer:
        """What is known of a record. Raises RefusalError."""
        record = await self._look(person, recording_id, restricted=False)
        state = record.state
        return StateAnswer(
            id=recording_id,
            day=record.day,
            restricted=state.restricted is not None,
            holds=[
                HoldState(
                    id=name,
                    kind=one.kind,
                    owner=one.owner,
                    since=one.since.isoformat(),
                    review=one.review,
                )
                for name, one in sorted(state.holds.items())
            ],
            annotations=len(state.annotations),
            requests=len(state.requests),
        )

    async def restrict(
        self, person: Person, recording_id: str, asked: RestrictionRequest
    ) -> None:
        """From this answer on only case handlers get a release (GDPR Art. 18)."""
        given = Restriction(
            by=person.id, since=self._parts.today(), reason=asked.reason
        )

        def change(state: RecordState) -> RecordState:
            # Whoever restricted it first stands there: it is restricted.
            return state if state.restricted is not None else restrict(state, given)

        async with self._record(recording_id):
            await self._admit(person, Act.RESTRICT, recording_id)
            await self._change(recording_id, change)
            await self._row(
                person, Act.RESTRICT, recording_id, asked.reference,
                reason=asked.reason,
            )  # fmt: skip

    async def unrestrict(self, person: Person, recording_id: str) -> None:
        """Lift it."""
        async with self._record(recording_id):
            record = await self._admit(person, Act.UNRESTRICT, recording_id)
            if record.state.restricted is None:
                raise ConflictError("not-restricted")
            await self._row(person, Act.UNRESTRICT, recording_id)
            await self._change(
                recording_id,
                lambda state: state if state.restricted is None else unrestrict(state),
            )

    async def hold(self, person: Person, recording_id: str, asked: HoldRequest) -> str:
        """Keep a record beyond its year; the hold's id."""
        if asked.review < self._parts.today():
            raise ConflictError("review")
        name = new_id()
        given = Hold(
            kind=HoldKind(asked.kind),
            owner=person.id,
            since=self._parts.today(),
            review=asked.review,
            reference=asked.reference,
        )
        async with self._record(recording_id):
            record = await self._admit(person, Act.HOLD, recording_id)
            await self._change(recording_id, lambda state: hold(state, name, given))
            await self._keep(record)
            await self._row(
                person, Act.HOLD, recording_id, asked.reference,
                hold=name, kind=asked.kind, review=asked.review.isoformat(),
            )  # fmt: skip
        return name

    async def lift(self, person: Person, recording_id: str, name: str) -> None:
        """End a hold: the record's time goes on, and may be over."""
        async with self._record(recording_id):
            record = await self._admit(person, Act.UNHOLD, recording_id)
            if name not in record.state.holds:
                raise ConflictError("no-such-hold")
            await self._row(person, Act.UNHOLD, recording_id, hold=name)
            await self._change(
                recording_id,
                # The document may be gone that said so; by the row it is lifted.
                lambda state: lift_hold(state, name) if name in state.holds else state,
            )

    async def annotate(self, person: Person, recording_id: str, sealed: bytes) -> int:
        """Keep a statement that only the recording's key opens; its number."""
        if len(sealed) > MAX_ANNOTATION or not sealed.startswith(AGE):
            raise MalformedError("annotation")
        async with self._record(recording_id):
            await self._admit(person, Act.ANNOTATE, recording_id)
            state = await self._change(recording_id, annotate)
            number = state.annotations[-1]
            key = annotation_key(recording_id, number)
            try:
                await self._parts.archive.state.put(key, sealed)
            except ObjectExistsError:
                raise ConflictError("annotation") from None
            await self._row(person, Act.ANNOTATE, recording_id, number=str(number))
        return number

    async def annotations(self, person: Person, recording_id: str) -> Annotations:
        """Every statement, sealed as it came; like a release, kept by a restriction."""
        record = await self._look(person, recording_id, restricted=True)
        texts = []
        for number in record.state.annotations:
            key = annotation_key(recording_id, number)
            try:
                sealed = await read_object(
                    self._parts.archive.state, key, MAX_ANNOTATION
                )
            except ObjectMissingError:
                continue  # its number was given, and the gate died before it was put
            texts.append(b64encode(sealed).decode())
        return Annotations(annotations=texts)

    async def rewrap(
        self, person: Person, recording_id: str, asked: EnvelopeRequest
    ) -> None:
        """Put an envelope for other keys in the place of the old one.

        Two persons have approved it, since a wrong one is the recording's end.
        """
        parts = self._parts
        try:
            inner = b64decode(asked.envelope, validate=True)
        except (Base64Error, ValueError):
            raise MalformedError("envelope") from None
        allowed = await self._admission.act(
            person, Act.REWRAP, recording_id=recording_id
        )
        async with parts.keys_lock, self._record(recording_id):
            record = await self._admission.record(
                person, allowed, Act.REWRAP, recording_id, asked.day
            )
            await self._approvals.covering(person, asked.request, record)
            outer = await self._wrapped(inner, record)
            await self._row(person, Act.REWRAP, recording_id, request=asked.request)
            await self._replace(envelope_key(record.day, recording_id), outer)

    async def _wrapped(self, inner: bytes, record: Record) -> bytes:
        """Around it, what is around the record's envelope now."""
        keyring = self._parts.keyring
        key: Identity | None = await keyring.hold_identity(record.id)
        if key is None:
            held = keyring.day_identities(record.day)
            if not held:
                raise ErasedError
            key = held[0]
        day = DayKey(
            day=record.day.isoformat(), generation=1, recipient=str(key.recipient())
        )
        try:
            outer = wrap(inner, record.id, day, keyring.entropy)
        except AgeError:
            raise MalformedError("envelope") from None
        if len(outer) > MAX_ENVELOPE:
            raise MalformedError("envelope")  # nobody would read it again
        return outer

    async def _look(
        self, person: Person, recording_id: str, *, restricted: bool
    ) -> Record:
        allowed = await self._admission.looking(person, recording_id)
        await self._admission.count(person, Act.FIND, Counted.FINDS)
        async with self._record(recording_id):
            record = await self._admission.record(
                person, allowed, Act.FIND, recording_id, restricted=restricted
            )
            await self._row(person, Act.FIND, recording_id, by="id")
        return record

    async def _admit(self, person: Person, act: Act, recording_id: str) -> Record:
        allowed = await self._admission.act(person, act, recording_id=recording_id)
        return await self._admission.record(
            person, allowed, act, recording_id, restricted=False
        )

    async def _change(
        self, recording_id: str, change: Callable[[RecordState], RecordState]
    ) -> RecordState:
        try:
            return await self._parts.states.change(recording_id, change)
        except RecordErasedError:
            raise ErasedError from None
        except StateError as error:
            if not error.permanent:
                raise
            raise ConflictError from error

    async def _replace(self, key: str, outer: bytes) -> None:
        """In every storage that has it; the first last, so that to ask again mends.

        Raises StorageError.
        """
        for archive in (*self._parts.others, self._parts.archive):
            try:
                await archive.state.head(key)
            except ObjectMissingError:
                continue  # its upload there is still to come
            await archive.state.replace(key, outer)

    async def _keep(self, record: Record) -> None:
        """Have every storage's own expiry pass the record by.

        Raises StorageError: then the hold is there, and was not answered.
        """
        parts = self._parts
        for archive in (parts.archive, *parts.others):
            for folder in (Folder.KEYS, Folder.AUDIO, Folder.MANIFEST):
                stored = await archive.objects(folder, record.id, record.day)
                for one in stored:
                    await archive.backend(folder).keep(one.key)

    def _record(self, recording_id: str) -> AbstractAsyncContextManager[None]:
        return self._parts.record_locks(recording_id)

    async def _row(
        self,
        person: Person,
        act: Act,
        recording_id: str,
        reference: str = "",
        **detail: str,
    ) -> None:
        await self._parts.log.append(
            person.id,
            act,
            recording_id=recording_id,
            reference=reference,
            detail=detail,
        )
