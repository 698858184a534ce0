import asyncio
import dataclasses
import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from agent.archive.reconciling import Place
from agent.archive.store_log import Form, StoreLog
from agent.formats.layout import envelope_key
from agent.gate.app import make_app
from agent.gate.comparing import StateFlaw, compare, compare_states
from tests.gate.rig import DAY, TODAY, NoErasing, Rig
from tests.gate.test_schedule import Kept


class Store:
    """A rig whose storage writes down who read what."""

    def __init__(self, rig: Rig, path: Path) -> None:
        self.rig, self.path = rig, path
        place = Place("state", gate={"gate"})
        store_log = StoreLog((path,), Form.RGW, place)
        rig.parts = dataclasses.replace(rig.parts, store_log=store_log)
        rig.app = make_app(rig.parts, NoErasing)
        path.write_bytes(b"")

    def read(self, recording_id: str, user: str = "gate") -> None:
        """Somebody reads an envelope."""
        entry = {
            "bucket": "state", "object": envelope_key(DAY, recording_id), "user": user,
            "time": f"{self.rig.clock.moment:%Y-%m-%dT%H:%M:%S}.000000Z",
            "operation": "get_obj", "http_status": "200",
        }  # fmt: skip
        with self.path.open("ab") as file:
            file.write(json.dumps(entry).encode() + b"\n")


@pytest.fixture
def store(rig: Rig, tmp_path: Path) -> Store:
    return Store(rig, tmp_path / "access.log")


async def test_a_release_explains_its_read_and_no_other(store: Store) -> None:
    released, stolen = await store.rig.store(), await store.rig.store()
    await store.rig.release("quinn", released)
    store.read(released)
    assert await compare(store.rig.parts) == []
    store.read(stolen)
    store.read(released, user="host-a")
    moment = f"{store.rig.clock.moment:%Y-%m-%dT%H:%M:%SZ}"
    assert await compare(store.rig.parts) == [
        f"store log: {moment} no-row {stolen} by gate",
        f"store log: {moment} not-the-gate {released} by host-a",
    ]


async def test_it_belongs_to_what_is_verified(store: Store) -> None:
    stolen = await store.rig.store()
    store.read(stolen)
    verdict = (await store.rig.as_("dan").get("/audit/verify")).json()
    assert not verdict["ok"]
    assert stolen in verdict["findings"][0]
    store.path.unlink()
    verdict = (await store.rig.as_("dan").get("/audit/verify")).json()
    assert "cannot be compared" in verdict["findings"][0]


async def test_it_is_looked_at_every_day(store: Store, tmp_path: Path) -> None:
    kept = Kept(store.rig, tmp_path)
    await kept.run()
    assert await kept.alarms() == []
    store.read(await store.rig.store())
    with store.path.open("ab") as file:
        file.write(b"nonsense\n")
    kept.rig.clock.ahead(timedelta(days=1))
    await kept.run()
    assert await kept.alarms() == ["read-around"]


async def test_more_than_can_be_named_are_counted(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.archive.reconciling.MAX_UNEXPLAINED", 1)
    stolen = await store.rig.store()
    for _ in range(3):
        store.read(stolen)
    assert (await compare(store.rig.parts))[1:] == ["store log: 2 more"]


async def test_where_no_log_is_told_nothing_is_compared(rig: Rig) -> None:
    assert await compare(rig.parts) == []


# -- documents of state ---------------------------------------------------------------


async def put_on(rig: Rig, recording_id: str) -> None:
    """Hold and restrict it, as people do."""
    cara, path = rig.as_("cara"), f"/recordings/{recording_id}"
    body = {"kind": "legal-claim", "review": "2099-01-15"}
    assert (await cara.post(f"{path}/holds", json=body)).status_code == 201
    asked = {"reason": "disputed"}
    assert (await cara.put(f"{path}/restriction", json=asked)).status_code == 204


def documents_of(rig: Rig, recording_id: str) -> list[str]:
    objects = rig.parts.archive.state.objects  # type: ignore[attr-defined]
    return sorted(key for key in objects if key.startswith(f"state/{recording_id}"))


@pytest.mark.parametrize("removed", [slice(1, None), slice(0, None), slice(0, 1)])
async def test_who_deletes_documents_lifts_nothing(
    rig: Rig, tmp_path: Path, removed: slice
) -> None:
    kept = Kept(rig, tmp_path)
    one = await rig.store(day=TODAY.replace(year=2025))
    await put_on(rig, one)
    whole = await rig.parts.states.read(one)
    objects = rig.parts.archive.state.objects  # type: ignore[attr-defined]
    for key in documents_of(rig, one)[removed]:
        del objects[key]
    # At once, and not only when the day's comparison has found it.
    assert (await rig.release("quinn", one)).status_code == 423
    rig.clock.ahead(timedelta(days=2))
    await kept.run()
    await kept.run()
    assert (await rig.release("quinn", one)).status_code == 423
    assert await kept.alarms() == ["state-altered"]
    again = await rig.parts.states.stored(one)
    assert again.holds == whole.holds
    assert again.restricted == whole.restricted


async def test_what_the_log_does_not_tell_of_is_named(rig: Rig) -> None:
    one, other, third = [await rig.store() for _ in range(3)]
    for each in (one, other, third):
        await put_on(rig, each)
    assert await compare_states(rig.parts) == []
    name = await lifted(rig, other)
    last = documents_of(rig, other)[-1]
    objects = rig.parts.archive.state.objects  # type: ignore[attr-defined]
    del objects[last]  # what lifted a hold: it seems to be in force again
    objects[documents_of(rig, third)[-1]] = b"forged"
    assert name in (await rig.parts.states.read(other)).holds
    found = await compare_states(rig.parts)
    assert sorted(found, key=lambda flaw: flaw.what) == [
        StateFlaw(third, "altered"), StateFlaw(other, "unwitnessed"),
    ]  # fmt: skip


async def lifted(rig: Rig, recording_id: str) -> str:
    [name] = (await rig.parts.states.read(recording_id)).holds
    path = f"/recordings/{recording_id}/holds/{name}"
    assert (await rig.as_("cara").delete(path)).status_code == 204
    return name


async def test_a_hold_whose_document_is_gone_can_be_lifted(rig: Rig) -> None:
    one = await rig.store()
    await put_on(rig, one)
    objects = rig.parts.archive.state.objects  # type: ignore[attr-defined]
    for key in documents_of(rig, one):
        del objects[key]
    await lifted(rig, one)
    path = f"/recordings/{one}/restriction"
    assert (await rig.as_("cara").delete(path)).status_code == 204
    assert await rig.parts.states.read(one) == await rig.parts.states.stored(one)
    assert not (await rig.parts.states.read(one)).stops_clock
    assert await compare_states(rig.parts) == []


async def test_a_hold_that_is_just_being_put_on_is_no_flaw(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = await rig.store()
    append = rig.parts.log.append
    compared: list[asyncio.Task[list[StateFlaw]]] = []

    async def slow(*words: Any, **more: Any) -> int:
        if words[1] == "hold":  # its document is there
            compare = compare_states(rig.parts)
            compared.append(asyncio.get_running_loop().create_task(compare))
            for _ in range(20):
                await asyncio.sleep(0)
        return await append(*words, **more)

    monkeypatch.setattr(rig.parts.log, "append", slow)
    await put_on(rig, one)
    assert [await task for task in compared] == [[]]
