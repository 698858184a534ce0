from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from agent.access.auditing import report, rows_of_all, uses, verify_logs
from agent.access.desk import Desk, DeskError
from agent.archive.audit_log import AuditBrokenError
from agent.archive.audit_reports import touched
from agent.formats.audit import Act
from tests.access.site import Site
from tests.archive.logs import Clock, started
from tests.formats.rosters import roster, signing_key

ID = "0b4a5d3e-2f7c-4c69-9a51-6c1f2f0b7d11"
OTHER = ID.replace("0b4a", "0b4b")


async def desk_with_logs(tmp_path: Path) -> tuple[Site, Desk]:
    """A gate's log and a host's, each signed by whom the roster names."""
    site = Site(tmp_path)
    clock = Clock()
    for writer in ("gate", "host-a.3f2a91bc"):
        key = signing_key(writer.partition(".")[0])
        log = await started(site.target.locked, clock, key=key, writer=writer)
        if writer == "gate":
            await log.append("p-quinn", Act.FIND, purpose="quality")
            await log.append("p-quinn", Act.RELEASE, purpose="quality", recording_id=ID)
            await log.append(
                "p-dan", Act.RELEASE, purpose="complaint", recording_id=OTHER
            )
            clock.now += 10**9
            await log.append("p-dan", Act.RESTRICT, recording_id=ID)
        else:
            await log.append("host-a", Act.START)
        await log.close()
    return site, replace(site.desk(), roster=roster())


async def test_when_and_why_without_names(tmp_path: Path) -> None:
    _, desk = await desk_with_logs(tmp_path)
    told = await uses(desk, [ID, OTHER])
    assert [(one.act, one.purpose) for one in told[ID]] == [
        ("release", "quality"),
        ("restrict", ""),
    ]
    assert [one.purpose for one in told[OTHER]] == ["complaint"]
    for name in ("p-quinn", "p-dan"):
        assert name not in repr(told)


async def test_what_one_person_had_to_do_with(tmp_path: Path) -> None:
    _, desk = await desk_with_logs(tmp_path)
    found = await report(
        desk, lambda rows: touched(rows, "p-dan"), lambda row: row.who == "p-dan"
    )
    assert set(found.recordings) == {ID, OTHER}
    rows = [row async for row in rows_of_all(desk, date(2026, 12, 1))]
    assert rows == []


async def test_every_log_is_verified_with_its_writers_keys(tmp_path: Path) -> None:
    site, desk = await desk_with_logs(tmp_path)
    reports = await verify_logs(desk)
    assert [(one.writer, one.rows, one.whole) for one in reports] == [
        ("gate", 4, True),
        ("host-a.3f2a91bc", 1, True),
    ]
    path = min((site.root / "locked" / "audit" / "gate").rglob("*.json"))
    path.chmod(0o600)
    path.write_bytes(path.read_bytes().replace(b"quality", b"trainin"))
    altered, whole = await verify_logs(desk)
    assert (altered.whole, whole.whole) == (False, True)
    with pytest.raises(AuditBrokenError):
        await uses(desk, [ID])


async def test_a_log_in_anothers_name_is_not_believed(tmp_path: Path) -> None:
    site, desk = await desk_with_logs(tmp_path)
    log = await started(
        site.target.locked, Clock(), key=signing_key("host-a"), writer="host-b.3f2a91bc"
    )
    await log.append("host-b", Act.START)
    await log.close()
    assert [one.whole for one in await verify_logs(desk)] == [True, True, False]


async def test_without_a_roster_no_signature_is_known(tmp_path: Path) -> None:
    _, desk = await desk_with_logs(tmp_path)
    with pytest.raises(DeskError, match="roster"):
        await verify_logs(replace(desk, roster=None))
