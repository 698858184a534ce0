import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.archive.access_log import MAX_LINE
from agent.archive.reconciling import Place, Why
from agent.archive.store_log import Checked, Form, StoreLog, StoreLogError
from agent.formats.audit import Act
from agent.upload.backends.memory import MemoryBackend
from tests.archive.logs import NOON, Clock, started
from tests.archive.shelves import id_of
from tests.formats.rosters import signing_key

AT = datetime.fromtimestamp(NOON // 10**9, UTC)
PLACE = Place("state", gate={"gate"})


def line(number: int, at: datetime = AT, user: str = "gate") -> bytes:
    entry = {
        "bucket": "state", "object": f"keys/2026/11/23/{id_of(number)}.key.age",
        "time": f"{at:%Y-%m-%dT%H:%M:%S}.000000Z", "user": user, "operation": "get_obj",
        "http_status": "200",
    }  # fmt: skip
    return json.dumps(entry).encode() + b"\n"


@pytest.fixture
async def log() -> MemoryBackend:
    """Released by the gate: 1. A host claims to have released 2."""
    backend = MemoryBackend()
    for writer, key, number in (("gate", "gate", 1), ("host-a.1", "host-a", 2)):
        rows = await started(backend, Clock(), key=signing_key(key), writer=writer)
        await rows.append("p-dan", Act.RELEASE, recording_id=id_of(number))
        await rows.close()
    return backend


async def checked(
    log: MemoryBackend, folder: Path, *lines: bytes, form: Form = Form.RGW
) -> Checked:
    path = folder / "access.log"
    path.write_bytes(b"".join(lines))
    store_log = StoreLog((path,), form, PLACE)
    return await store_log.check(log, [signing_key("gate").public])


async def test_what_the_gate_released_was_read_by_the_gate(
    log: MemoryBackend, tmp_path: Path
) -> None:
    found = await checked(log, tmp_path, line(1), line(1))
    assert (found.requests, found.result.reads, found.alarm) == (2, 2, False)


async def test_a_hosts_own_log_explains_nothing(
    log: MemoryBackend, tmp_path: Path
) -> None:
    found = await checked(log, tmp_path, line(1), line(2), line(1, user="host-a"))
    assert [(one.id, one.why) for one in found.result.unexplained] == [
        (id_of(2), Why.NO_ROW),
        (id_of(1), Why.NOT_THE_GATE),
    ]
    assert str(found.result.unexplained[0]) == (
        f"2026-11-29T12:00:00Z no-row {id_of(2)} by gate"
    )


async def test_lines_that_cannot_be_read_hide_nothing(
    log: MemoryBackend, tmp_path: Path
) -> None:
    endless, late = bytes(2 * MAX_LINE), line(1, AT + timedelta(hours=1))
    found = await checked(log, tmp_path, b"{\n", endless, b"\n", late)
    assert found.unreadable == 3
    assert [one.why for one in found.result.unexplained] == [Why.NO_ROW]
    found = await checked(log, tmp_path, b"{\n", form=Form.AWS)
    assert (found.unreadable, found.alarm, found.requests) == (1, True, 0)


async def test_an_empty_log_is_no_alarm(log: MemoryBackend, tmp_path: Path) -> None:
    assert not (await checked(log, tmp_path, form=Form.AWS)).alarm


async def test_what_one_check_holds_is_bounded(
    log: MemoryBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.archive.store_log.MAX_CONCERNED", 3)
    with pytest.raises(StoreLogError, match="more than 3 reads"):
        await checked(log, tmp_path, *(line(1) for _ in range(4)))
