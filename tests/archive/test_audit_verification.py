from datetime import date

import pytest

from agent.archive.audit_log import AuditBrokenError
from agent.archive.audit_verification import (
    keep_heads,
    read_pages,
    read_rows,
    verify_log,
    writers,
)
from agent.archive.chain import Flaw
from agent.formats.audit import MAX_OBJECT, Act
from agent.upload.backends.memory import MemoryBackend
from tests.archive.logs import KEY, OTHER, Clock, filled, started

TODAY = date(2026, 12, 3)


async def test_a_log_is_read_whole_and_compared() -> None:
    log, second = MemoryBackend(), MemoryBackend()
    clock = await filled(log, days=4)
    assert await keep_heads(log, second, "gate", TODAY) == 3
    assert await keep_heads(log, second, "gate", TODAY) == 0
    await (await started(log, clock)).roll()
    report = await verify_log(log, "gate", [KEY.public], {"second": second})
    assert report.whole
    assert (report.writer, report.objects, report.rows, report.heads) == (
        "gate", 20, 20, 3,
    )  # fmt: skip
    assert await keep_heads(log, second, "gate", TODAY) == 0
    await (await started(log, clock)).append("gate", Act.START)
    assert await keep_heads(log, second, "gate", TODAY) == 1
    del log.objects[max(log.objects)]
    del log.objects[max(log.objects)]
    report = await verify_log(log, "gate", [KEY.public], {"second": second})
    assert [finding.flaw for finding in report.findings] == [Flaw.CUT_OFF]


async def test_an_object_that_is_too_large_is_one_that_was_altered() -> None:
    log = MemoryBackend()
    await filled(log)
    last = max(log.objects)
    log.objects[last] = bytes(MAX_OBJECT + 1)
    report = await verify_log(log, "gate", [KEY.public], {})
    assert [(finding.key, finding.flaw) for finding in report.findings] == [
        (last, Flaw.ALTERED)
    ]


@pytest.mark.parametrize("same", [True, False])
async def test_copies_that_differ_are_not_overwritten(*, same: bool) -> None:
    log = MemoryBackend()
    await filled(log)

    def before(operation: str, key: str) -> None:
        if operation == "put":  # another copies at the same time
            second.objects[key] = log.objects[key] if same else b"something else"

    second = MemoryBackend(before)
    if same:
        assert await keep_heads(log, second, "gate", TODAY) == 0
        return
    with pytest.raises(AuditBrokenError, match="differs from its copy"):
        await keep_heads(log, second, "gate", TODAY)
    assert set(second.objects.values()) == {b"something else"}


async def test_a_strange_name_is_told() -> None:
    log = MemoryBackend()
    await filled(log)
    log.objects["audit/gate/2026/11/30/strange"] = b""
    with pytest.raises(AuditBrokenError):
        await keep_heads(log, MemoryBackend(), "gate", TODAY)


async def test_each_writer_is_found() -> None:
    log = MemoryBackend()
    assert await writers(log) == []
    for writer in ("gate", "gate-2", "gate.fi", "host-a", "gate2"):
        await (await started(log, Clock(), writer=writer)).append(writer, Act.START)
    assert sorted(await writers(log)) == [
        "gate",
        "gate-2",
        "gate.fi",
        "gate2",
        "host-a",
    ]


async def test_days_are_read_alone() -> None:
    log = MemoryBackend()
    await filled(log, days=5, each=2)
    trusted = [KEY.public]
    day = date(2026, 12, 1)
    pages = [page async for page in read_pages(log, "gate", trusted, day, day)]
    assert [page.first for page in pages] == [7, 8, 9]
    rows = [row async for row in read_rows(log, "gate", trusted, day)]
    assert [row.sequence for row in rows] == list(range(7, 15))
    rows = [row async for row in read_rows(log, "gate", trusted, None, day)]
    assert [row.sequence for row in rows] == list(range(1, 10))


async def test_what_was_altered_is_not_reported_from() -> None:
    log = MemoryBackend()
    await filled(log)
    with pytest.raises(AuditBrokenError, match="altered"):
        [row async for row in read_rows(log, "gate", [OTHER.public])]
    keys = sorted(log.objects)
    del log.objects[keys[4]]
    with pytest.raises(AuditBrokenError, match=f"{keys[4]}: missing"):
        [row async for row in read_rows(log, "gate", [KEY.public])]
