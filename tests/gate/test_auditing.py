from datetime import timedelta
from pathlib import Path

import pytest

from agent.archive.audit_log import AuditLog
from agent.formats.audit import Act
from agent.gate import auditing as module
from agent.gate.limits import Counted, Limit
from agent.upload.backends.memory import MemoryBackend
from tests.formats.rosters import signing_key
from tests.gate.rig import WIDE, Rig, opened


async def test_a_recordings_uses_are_told_without_names(rig: Rig) -> None:
    held, other = await rig.store(), await rig.store()
    await rig.release("quinn", held, reference="HEL-1")
    await rig.release("otso", held, purpose="training")
    await rig.release("quinn", other)
    await rig.release("meri", held)
    answer = await rig.as_("cara").get(f"/audit?id={held}")
    rows = answer.json()["rows"]
    assert [(row["act"], row["purpose"], row["result"]) for row in rows] == [
        ("release", "quality", "ok"),
        ("release", "training", "ok"),
    ]
    assert rows[0]["time"] == "2026-11-29T10:00:00.000Z"
    assert "p-" not in answer.text
    last = (await rig.rows())[-1]
    assert (last.who, last.act, last.id) == ("p-cara", "audit-read", held)


async def test_a_long_log_is_read_piece_by_piece(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = await rig.store()
    days = []
    for _ in range(4):
        for purpose in ("quality", "training"):
            await rig.release("quinn", held, purpose=purpose)
        days.append(rig.clock.moment.date().isoformat())
        rig.clock.ahead(timedelta(days=1))
    monkeypatch.setattr(module, "PATIENCE", -1.0)  # over when it begins
    seen, first = [], ""
    while first is not None:
        path = f"/audit?id={held}" + (f"&from={first}" if first else "")
        answer = (await rig.as_("cara").get(path)).json()
        seen.append(sorted({row["time"][:10] for row in answer["rows"]}))
        assert len(answer["rows"]) in {0, 2}
        first = answer["next"]
    # The last day has nothing but the asking itself.
    assert seen == [[day] for day in days] + [[]]


async def test_whoever_reads_the_log_without_end_is_stopped(tmp_path: Path) -> None:
    limits = WIDE | {Counted.AUDITS: Limit(refuse=3, alarm=2)}
    async with opened(tmp_path, limits=limits) as rig:
        held = await rig.store()
        paths = (
            f"/audit?id={held}",
            "/audit/verify",
            f"/audit?id={held}",
            "/audit/verify",
        )
        told = [(await rig.as_("dan").get(path)).status_code for path in paths]
        assert told == [200, 200, 200, 429]
        alarms = [row for row in await rig.rows() if row.act == "alarm"]
        assert [dict(row.detail)["what"] for row in alarms] == ["audits"]


@pytest.mark.parametrize("name", ["quinn", "otso", "adam"])
async def test_the_log_is_not_for_everybody(rig: Rig, name: str) -> None:
    held = await rig.store()
    for path in (f"/audit?id={held}", "/audit/verify"):
        assert (await rig.as_(name).get(path)).status_code == 403


async def test_a_log_that_was_altered_is_named(tmp_path: Path) -> None:
    locked = MemoryBackend()
    async with opened(tmp_path, locked=locked) as rig:
        held = await rig.store()
        for _ in range(3):
            await rig.release("quinn", held)
        verdict = (await rig.as_("dan").get("/audit/verify")).json()
        assert verdict == {"ok": True, "findings": []}
        key = sorted(key for key in locked.objects if key.startswith("audit/"))[1]
        data = bytearray(locked.objects[key])
        data[60] ^= 1
        locked.objects[key] = bytes(data)
        verdict = (await rig.as_("dan").get("/audit/verify")).json()
        assert not verdict["ok"]
        assert any(key in finding for finding in verdict["findings"])
        answer = await rig.as_("dan").get(f"/audit?id={held}")
        assert (answer.status_code, answer.json()["error"]) == (409, "audit-broken")


async def test_a_hosts_log_is_held_against_its_own_keys(rig: Rig) -> None:

    locked = rig.parts.archive.locked
    for host, key in (("host-b", "host-b"), ("host-a", "nobody")):
        log = AuditLog(locked, f"{host}.1", signing_key(key), rig.clock)
        await log.start()
        await log.append(host, Act.START)
        await log.close()
    findings = (await rig.as_("dan").get("/audit/verify")).json()["findings"]
    assert len(findings) == 1
    assert "host-a" in findings[0]
