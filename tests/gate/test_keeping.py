import asyncio
import dataclasses
from base64 import b64encode
from datetime import timedelta

import httpx
import pytest

from agent.archive.record_state import begin_erasing
from agent.archive.store import Archive
from agent.common.ids import new_id
from agent.formats.age import NoMatchError
from agent.formats.envelope import open_envelope
from agent.formats.layout import envelope_key
from agent.upload.backends.memory import MemoryBackend
from tests.gate.requests import request, signed_request
from tests.gate.rig import CURRENT, DAY, Rig, envelope_of, inner_envelope, opener

SEALED = b"age-encryption.org/v1\n-> X25519 sealed"


async def state(rig: Rig, id_: str, name: str = "quinn") -> httpx.Response:
    return await rig.as_(name).get(f"/recordings/{id_}/state")


async def test_a_restricted_record_is_the_case_handlers_until_it_is_lifted(
    rig: Rig,
) -> None:
    held = await rig.store(readers=("quinn", "otso", "cara"))
    path = f"/recordings/{held}/restriction"
    answer = await rig.as_("cara").put(path, json={"reason": "accuracy"})
    assert answer.status_code == 204
    for name in ("quinn", "otso"):
        assert (await rig.release(name, held)).status_code == 423
        assert (await state(rig, held, name)).json()["restricted"]
        notes = await rig.as_(name).get(f"/recordings/{held}/annotations")
        assert notes.status_code == 423
    case = {"purpose": "complaint"}
    assert (await rig.release("cara", held, **case)).status_code == 200
    assert (await rig.as_("dan").put(path, json={})).status_code == 204  # it is
    assert (await rig.as_("cara").delete(path)).status_code == 204
    assert (await rig.as_("cara").delete(path)).status_code == 409
    assert (await rig.release("quinn", held)).status_code == 200
    acts = [(row.act, row.result) for row in await rig.rows()]
    assert acts.count(("denied", "restricted")) == 4
    assert ("restrict", "ok") in acts
    assert ("unrestrict", "ok") in acts


async def test_no_release_comes_after_the_answer_to_a_restriction(rig: Rig) -> None:
    held = await rig.store()
    order: list[tuple[str, int]] = []

    async def release() -> None:
        order.append(("release", (await rig.release("quinn", held)).status_code))

    async def restrict() -> None:
        path = f"/recordings/{held}/restriction"
        answer = await rig.as_("cara").put(path, json={})
        order.append(("restrict", answer.status_code))

    await asyncio.gather(*(release() for _ in range(10)), restrict(), *(
        release() for _ in range(10)
    ))  # fmt: skip
    after = order[order.index(("restrict", 204)) + 1 :]
    assert ("release", 200) not in after
    assert (await rig.release("quinn", held)).status_code == 423


async def test_holds_are_given_told_and_lifted(rig: Rig) -> None:
    held = await rig.store()
    body = {"kind": "legal-claim", "review": "2027-01-15", "reference": "K/3"}
    path = f"/recordings/{held}/holds"
    answer = await rig.as_("cara").post(path, json=body)
    assert answer.status_code == 201
    name = answer.json()["id"]
    assert (await state(rig, held)).json()["holds"] == [
        {
            "id": name, "kind": "legal-claim", "owner": "p-cara",
            "since": "2026-11-29", "review": "2027-01-15",
        }
    ]  # fmt: skip
    assert (await rig.as_("otso").delete(f"{path}/{name}")).status_code == 403
    assert (await rig.as_("quinn").delete(f"{path}/{name}")).status_code == 204
    assert (await rig.as_("quinn").delete(f"{path}/{name}")).status_code == 409
    assert (await state(rig, held)).json()["holds"] == []
    past = {**body, "review": "2026-11-28"}
    assert (await rig.as_("cara").post(path, json=past)).status_code == 409


async def test_what_is_being_erased_can_no_longer_be_held(rig: Rig) -> None:
    held = await rig.store()
    body = {"kind": "legal-claim", "review": "2027-01-15"}
    instant = "2026-11-29T10:00:00Z"
    await rig.parts.states.change(held, lambda state: begin_erasing(state, instant))
    answer = await rig.as_("cara").post(f"/recordings/{held}/holds", json=body)
    assert (answer.status_code, answer.json()["error"]) == (410, "erased")
    assert (await rig.release("quinn", held)).status_code == 410
    assert (await rig.release("otso", held)).status_code == 410
    assert (await rig.release("meri", held)).status_code == 403


async def test_an_erasure_that_begins_meanwhile_wins_or_loses_whole(rig: Rig) -> None:
    held = await rig.store()
    change = rig.parts.states.change
    body = {"kind": "legal-claim", "review": "2027-01-15"}

    async def erased_first(recording_id: str, fn):  # type: ignore[no-untyped-def]
        await change(recording_id, lambda state: begin_erasing(state, "2026"))
        return await change(recording_id, fn)

    rig.parts.states.change = erased_first  # type: ignore[method-assign]
    answer = await rig.as_("cara").post(f"/recordings/{held}/holds", json=body)
    assert answer.status_code == 410
    assert [row.act for row in await rig.rows()] == []


