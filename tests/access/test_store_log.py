import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from agent.access.desk import Desk, DeskError
from agent.access.store_log import Form, Place, check_store_log
from agent.archive.access_log import MAX_LINE
from agent.archive.reconciling import Why
from agent.formats.audit import Act
from tests.access.site import Site
from tests.archive.logs import NOON, Clock, started
from tests.archive.shelves import id_of
from tests.formats.rosters import roster, signing_key

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
async def desk(tmp_path: Path) -> Desk:
    """Released by the gate: 1. A host claims to have released 2."""
    site = Site(tmp_path)
    for writer, key, number in (("gate", "gate", 1), ("host-a.1", "host-a", 2)):
        log = await started(
            site.target.locked, Clock(), key=signing_key(key), writer=writer
        )
        await log.append("p-dan", Act.RELEASE, recording_id=id_of(number))
        await log.close()
    return replace(site.desk(), roster=roster())


def written(folder: Path, *lines: bytes) -> list[Path]:
    path = folder / "access.log"
    path.write_bytes(b"".join(lines))
    return [path]


async def test_what_the_gate_released_was_read_by_the_gate(
    desk: Desk, tmp_path: Path
) -> None:
    files = written(tmp_path, line(1), line(1))
    checked = await check_store_log(desk, files, Form.RGW, PLACE)
    assert (checked.result.reads, checked.alarm) == (2, False)


async def test_a_hosts_own_log_explains_nothing(desk: Desk, tmp_path: Path) -> None:
    files = written(tmp_path, line(1), line(2), line(1, user="host-a"))
    checked = await check_store_log(desk, files, Form.RGW, PLACE)
    assert [(one.id, one.why) for one in checked.result.unexplained] == [
        (id_of(2), Why.NO_ROW),
        (id_of(1), Why.NOT_THE_GATE),
    ]


async def test_lines_that_cannot_be_read_hide_nothing(
    desk: Desk, tmp_path: Path
) -> None:
    endless = bytes(2 * MAX_LINE)
    files = written(tmp_path, b"{\n", endless, b"\n", line(1, AT + timedelta(hours=1)))
    checked = await check_store_log(desk, files, Form.RGW, PLACE)
    assert checked.unreadable == 3
    assert [one.why for one in checked.result.unexplained] == [Why.NO_ROW]
    checked = await check_store_log(desk, written(tmp_path, b"{\n"), Form.AWS, PLACE)
    assert (checked.unreadable, checked.alarm, checked.result.accesses) == (1, True, 0)


async def test_an_empty_log_is_no_alarm(desk: Desk, tmp_path: Path) -> None:
    checked = await check_store_log(desk, written(tmp_path), Form.AWS, PLACE)
    assert not checked.alarm


async def test_without_a_roster_no_row_is_believed(desk: Desk, tmp_path: Path) -> None:
    with pytest.raises(DeskError):
        await check_store_log(
            replace(desk, roster=None), written(tmp_path, line(1)), Form.RGW, PLACE
        )
