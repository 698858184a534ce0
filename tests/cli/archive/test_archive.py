"""Each verb from the command line, with its exit code and what it prints."""

import io
import sys
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace

from agent.access.config import ArchiveConfig, GateClientConfig, load
from agent.access.desk import RestrictedError
from agent.access.playing import PlayError
from agent.access.reason import ReasonError
from agent.access.requests import Request, RequestedAct, RequestError
from agent.cli.archive import common
from agent.cli.archive.common import AskError
from agent.cli.archive.init import TEMPLATE
from agent.common.clock import utc_now
from agent.common.errors import AgentError
from agent.common.ids import new_id
from agent.common.moments import moment_text
from agent.formats.blind_index import IndexKeys, month_key
from agent.formats.container import read_wav
from agent.formats.signed import sign_document
from agent.formats.sshsig import Namespace
from tests.access.site import ROOT_KEY
from tests.cli.archive.conftest import Desktop
from tests.formats.rosters import signing_key
from tests.recording.segments import CALLER, OFFICER, SESSION, begin, stereo

TODAY = date(2026, 11, 29)
QUALITY = ("--purpose", "quality")
CASE = ("--purpose", "subject-request", "--reference", "A/1")


@pytest.fixture(autouse=True)
def today(monkeypatch: pytest.MonkeyPatch) -> None:
    """A day on which the recordings are a week old."""
    noon = int(datetime(2026, 11, 29, 12, tzinfo=UTC).timestamp()) * 10**9
    monkeypatch.setattr(common, "utc_ns", lambda: noon)


