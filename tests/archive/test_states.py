import asyncio
import hashlib
import itertools
from datetime import date

import pytest

from agent.archive.documents import PLAIN, Documents, SignedDocuments
from agent.archive.record_state import (
    Hold,
    HoldKind,
    OpenRequest,
    RecordErasedError,
    RecordState,
    Restriction,
    StateError,
    annotate,
    begin_erasing,
    close_request,
    encode_state,
    hold,
    lift_hold,
    open_request,
    restrict,
    unrestrict,
)
from agent.archive.states import PASSED, StateBusyError, States, _Stored
from agent.archive.witness import ADOPTED, Witness
from agent.formats.audit import Act, make_row
from agent.formats.sshsig import Namespace
from agent.upload.backend import StorageError
from agent.upload.backends.memory import MemoryBackend
from tests.archive.logs import ID, KEY, NOON, OTHER
from tests.archive.shelves import id_of
from tests.formats.flips import flips

NOW = "2026-11-29T12:00:00.000Z"
HOLD = Hold(
    kind=HoldKind.ACCESS_REQUEST, owner="p-dpo", since=date(2026, 11, 29),
    review=date(2027, 1, 15),
)  # fmt: skip
RESTRICTED = Restriction(by="p-dan", since=HOLD.since, reason="disputed")
ASKED = OpenRequest(by="p-dan", since=HOLD.since, kind="access")


async def test_a_recording_without_a_document_has_an_empty_state() -> None:
    backend = MemoryBackend()
    assert await States(backend).read(ID) == RecordState(id=ID)
    unchanged = await States(backend).change(ID, lambda state: state)
    assert unchanged.number == 0
    assert not backend.objects


async def test_the_newest_document_counts() -> None:
    backend = MemoryBackend()
    states = States(backend)
    for number in range(1, 12):
        assert (await states.change(ID, annotate)).annotations[-1] == number
    assert (await states.read(ID)).annotations == tuple(range(1, 12))
    assert min(backend.objects) == f"state/{ID}/000001.json"
    assert len(backend.objects) == 11


async def test_of_many_changes_at_once_none_is_lost() -> None:
    backend = MemoryBackend()
    await asyncio.gather(*(States(backend).change(ID, annotate) for _ in range(40)))
    assert (await States(backend).read(ID)).annotations == tuple(range(1, 41))


@pytest.mark.parametrize("first", ["hold", "erase"])
async def test_of_a_hold_and_an_erasure_one_wins(first: str) -> None:
    backend = MemoryBackend()
    one, other = States(backend), States(backend)
    held = one.change(ID, lambda state: hold(state, "h-1", HOLD))
    erased = other.change(ID, lambda state: begin_erasing(state, NOW))
    both = (held, erased) if first == "hold" else (erased, held)
    results = await asyncio.gather(*both, return_exceptions=True)
    failures = [result for result in results if isinstance(result, StateError)]
    assert len(failures) == 1
    state = await one.read(ID)
    assert bool(state.holds) != bool(state.erasing)
    assert isinstance(failures[0], RecordErasedError) == bool(state.erasing)


async def test_a_change_that_raises_changes_nothing() -> None:
    backend = MemoryBackend()
    states = States(backend)
    await states.change(ID, lambda state: begin_erasing(state, NOW))
    before = dict(backend.objects)
    with pytest.raises(RecordErasedError):
        await states.change(ID, annotate)
    assert backend.objects == before


async def test_a_change_whose_answer_was_lost_can_be_tried_again() -> None:
    def before(operation: str, _key: str) -> None:
        if operation == "put done":
            raise StorageError("away.")

    backend = MemoryBackend(before)
    with pytest.raises(StorageError):
        await States(backend).change(ID, lambda state: hold(state, "h-1", HOLD))
    state = await States(backend).change(ID, lambda state: hold(state, "h-1", HOLD))
    assert (state.number, len(state.holds)) == (1, 1)


async def test_changes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.archive.states.MAX_CHANGES", 3)
    states = States(MemoryBackend())
    for _ in range(3):
        await states.change(ID, annotate)
    with pytest.raises(StateError, match="too often"):
        await states.change(ID, annotate)


