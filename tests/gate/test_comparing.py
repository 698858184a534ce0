import dataclasses
import json
from datetime import timedelta
from pathlib import Path

import pytest

from agent.archive.reconciling import Place
from agent.archive.store_log import Form, StoreLog
from agent.formats.layout import envelope_key
from agent.gate.app import make_app
from agent.gate.comparing import compare
from tests.gate.rig import DAY, NoErasing, Rig
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
