import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from agent.model.call import Outcome
from agent.model.recording import RecordingState, Verdict
from agent.recording.ledger import CallIntent, Ledger, LedgerError
from tests.cli.conftest import DiskSite

BEGUN = 1_795_437_296_000_000_000


async def fill(path: Path) -> None:
    ledger = Ledger(path, hash_key=b"k" * 32)
    await ledger.start()
    for number in range(3):
        await ledger.begin(
            CallIntent(
                call_id=f"call-{number}",
                sip_call_id="x",
                route="in",
                direction="inbound",
                begun_utc_ns=BEGUN + number * 10**9,
            )
        )
    await ledger.segment("call-1", "0123456789abcdef", "group", BEGUN)
    await ledger.segment("call-2", "fedcba9876543210", "group", BEGUN)
    await ledger.advance(
        "fedcba9876543210", RecordingState.STORED, verdict=Verdict.DEGRADED
    )
    await ledger.close_call(
        "call-1",
        Outcome.RECORDED,
        cause="caller-hangup",
        sip_status=None,
        ended_utc_ns=BEGUN + 1,
    )
    await ledger.close()


@pytest.fixture
def ledger(disk_site: DiskSite) -> DiskSite:
    disk_site.write()
    (disk_site.root / "spool").mkdir()
    asyncio.run(fill(disk_site.root / "spool" / "ledger.sqlite"))
    return disk_site


def test_the_table_shows_outcomes_newest_first(
    ledger: DiskSite,
    run: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert run("calls", "-c", ledger.config) == 0
    shown = capsys.readouterr().out
    assert shown.index("call-2") < shown.index("call-1") < shown.index("call-0")
    assert "recorded" in shown
    assert "01234567 open" in shown
    assert "fedcba98 stored degraded" in " ".join(shown.split())
    assert "11-23 12:34:56" in shown


def test_json_lines_for_programs(
    ledger: DiskSite, run: Callable[..., int], capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert run("calls", "-c", ledger.config, "--json", "--limit", 2) == 0
    lines = capfdbinary.readouterr().out.splitlines()
    rows = [msgspec.json.decode(line) for line in lines]
    assert [row["call_id"] for row in rows] == ["call-2", "call-1"]
    assert rows[0]["outcome"] is None


def test_no_ledger_is_said(disk_site: DiskSite, run: Callable[..., int]) -> None:
    disk_site.write()
    with pytest.raises(LedgerError):
        run("calls", "-c", disk_site.config)


def test_only_what_is_asked_for(
    ledger: DiskSite,
    run: Callable[..., int],
    capfdbinary: pytest.CaptureFixture[bytes],
) -> None:
    def ids(*words: object) -> list[str]:
        assert run("calls", "-c", ledger.config, "--json", *words) == 0
        lines = capfdbinary.readouterr().out.splitlines()
        return [msgspec.json.decode(line)["call_id"] for line in lines]

    assert ids("--outcome", "recorded") == ["call-1"]
    assert ids("--open") == ["call-2", "call-0"]
    assert ids("--call", "call-0") == ["call-0"]
    assert ids("--since", "2026-11-23T12:34:57") == ["call-2", "call-1"]
    assert ids("--since", "1s") == []


def test_calls_that_end_are_followed(
    ledger: DiskSite,
    run: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    turns = iter((lambda: None, lambda: asyncio.run(end("call-0")), None))

    async def end(call_id: str) -> None:
        path = ledger.root / "spool" / "ledger.sqlite"
        book = Ledger(path, hash_key=b"k" * 32)
        await book.start()
        ended = 2 * BEGUN
        await book.close_call(call_id, Outcome.ABANDONED, ended_utc_ns=ended, cause="")
        await book.close()

    def next_turn(_: float) -> None:
        turn = next(turns)
        if turn is None:
            raise KeyboardInterrupt
        turn()

    monkeypatch.setattr("agent.cli.calls.time.sleep", next_turn)
    assert run("calls", "-c", ledger.config, "--follow") == 0
    first, *rows = capsys.readouterr().out.splitlines()
    assert first.startswith("begun (UTC)")
    assert [row.split()[2] for row in rows] == ["call-0", "call-1", "call-2", "call-0"]
    assert "abandoned" in rows[-1]