class Pipe(io.StringIO):
    """Standard output with its bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.octets = self.buffer = io.BytesIO()


def test_a_number_is_typed_and_shown_nowhere(
    desktop: Desktop,
    typed: Callable[[str], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    segment = desktop.site.record()
    typed("040 123 4567\n")
    assert desktop("find", *QUALITY) == 0
    shown = capsys.readouterr()
    assert shown.out == f"2026-11-23  {segment.id}\n"
    assert "no gate is configured" in shown.err
    assert "401234567" not in shown.out + shown.err
    typed(CALLER)
    assert desktop("find", *QUALITY, "--json") == 0
    assert msgspec.json.decode(capsys.readouterr().out)["id"] == segment.id


def test_find_by_officer_day_and_id(
    desktop: Desktop,
    typed: Callable[[str], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    segment = desktop.site.record()
    line = f"2026-11-23  {segment.id}\n"
    typed("+358295000201\n")
    assert desktop("find", "--officer", *QUALITY) == 0
    assert desktop("find", "--date", "2026-11-23", *QUALITY) == 0
    assert desktop("find", "--id", segment.id, *QUALITY) == 0
    assert capsys.readouterr().out == 3 * line
    typed(CALLER)
    window = ("--from", "2026-11-24", "--to", "2026-11-29")
    assert desktop("find", *window, *QUALITY) == 0
    assert "nothing was found" in capsys.readouterr().err
    typed("")
    with pytest.raises(AskError):
        desktop("find", *QUALITY)


def test_every_access_needs_its_purpose(
    desktop: Desktop, capsys: pytest.CaptureFixture[str]
) -> None:
    segment = desktop.site.record()
    for verb in ("show", "play", "annotate"):
        assert desktop(verb, segment.id) == 2
        assert desktop(verb, segment.id, "--purpose", "curiosity") == 2
    assert "quality" in capsys.readouterr().err
    with pytest.raises(ReasonError, match="reference"):
        desktop("show", segment.id, "--purpose", "legal-claim")


def test_show(
    desktop: Desktop,
    typed: Callable[[str], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    segment = desktop.site.record()
    typed("It was\x1b[2J not me.\nSecond line.")
    assert desktop("annotate", segment.id, *CASE) == 0
    review = ("--kind", "legal-claim", "--review", "2027-02-01")
    assert desktop("hold", segment.id, *review, "--reference", "A/1") == 0
    assert desktop("show", segment.id, *QUALITY) == 0
    shown = capsys.readouterr().out
    for text in (
        CALLER,
        OFFICER,
        "quality: good",
        "held: legal-claim",
        "  Second line.",
    ):
        assert text in shown
    assert "\x1b" not in shown
    assert desktop("show", segment.id, *QUALITY, "--json") == 0
    told = msgspec.json.decode(capsys.readouterr().out)
    assert told["manifest"]["id"] == segment.id
    assert told["annotations"][0]["text"].endswith("Second line.")


def test_show_what_a_recording_client_told(
    desktop: Desktop, capsys: pytest.CaptureFixture[str]
) -> None:
    ids = []
    for host in ("host-a", "host-b"):
        made = desktop.site.record(
            beginning=lambda name, host=host: replace(
                begin(name),
                host=host,
                group="11111111-1111-4111-8111-111111111111",
                session=replace(SESSION, mixed=True),
            )
        )
        ids.append(made.id)
    assert desktop("show", ids[0], *QUALITY, "--others") == 0
    shown = capsys.readouterr().out
    for text in (
        "host-a, sent by sbc",
        "directory, mixed stream",
        f"participant    {CALLER} Asiakas",
        "given, by statement: played by the SBC",
        "tolerated      no-require",
        f"also recorded by host-b: {ids[1]}",
    ):
        assert text in shown, shown
    assert desktop("show", ids[0], *QUALITY, "--others", "--json") == 0
    told = msgspec.json.decode(capsys.readouterr().out)
    assert told["others"] == [{"host": "host-b", "id": ids[1]}]


def test_play_through_a_pipe(
    desktop: Desktop, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    segment = desktop.site.record()
    pipe = Pipe()
    monkeypatch.setattr(sys, "stdout", pipe)
    assert desktop("play", segment.id, *QUALITY, "--to", "-") == 0
    assert read_wav(pipe.octets.getvalue()).samples == stereo(range(50), 50)
    heard = tmp_path / "heard"
    player = tmp_path / "player"
    player.write_text(f"#!/bin/sh\nexec cat > {heard}\n")
    player.chmod(0o755)
    with desktop.config.open("a") as file:
        file.write(f'[player]\ncommand = ["{player}"]\n')
    assert desktop("play", segment.id, *QUALITY) == 0
    assert read_wav(heard.read_bytes()).samples == stereo(range(50), 50)
    with pytest.raises(PlayError, match="takes - alone"):
        desktop("play", segment.id, *QUALITY, "--to", "call.wav")


def test_export_and_what_a_disclosure_needs(desktop: Desktop, tmp_path: Path) -> None:
    segment = desktop.site.record()
    out = tmp_path / "copy"
    disclosure = ("--purpose", "disclosure", "--reference", "A/1", "-o", out)
    with pytest.raises(ReasonError, match="recipient"):
        desktop("export", segment.id, *disclosure)
    with pytest.raises(ReasonError, match="basis"):
        desktop("export", segment.id, *disclosure, "--recipient", "police")
    assert not out.exists()
    whom = ("--recipient", "police", "--basis", "621/1999:29")
    assert desktop("export", segment.id, *disclosure, *whom) == 0
    sheet = msgspec.json.decode((out / f"{segment.id}.sheet.json").read_bytes())
    assert (sheet["recipient"], sheet["by"]) == ("police", "p-quinn")
    mask = f"{segment.id}:0-1"
    again = tmp_path / "again.zip"
    assert desktop("export", segment.id, *CASE, "-o", again, "--mask", mask) == 0
    with pytest.raises(AgentError, match="exists"):
        desktop("export", segment.id, *CASE, "-o", again)


def test_a_restriction(desktop: Desktop, capsys: pytest.CaptureFixture[str]) -> None:
    segment = desktop.site.record()
    assert desktop("restrict", segment.id, "--reason", "unlawful") == 0
    with pytest.raises(RestrictedError):
        desktop("show", segment.id, *QUALITY)
    assert desktop("unrestrict", segment.id) == 0
    assert desktop("show", segment.id, *QUALITY) == 0
    assert "is not restricted" in capsys.readouterr().out


def test_a_hold(desktop: Desktop, capsys: pytest.CaptureFixture[str]) -> None:
    segment = desktop.site.record()
    words = ("--kind", "access-request", "--review", "2027-01-01")
    assert desktop("hold", segment.id, *words) == 0
    name = capsys.readouterr().out.strip()
    assert desktop("release", segment.id, name) == 0
    with pytest.raises(AgentError, match="no such hold"):
        desktop("release", segment.id, name)


def test_a_subjects_request(
    desktop: Desktop,
    typed: Callable[[str], None],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    one, two = desktop.site.record(), desktop.site.record()
    retention = tmp_path / "gate.toml"
    retention.write_text('[retention]\nperiod = "P6M"\n')
    typed(CALLER)
    words = ("--reference", "A/1", "--retention", retention)
    assert desktop("subject", *words, "-o", tmp_path / "answer") == 0
    copies = {path.stem for path in (tmp_path / "answer").rglob("*.wav")}
    assert copies == {one.id, two.id}
    assert "P6M" in (tmp_path / "answer" / "facts.md").read_text()
    assert desktop("restrict", two.id) == 0
    typed(CALLER)
    assert desktop("subject", *words, "-o", tmp_path / "second.zip") == 1
    shown = capsys.readouterr()
    assert f"{two.id}: restricted" in shown.err
    assert CALLER[1:] not in shown.out + shown.err


def test_facts(desktop: Desktop, capsys: pytest.CaptureFixture[str]) -> None:
    assert desktop("facts") == 0
    shown = capsys.readouterr().out
    assert "- name: The agency" in shown
    assert "| quality | 1 |" in shown
    assert desktop("facts", "--json") == 0
    told = msgspec.json.decode(capsys.readouterr().out)
    assert told["retention"] == {"period": "not configured"}


def test_the_drill(
    desktop: Desktop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    segment = desktop.site.record()
    assert desktop("drill", segment.id) == 1
    shown = capsys.readouterr().out
    assert "p-quinn: not-there" in shown
    assert "recovery-1: not-there" in shown
    assert "unknown: not-in-roster" in shown


def test_the_audit_log(desktop: Desktop, capsys: pytest.CaptureFixture[str]) -> None:
    assert desktop("audit") == 0
    assert "no audit log" in capsys.readouterr().err
    assert desktop("audit", new_id()) == 0
    assert desktop("audit", "--person", "p-dan") == 0
    assert msgspec.json.decode(capsys.readouterr().out)["who"] == "p-dan"
    assert desktop("audit", "--disclosed") == 0


def test_the_stores_own_log_is_held_against_the_gates(
    desktop: Desktop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = ("--form", "rgw", "--bucket", "state", "--gate-user", "gate")
    log = tmp_path / "access.log"
    log.write_bytes(b"")
    assert desktop("reconcile", log, *known) == 0
    assert "0 reads of envelopes" in capsys.readouterr().out
    recording = new_id()
    entry = {
        "bucket": "state", "object": f"keys/2026/11/23/{recording}.key.age",
        "time": "2026-11-29T12:00:00.000000Z", "user": "[red]thief",
        "operation": "get_obj", "http_status": "200",
    }  # fmt: skip
    log.write_bytes(msgspec.json.encode(entry) + b"\nnonsense\n")
    assert desktop("reconcile", log, *known) == 1
    shown = capsys.readouterr().out
    assert f"not-the-gate {recording} by [red]thief" in shown
    assert "1 lines cannot be read" in shown


def request(*ids: str, act: RequestedAct = RequestedAct.REWRAP) -> bytes:
    now = utc_now()
    made = Request(
        id=new_id(),
        act=act,
        recordings=tuple(sorted(ids)),
        reason="rotation",
        issued=moment_text(now - timedelta(minutes=1)),
        expires=moment_text(now + timedelta(days=1)),
    )
    keys = [signing_key("quinn"), signing_key("dan")]
    return sign_document(made.to_bytes(), keys, Namespace.REQUEST)


def test_rewrap(
    desktop: Desktop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    segment = desktop.site.record()
    path = tmp_path / "request"
    path.write_bytes(request(segment.id, new_id()))
    assert desktop("rewrap", path) == 1
    shown = capsys.readouterr()
    assert "1 envelopes were made anew" in shown.out
    assert "no such recording" in shown.err
    assert (tmp_path / "request.done").read_text().count(segment.id) == 1
    signed_once = path.read_bytes().rpartition(b"-----BEGIN")[0]
    path.write_bytes(signed_once)
    with pytest.raises(RequestError, match="not approved"):
        desktop("rewrap", path)


def test_only_a_gate_erases_before_the_time(desktop: Desktop, tmp_path: Path) -> None:
    segment = desktop.site.record()
    path = tmp_path / "request"
    path.write_bytes(request(segment.id, act=RequestedAct.ERASE))
    with pytest.raises(AgentError, match="only a gate"):
        desktop("erase", path)
    with pytest.raises(RequestError, match="cannot be read"):
        desktop("erase", tmp_path / "none")


def test_a_configuration_to_fill_in(
    run: Callable[..., int],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert run("archive", "init") == 0
    path = Path(capsys.readouterr().out.strip())
    assert path == tmp_path / ".config/recording-agent/archive.toml"
    assert load(path).person.id == ""
    with pytest.raises(AgentError, match="exists"):
        run("archive", "init")
    assert run("archive", "init", "--show") == 0
    assert capsys.readouterr().out == path.read_text()
    assert run("archive", "init", tmp_path / "mine.toml") == 0


def test_the_template_names_every_key() -> None:
    for field in msgspec.structs.fields(ArchiveConfig):
        assert f"[{field.encode_name}]" in TEMPLATE
    for field in msgspec.structs.fields(GateClientConfig):
        assert f"# {field.encode_name} = " in TEMPLATE


def test_index_keys_for_a_host_without_a_gate(
    desktop: Desktop, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    assert desktop("index-keys") == 0
    held = IndexKeys.parse(capsysbinary.readouterr().out)
    assert held.months == {
        month: month_key(ROOT_KEY, month) for month in ("2026-11", "2026-12")
    }
    new = tmp_path / "root"
    assert desktop("index-keys", "--new", new) == 0
    assert new.stat().st_mode & 0o777 == 0o600
    assert len(bytes.fromhex(new.read_text().strip())) == 32
    with pytest.raises(AgentError, match="exists"):
        desktop("index-keys", "--new", new)
    text = desktop.config.read_text().replace('keys = "index"', 'keys = ""')
    desktop.config.write_text(text)
    with pytest.raises(AgentError, match="names no root"):
        desktop("index-keys")