async def test_annotations_are_kept_sealed(rig: Rig) -> None:
    held = await rig.store()
    path = f"/recordings/{held}/annotations"
    octets = {"content-type": "application/octet-stream"}
    for number in (1, 2):
        answer = await rig.as_("cara").post(path, content=SEALED, headers=octets)
        assert (answer.status_code, answer.json()) == (201, {"number": number})
    texts = (await rig.as_("otso").get(path)).json()["annotations"]
    assert texts == [b64encode(SEALED).decode()] * 2
    assert (await state(rig, held)).json()["annotations"] == 2
    assert (await rig.as_("meri").get(path)).status_code == 403
    assert (await rig.as_("quinn").post(path, content=SEALED)).status_code == 422
    for bad in (b"It was not so.", SEALED + bytes(17_000)):
        answer = await rig.as_("cara").post(path, content=bad, headers=octets)
        assert (answer.status_code, answer.json()["error"]) == (422, "annotation")


async def test_a_number_whose_statement_never_came_is_no_statement(rig: Rig) -> None:
    held = await rig.store()
    path = f"/recordings/{held}/annotations"
    octets = {"content-type": "application/octet-stream"}
    await rig.as_("cara").post(path, content=SEALED, headers=octets)
    await rig.parts.archive.state.delete(f"annotations/{held}/000001.age")
    assert (await rig.as_("cara").get(path)).json()["annotations"] == []


async def rewrap(rig: Rig, name: str, id_: str, inner: bytes, by: str) -> int:
    body = {"request": by, "envelope": b64encode(inner).decode(), "day": str(DAY)}
    path = f"/recordings/{id_}/envelope"
    return (await rig.as_(name).put(path, json=body)).status_code


async def test_two_persons_let_envelopes_be_replaced(rig: Rig) -> None:
    held, other = await rig.store(), await rig.store()
    asked = request(rig, act="rewrap", recordings=(held,), gains=("p-cara",))
    taken = await rig.as_("quinn").post(
        "/requests", content=signed_request(asked),
        headers={"content-type": "application/octet-stream"},
    )  # fmt: skip
    assert taken.status_code == 201
    new = inner_envelope(("quinn", "cara"))
    assert await rewrap(rig, "quinn", held, new, new_id()) == 403
    assert await rewrap(rig, "quinn", other, new, asked.id) == 403
    assert await rewrap(rig, "cara", held, new, asked.id) == 403
    too_long = b"age-encryption.org/v1\n".ljust(1 << 20)
    for bad in (b"no envelope", too_long):
        assert await rewrap(rig, "quinn", held, bad, asked.id) == 422
    released = await rig.release("quinn", held, purpose="rewrap", reference=asked.id)
    assert released.status_code == 200
    assert await rewrap(rig, "quinn", held, new, asked.id) == 204
    given = envelope_of(await rig.release("quinn", held))
    assert given == new
    with pytest.raises(NoMatchError):
        open_envelope(given, [opener("otso")])
    unapproved = await rig.release("quinn", other, purpose="rewrap", reference=asked.id)
    assert unapproved.status_code == 403
    rows = [row for row in await rig.rows() if row.act == "rewrap"]
    assert [(row.id, row.detail["request"]) for row in rows] == [(held, asked.id)]


async def test_what_is_replaced_or_kept_is_so_in_every_storage(rig: Rig) -> None:
    held, late = await rig.store(), await rig.store()
    asked: list[str] = []
    other = MemoryBackend(lambda operation, key: asked.append(f"{operation} {key}"))
    archives = (Archive(MemoryBackend(), other, clock=rig.clock),)
    CURRENT.parts = dataclasses.replace(rig.parts, others=archives)
    old = await rig.parts.archive.envelope(held, DAY)
    await other.put(envelope_key(DAY, held), old)
    wanted = request(rig, act="rewrap", recordings=tuple(sorted((held, late))))
    await rig.as_("quinn").post(
        "/requests", content=signed_request(wanted),
        headers={"content-type": "application/octet-stream"},
    )  # fmt: skip
    for one in (held, late):
        assert await rewrap(rig, "quinn", one, inner_envelope(), wanted.id) == 204
    here = await rig.parts.archive.envelope(held, DAY)
    assert other.objects == {envelope_key(DAY, held): here}
    assert here != old
    body = {"kind": "legal-claim", "review": "2027-01-15"}
    answer = await rig.as_("cara").post(f"/recordings/{held}/holds", json=body)
    assert answer.status_code == 201
    assert f"keep {envelope_key(DAY, held)}" in asked


async def test_a_held_record_stays_under_its_hold_key(rig: Rig) -> None:
    held = await rig.store()
    asked = request(rig, act="rewrap", recordings=(held,))
    await rig.as_("quinn").post(
        "/requests", content=signed_request(asked),
        headers={"content-type": "application/octet-stream"},
    )  # fmt: skip
    await rig.parts.keyring.hold_key(held)
    new = inner_envelope()
    assert await rewrap(rig, "quinn", held, new, asked.id) == 204
    await rig.parts.keyring.destroy_day(DAY, 1, at="2026-11-29T10:00:00Z")
    assert envelope_of(await rig.release("quinn", held)) == new
    await rig.parts.keyring.destroy_hold(held, at="2026-11-29T10:00:00Z")
    assert await rewrap(rig, "quinn", held, new, asked.id) == 410


async def test_who_may_not_learns_nothing_of_a_records_state(rig: Rig) -> None:
    theirs = await rig.store(officer="202")
    rig.clock.ahead(timedelta(seconds=1))
    answers = [await state(rig, id_, "otso") for id_ in (theirs, new_id())]
    assert {(a.status_code, a.content) for a in answers} == {
        (403, b'{"error":"denied","fields":[]}')
    }