async def test_who_changed_a_state_without_end_has_not_made_it_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("agent.archive.states.MAX_CHANGES", 3)
    states = States(MemoryBackend())
    await states.change(ID, lambda state: hold(state, "h-1", HOLD))
    await states.change(ID, lambda state: restrict(state, RESTRICTED))
    await states.change(ID, lambda state: open_request(state, "r-1", ASKED))
    with pytest.raises(StateError, match="too often"):
        await states.change(ID, lambda state: hold(state, "h-2", HOLD))
    await states.change(ID, lambda state: lift_hold(state, "h-1"))
    for add in (
        lambda state: hold(state, "h-1", HOLD),
        annotate,
    ):
        with pytest.raises(StateError, match="too often"):
            await states.change(ID, add)
    await states.change(ID, unrestrict)
    await states.change(ID, lambda state: close_request(state, "r-1"))
    assert (await states.change(ID, lambda s: begin_erasing(s, NOW))).erasing == NOW


async def test_others_without_end_are_told() -> None:
    def before(operation: str, key: str) -> None:
        if operation == "put":
            taken.append(key)
            backend.objects[key] = b""

    taken: list[str] = []
    backend = MemoryBackend(before)

    class Never(States):
        async def _newest(self, recording_id: str) -> _Stored:
            return _Stored(RecordState(id=recording_id, number=len(taken)))

    with pytest.raises(StateBusyError):
        await Never(backend).change(ID, annotate)
    assert not StateBusyError.permanent


@pytest.mark.parametrize("name", ["strange", "000000.json", "000003.json/more"])
async def test_strange_documents_are_told(name: str) -> None:
    backend = MemoryBackend()
    states = States(backend)
    await states.change(ID, annotate)
    backend.objects[f"state/{ID}/{name}"] = b"{}"
    with pytest.raises(StateError):
        [one async for one in states.ids()]


async def test_a_damaged_document_is_told() -> None:
    backend = MemoryBackend()
    states = States(backend)
    await states.change(ID, annotate)
    for altered in (b"", b"{}", next(iter(backend.objects.values()))[:-1]):
        backend.objects[f"state/{ID}/000001.json"] = altered
        with pytest.raises(StateError):
            await states.read(ID)


async def test_all_that_have_a_state() -> None:
    states = States(MemoryBackend())
    assert [one async for one in states.ids()] == []
    for number in (3, 1, 2):
        for _ in range(number):
            await states.change(id_of(number), annotate)
    assert [one async for one in states.ids()] == [
        (id_of(number), number) for number in (1, 2, 3)
    ]
    assert [len(state.annotations) async for state in states.all()] == [1, 2, 3]


async def test_documents_are_taken_away_the_newest_last() -> None:
    deleted: list[str] = []

    def before(operation: str, key: str) -> None:
        if operation == "delete":
            deleted.append(key)

    backend = MemoryBackend(before)
    states = States(backend)
    for _ in range(3):
        await states.change(ID, annotate)
    await states.change(id_of(1), annotate)
    await states.remove(ID)
    assert deleted == [f"state/{ID}/{number:06}.json" for number in (1, 2, 3)]
    assert list(backend.objects) == [f"state/{id_of(1)}/000001.json"]


# -- where there is a gate ------------------------------------------------------------

SIGNED = SignedDocuments(KEY, lambda: [KEY.public])
FORGED = SignedDocuments(OTHER, lambda: [OTHER.public])


async def held(backend: MemoryBackend) -> States:
    states = States(backend, SIGNED)
    await states.change(ID, lambda state: hold(state, "h-1", HOLD))
    await states.change(ID, lambda state: restrict(state, RESTRICTED))
    return states


