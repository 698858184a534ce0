import asyncio
import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from agent.cli import reconcile
from agent.cli.reconcile import MAX_MISTAKES, ReconcileError
from agent.formats.cdr import CdrError
from agent.model.call import CallDirection, EndCause, Outcome
from agent.recording.ledger import CallIntent, Ledger, load_hash_key
from tests.cli.conftest import DiskSite

NS = 10**9
BEGUN = 1_795_420_800 * NS
"2026-11-23 10:00:00 in Helsinki."
NUMBER = "0401234567"
LINE = (
    '"","{number}","600","agent","""Ann"" <{number}>","PJSIP/a-1","","Echo","",'
    '"2026-11-23 10:00:{at:02}","2026-11-23 10:00:{at:02}","2026-11-23 10:01:{at:02}",'
    '60,58,"{status}","DOCUMENTATION","lab-1.{at}","{call_id}"\r\n'
)


def line(at: int, call_id: str = "", status: str = "ANSWERED") -> str:
    return LINE.format(at=at, call_id=call_id, status=status, number=NUMBER)


async def fill(spool: Path) -> None:
    ledger = Ledger(spool / "ledger.sqlite", hash_key=load_hash_key(spool))
    await ledger.start()
    for number, outcome in enumerate((Outcome.RECORDED, Outcome.UNRECORDED)):
        name, begun = f"call-{number}-of-the-day", BEGUN + number * 10 * NS
        await ledger.begin(
            CallIntent(
                call_id=name,
                sip_call_id=f"{number}@pbx",
                route="in",
                direction=CallDirection.INBOUND,
                begun_utc_ns=begun,
            )
        )
        await ledger.answered(name, begun + NS)
        if outcome is Outcome.RECORDED:
            await ledger.segment(name, f"recording-{number}", name, begun)
        await ledger.close_call(
            name,
            outcome,
            ended_utc_ns=begun + 60 * NS,
            cause=EndCause.RECORDING_FAILED if number else "",
        )
    await ledger.close()


@pytest.fixture
def site(disk_site: DiskSite) -> DiskSite:
    disk_site.write()
    (disk_site.root / "spool").mkdir()
    asyncio.run(fill(disk_site.root / "spool"))
    return disk_site


def write(site: DiskSite, text: str, encoding: str = "utf-8") -> Path:
    path = site.root / "Master.csv"
    path.write_bytes(text.encode(encoding))
    return path


def test_every_call_without_a_recording_is_named(
    site: DiskSite, capsys: pytest.CaptureFixture[str]
) -> None:
    text = line(0, "0@pbx") + line(10, "1@pbx") + line(30) + line(40, "", "BUSY")
    with pytest.raises(SystemExit) as ended:
        reconcile.command(config=site.config, cdr=write(site, text + "not,a,record\n"))
    assert ended.value.code == 1
    told = capsys.readouterr()
    lines = told.out.splitlines()
    assert " ".join(lines[0].split()) == (
        "row 2 2026-11-23 08:00:10Z not recorded as a whole call-1-o"
        " (unrecorded, recording-failed)"
    )
    assert " ".join(lines[1].split()) == (
        "row 3 2026-11-23 08:00:30Z not in the ledger"
    )
    assert (
        "3 answered calls in the file (1 unanswered, 1 rows are no records)" in lines[2]
    )
    assert told.err.startswith("row 5: There is no time")
    assert NUMBER not in told.out + told.err


def test_where_all_is_well_it_says_so(
    site: DiskSite, capsys: pytest.CaptureFixture[str]
) -> None:
    reconcile.command(config=site.config, cdr=write(site, line(0)))
    told = capsys.readouterr().out
    assert "1 answered calls" in told
    assert "1 recorded; 1 were matched by time" in told


def test_findings_as_json(site: DiskSite, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(site, line(0) + line(10))
    with pytest.raises(SystemExit):
        reconcile.command(config=site.config, cdr=path, json=True)
    told = [json.loads(one) for one in capsys.readouterr().out.splitlines()]
    assert [one["finding"] for one in told] == ["ambiguous", "ambiguous"] or [
        one["finding"] for one in told
    ] == ["captured", "not-captured"]
    assert all(NUMBER not in json.dumps(one) for one in told)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "latin-1"])
def test_a_generic_file_in_any_encoding(
    site: DiskSite, capsys: pytest.CaptureFixture[str], encoding: str
) -> None:
    text = "Who;Päivä;Länge;ID\nÅsa;1795420800;60;0@pbx\n"
    mapping = ["begun=Päivä", "seconds=länge", "call-id=ID"]
    if encoding == "latin-1":
        text, mapping = text.replace("ä", "a").replace("L", "l"), [
            "begun=Paiva", "seconds=lange", "call-id=ID",
        ]  # fmt: skip
    reconcile.command(
        config=site.config,
        cdr=write(site, text, encoding),
        format="generic",
        mapping=mapping,
        delimiter=";",
    )
    assert "1 recorded" in capsys.readouterr().out


def test_rows_that_are_no_records_are_counted_and_not_all_named(
    site: DiskSite, capsys: pytest.CaptureFixture[str]
) -> None:
    text = line(0) + f"{NUMBER},x\n\n" * (MAX_MISTAKES + 5)
    reconcile.command(config=site.config, cdr=write(site, text))
    told = capsys.readouterr()
    assert f"{MAX_MISTAKES + 5} rows are no records" in told.out
    assert told.err.count("row ") == MAX_MISTAKES
    assert NUMBER not in told.err


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"delimiter": ",,"}, "--delimiter"),
        ({"window": -1.0}, "--window"),
        ({"timezone": "Nowhere/Land"}, "time zone"),
        ({"timezone": "../etc"}, "time zone"),
        ({"mapping": ["begun=x"]}, "--mapping goes with"),
        ({"cdr": Path("missing.csv")}, "cannot be read"),
    ],
)
def test_what_cannot_be_asked_is_said(
    site: DiskSite, options: dict[str, object], why: str
) -> None:
    asked = {"config": site.config, "cdr": write(site, line(0))} | options
    with pytest.raises(ReconcileError, match=why):
        reconcile.command(**asked)  # type: ignore[arg-type]


def test_another_format_is_noticed(site: DiskSite) -> None:
    path = write(site, "a,b\nc,d\n")
    with pytest.raises(CdrError, match="No row"):
        reconcile.command(config=site.config, cdr=path)
    with pytest.raises(CdrError, match="no column"):
        reconcile.command(
            config=site.config, cdr=path, format="generic", mapping=["begun=x"]
        )


def test_without_the_ledgers_key_nothing_is_compared(site: DiskSite) -> None:
    (site.root / "spool" / "ledger.key").unlink()
    with pytest.raises(ReconcileError, match="key cannot be read"):
        reconcile.command(config=site.config, cdr=write(site, line(0)))
    assert not (site.root / "spool" / "ledger.key").exists()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
@given(data=st.binary(max_size=400), generic=st.booleans())
def test_any_file_is_compared_or_refused(
    site: DiskSite, data: bytes, generic: bool
) -> None:
    path = site.root / "any.csv"
    path.write_bytes(data)
    with contextlib.suppress(CdrError, SystemExit):
        reconcile.command(
            config=site.config,
            cdr=path,
            format="generic" if generic else "freeswitch",
            mapping=["begun=a", "ended=b"] if generic else None,
        )
