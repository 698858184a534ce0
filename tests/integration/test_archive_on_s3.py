"""What central storage holds, on a real object store: found, changed, logged."""

import asyncio
import json
from datetime import date, timedelta
from typing import Final

import pytest

from agent.archive import tombstones
from agent.archive.access_log import parse_rgw_line
from agent.archive.audit_log import AuditForkedError, AuditLog
from agent.archive.audit_verification import keep_heads, read_rows, verify_log, writers
from agent.archive.index import Hit, find
from agent.archive.reconciling import Place, Rows, Why, reconcile
from agent.archive.record_state import annotate
from agent.archive.states import States
from agent.archive.store import Archive
from agent.archive.tombstones import Erased, Tombstone
from agent.common.clock import utc_ns
from agent.formats.audit import Act
from agent.formats.layout import Folder, day_of, envelope_key, index_key, month_of
from agent.upload.backend import read_object
from tests.archive.logs import DAY, KEY, NOON, Clock, started
from tests.archive.shelves import id_of
from tests.bench.stores import s3_places
from tests.lab.ceph import Ceph
from tests.lab.s3 import s3_client

pytestmark = [pytest.mark.integration, pytest.mark.beside]

BLIND: Final = "c" * 64


async def test_a_log_is_written_read_and_kept_elsewhere(ceph: Ceph) -> None:
    log, other = s3_places(ceph, "auditing")
    clock = Clock()
    writer = await started(log, clock)
    for _ in range(3):
        await asyncio.gather(
            *(
                writer.append("p-17", Act.RELEASE, recording_id=id_of(n))
                for n in range(9)
            )
        )
        clock.now += DAY
    second = await started(log, clock)
    await writer.append("p-17", Act.FIND)
    with pytest.raises(AuditForkedError):
        await second.append("p-18", Act.FIND)
    assert await writers(log) == ["gate"]
    assert await keep_heads(log, other, "gate", date(2026, 12, 3)) == 3
    report = await verify_log(log, "gate", [KEY.public], {"other": other})
    assert (report.findings, report.rows, report.heads) == ((), writer.last, 3)
    keys = [info.key async for info in log.list("audit")]
    await log.delete(keys[-1])
    await log.delete(keys[-2])
    report = await verify_log(log, "gate", [KEY.public], {"other": other})
    assert [str(one).partition(": ")[2] for one in report.findings] == [
        "cut-off (other)"
    ]


async def test_recordings_are_found_and_their_states_changed(ceph: Ceph) -> None:
    locked, state = s3_places(ceph, "archiving")
    archive = Archive(locked, state, clock=lambda: NOON)
    days = [day_of(NOON) - timedelta(n) for n in (0, 40, 364)]
    for number, day in enumerate(days):
        await state.put(envelope_key(day, id_of(number)), b"envelope")
        entry = index_key(month_of(day), "caller", BLIND, id_of(number))
        await state.put(entry, b"")
    months = [month_of(day) for day in days]
    found = await find(archive, lambda _month, _domain: BLIND, months, "caller")
    assert found.hits == [Hit(days[n], id_of(n)) for n in (2, 1, 0)]
    assert await archive.locate(id_of(1)) == days[1]
    assert [day async for day in archive.days(Folder.KEYS)] == sorted(days)
    await asyncio.gather(*(States(state).change(id_of(0), annotate) for _ in range(6)))
    assert (await States(state).read(id_of(0))).annotations == (1, 2, 3, 4, 5, 6)
    stone = Tombstone(
        id=id_of(2), created=days[2], erased_at="2026-11-29T12:00:00.000Z",
        method="key-destroyed", policy="P1Y",
    )  # fmt: skip
    await tombstones.write(state, stone)
    await tombstones.write(state, stone)
    erased = Erased(archive)
    assert await erased.is_erased(id_of(2))
    assert not await erased.is_erased(id_of(1))


async def test_a_read_around_the_gate_is_found_in_the_stores_own_log(
    ceph: Ceph,
) -> None:
    locked, state = s3_places(ceph, "guarding")
    day = day_of(utc_ns())
    keys = [envelope_key(day, id_of(number)) for number in range(3)]
    for key in keys:
        await state.put(key, b"envelope")
    log = AuditLog(locked, "gate", KEY)
    await log.start()
    await log.append("p-17", Act.RELEASE, recording_id=id_of(0))
    await read_object(state, keys[0], 100)
    await read_object(state, keys[1], 100)  # with the gate's credentials, and no row
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": [ceph.user("thief").arn]},
                "Action": ["s3:GetObject"],
                "Resource": ["arn:aws:s3:::guarding-state/*"],
            }
        ],
    }
    s3_client(ceph.endpoint, ceph.user("guarding")).put_bucket_policy(
        Bucket="guarding-state", Policy=json.dumps(policy)
    )
    thief = s3_client(ceph.endpoint, ceph.user("thief"))
    await asyncio.to_thread(thief.get_object, Bucket="guarding-state", Key=keys[2])
    await state.head(keys[2])
    accesses = [
        access
        for line in ceph.accesses()
        for access in parse_rgw_line(json.dumps(line).encode())
    ]
    rows = Rows([row async for row in read_rows(locked, "gate", [KEY.public])])
    result = reconcile(accesses, rows, Place("guarding-state", gate={"guarding"}))
    assert result.reads == 3
    assert [(one.id, one.why) for one in result.unexplained] == [
        (id_of(1), Why.NO_ROW),
        (id_of(2), Why.NOT_THE_GATE),
    ]