async def test_signed_documents_follow_each_other() -> None:
    backend = MemoryBackend()
    states = await held(backend)
    one, other = sorted(backend.objects)
    digest = hashlib.sha256(backend.objects[one]).hexdigest()
    assert (await states.read(ID)).previous == digest
    assert await states.flaws(ID) == []
    # Who has no key of the gate's reads them, and does not know whether they are true.
    assert await States(backend).read(ID) == await states.read(ID)
    await States(backend).change(ID, annotate)
    assert other < max(backend.objects)
    with pytest.raises(StateError, match="not signed by the gate") as caught:
        await states.read(ID)
    assert "adopt" in caught.value.hint


@pytest.mark.parametrize("documents", [FORGED, PLAIN])
async def test_nobody_elses_document_lifts_anything(documents: Documents) -> None:
    backend = MemoryBackend()
    states = await held(backend)
    empty = encode_state(RecordState(id=ID, number=3))
    backend.objects[f"state/{ID}/000003.json"] = documents.sealed(
        empty, Namespace.STATE
    )
    with pytest.raises(StateError, match="not signed by the gate"):
        await states.read(ID)
    assert len(await states.flaws(ID)) == 1


async def test_a_document_of_another_kind_is_none() -> None:
    backend = MemoryBackend()
    states = await held(backend)
    empty = encode_state(RecordState(id=ID, number=3))
    backend.objects[f"state/{ID}/000003.json"] = SIGNED.sealed(empty, Namespace.MARK)
    with pytest.raises(StateError, match="not signed by the gate"):
        await states.read(ID)


async def test_what_was_removed_in_the_middle_or_swapped_is_named() -> None:
    backend, other = MemoryBackend(), MemoryBackend()
    states = await held(backend)
    await states.change(ID, annotate)
    first, second, third = sorted(backend.objects)
    whole = dict(backend.objects)
    del backend.objects[second]
    assert await states.flaws(ID) == [f"{second}: missing"]
    # One that the gate has signed too, at another time.
    again = States(other, SIGNED)
    for _ in range(2):
        await again.change(ID, annotate)
    backend.objects.update(whole)
    backend.objects[second] = other.objects[second]
    assert await states.flaws(ID) == [
        f"{second}: it follows another document",
        f"{third}: it follows another document",
    ]
    backend.objects[first] = b"{}"
    assert (await states.flaws(ID))[0].startswith(f"{first}: A document of state")


def witness() -> Witness:
    made = Witness()
    row = make_row(1, NOON, "gate", Act.CONFIG, result=ADOPTED)
    made.take([row], date(2026, 11, 29))
    return made


@pytest.mark.parametrize("number", [3, 4, 999_999])
async def test_once_all_are_signed_a_forged_one_holds_up_nothing(number: int) -> None:
    backend = MemoryBackend()
    await held(backend)
    states = States(backend, SIGNED, witness())
    key = f"state/{ID}/{number:06}.json"
    backend.objects[key] = encode_state(RecordState(id=ID, number=number))
    before = await states.read(ID)
    assert before.stops_clock == ("hold", "restriction")
    assert [state async for state in states.all()] == [before]
    assert (await states.flaws(ID))[-1].startswith(f"{key}: A document of state")
    changed = await states.change(ID, annotate)
    assert changed.number == 3
    assert await states.read(ID) == changed
    assert len(await states.flaws(ID)) == (0 if number == 3 else 1 + (number > 4))


async def test_a_heap_of_forged_ones_is_not_read_to_its_end() -> None:
    backend = MemoryBackend()
    await held(backend)
    states = States(backend, SIGNED, witness())
    for number in range(3, 3 + PASSED):
        backend.objects[f"state/{ID}/{number:06}.json"] = b"forged"
    assert (await states.read(ID)).stops_clock
    backend.objects[f"state/{ID}/000999.json"] = b"forged"
    with pytest.raises(StateError):
        await states.read(ID)


async def test_every_flipped_bit_of_a_document_is_named() -> None:
    backend = MemoryBackend()
    states = await held(backend)
    key = max(backend.objects)
    for flipped in itertools.islice(flips(backend.objects[key]), 0, None, 13):
        backend.objects[key] = flipped
        with pytest.raises(StateError):
            await states.read(ID)
        assert len(await states.flaws(ID)) == 1
