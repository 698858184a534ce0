"""What an operator tries on a host where the agent was installed: see that it works.

A call that sipp makes and sipp answers, its recording, what `doctor` finds, what the
journal is asked for, and how exposed the units are.
"""

import asyncio
import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import msgspec

from agent.cli.doctor.finding import Finding, Verdict
from agent.common.catalogue import CATALOGUE
from agent.recording.ledger import LedgerRow
from tests.lab.booted import Booted
from tests.lab.daemon import CALLER, Recording
from tests.lab.packaged import ETC, MAIN, OPT, Site
from tests.lab.parties import channels, closed_row, tone_seconds
from tests.lab.scenes import CUSTOMER_HZ, OFFICER_HZ, check_sides
from tests.lab.sipp import Sipp
from tests.lab.stock_age import opened_by_age
from tests.patience import PATIENCE

STAYS = 2.5
"Seconds from the agent's answer to the caller's BYE: notice, ringing, conversation."
TOLERANCE = 0.4
"Seconds that a busy machine may take to hear of an answer, or of a BYE."
_STAMP = re.compile(r"(?m)^-{40,} (\S+)\nUDP message (sent|received) .*\n\n(.*)$")
"Before each message in what sipp traces, with the message's first line."


@dataclass(frozen=True, slots=True)
class SippCall:
    """A call of sipp's to sipp, both of which spoke."""

    row: LedgerRow
    "Once its recording is stored."
    seconds: float
    "From the officer's answer to the BYE that he received."


async def sipp_calls(site: Site, folder: Path) -> SippCall:
    """Have it made; both scenarios succeed, and the recording is stored."""
    daemon = site.daemon
    with (
        Sipp(
            folder,
            "officer-speaks",
            port=daemon.officers[0],
            hertz=OFFICER_HZ,
            newer=True,
        ) as officer,
        Sipp(
            folder,
            "caller-speaks",
            port=daemon.caller,
            remote=daemon.sip,
            pause=STAYS,
            hertz=CUSTOMER_HZ,
            newer=True,
        ) as caller,
    ):
        await caller.succeeds()
        await officer.succeeds()
    row = await closed_row(daemon)
    [made] = row.recordings
    async with asyncio.timeout(PATIENCE):
        while not lines(site, "EVENT=stored", f"RECORDING_ID={made.recording_id}"):
            await asyncio.sleep(0.1)
    return SippCall(row, _conversation(officer.messages))


def _conversation(trace: str) -> float:
    """How long it was by what the officer's sipp has traced."""
    at = {
        (way, line.removesuffix("\r")): datetime.fromisoformat(stamp)
        for stamp, way, line in reversed(_STAMP.findall(trace))
    }
    [bye] = [at[key] for key in at if key[0] == "received" and key[1][:4] == "BYE "]
    return (bye - at["sent", "SIP/2.0 200 OK"]).total_seconds()


def check_stored(site: Site, call: SippCall) -> Recording:
    """The call's recording as stock age opens it: as long as the call, both sides."""
    assert (call.row.outcome, call.row.cause) == ("recorded", "caller-hangup")
    [made] = call.row.recordings
    recording = opened_by_age(site.daemon, made.recording_id)
    manifest = recording.manifest
    assert (manifest.id, manifest.outcome) == (made.recording_id, "recorded")
    check_sides(recording)
    for side, hertz in zip(
        channels(recording.wav), (CUSTOMER_HZ, OFFICER_HZ), strict=True
    ):
        assert abs(len(side) / 8 - manifest.audio.duration_ms) <= 1
        assert abs(len(side) / 8000 - call.seconds) < TOLERANCE
        assert tone_seconds(side, hertz) > call.seconds - 2 * TOLERANCE
    return recording


def check_journal(site: Site, call: SippCall) -> dict[str, list[str]]:
    """The queries that the README names, for that call, and the events they find."""
    row = call.row
    [made] = row.recordings
    of_call = lines(site, f"CALL_ID={row.call_id}")
    assert {line["SYSLOG_IDENTIFIER"] for line in of_call} == {"recording-agent"}
    assert {line["_SYSTEMD_UNIT"] for line in of_call} == {MAIN}
    told = [line["EVENT"] for line in of_call]
    expected = ["call_begun", "officer_answered", "recording_begun", "ended", "stored"]
    assert [event for event in told if event in expected] == expected
    of_recording = lines(site, f"RECORDING_ID={made.recording_id}")
    assert {line["CALL_ID"] for line in of_recording} == {row.call_id}
    [ended] = lines(site, "OUTCOME=recorded", f"CALL_ID={row.call_id}", "EVENT=ended")
    assert ended["MESSAGE"].startswith("Ended. (call_id=")
    # Nobody's number is there.
    whole = site.system.run("journalctl", "-o", "export").stdout
    assert CALLER.removeprefix("0") not in whole
    return {
        "CALL_ID=": told,
        "RECORDING_ID=": [line["EVENT"] for line in of_recording],
        "OUTCOME=recorded CALL_ID= EVENT=ended": [ended["MESSAGE"].split(" (")[0]],
    }


def lines(site: Site, *matches: str) -> list[dict[str, str]]:
    """What `journalctl FIELD=… -o json` prints."""
    command = ("journalctl", "-q", "--no-pager", "-o", "json", *matches)
    told = site.system.run(*command).stdout
    return [msgspec.json.decode(line) for line in told.splitlines()]


def check_explained(site: Site) -> None:
    """A reload of a configuration with a mistake: `journalctl -x` says what to do."""
    configuration = site.inside(f"{ETC}/agent.toml")
    text = configuration.read_text()
    configuration.write_text(text.replace('from = "trunk"', 'from = "nobody"', 1))
    try:
        site.system.run("systemctl", "reload", MAIN)
    finally:
        configuration.write_text(text)
    site.system.run("systemctl", "reload", MAIN)
    entry = CATALOGUE["configuration_not_reloaded"]
    query = f"MESSAGE_ID={entry.message_id}"
    [told] = lines(site, query)
    assert (told["EVENT"], told["_SYSTEMD_UNIT"]) == (entry.event, MAIN)
    explained = site.system.run("journalctl", "-q", "--no-pager", "-x", query).stdout
    # Its lines are broken where they are long.
    words = explained.split()
    for said in (entry.summary, entry.explanation, entry.remedy):
        assert set(said.split()) <= set(words), explained
    [again, *_] = lines(site, "-r", "EVENT=configuration_reloaded")
    assert int(again["__REALTIME_TIMESTAMP"]) > int(told["__REALTIME_TIMESTAMP"])


ALWAYS = {
    "configuration": ("roster.path", "gate.day_keys", "index.keys", "region.here"),
    "notices": ("fi.wav: 0.4 s long",),
}
"What this site goes without, which `doctor` warns of."
WITH_THE_MACHINE = {
    "ports": "media.ports overlap the kernel's own",
    "clock": "nothing keeps this host's clock right",
}
"What it warns of where the machine that runs the tests has it so."


def check_diagnosis(site: Site) -> list[Finding]:
    """The installed `doctor` finds nothing wrong, and warns of what is known."""
    command = (f"{OPT}/bin/recording-agent", "doctor", "--json")
    ran = site.system.run(*command, "-c", f"{ETC}/agent.toml", check=False)
    assert not ran.stderr
    told = ran.stdout.splitlines()
    found = [msgspec.json.decode(line, type=Finding) for line in told]
    wrong = [one for one in found if one.verdict is Verdict.WRONG]
    assert (ran.returncode, wrong) == (0, [])
    warnings = [one for one in found if one.verdict is Verdict.WARNING]
    for check, texts in ALWAYS.items():
        for text in texts:
            [known] = [
                one
                for one in warnings
                if one.check == check and one.text.startswith(text)
            ]
            warnings.remove(known)
    strange = [
        one
        for one in warnings
        if not one.text.startswith(WITH_THE_MACHINE.get(one.check, "\n"))
    ]
    assert strange == []
    assert {one.check for one in found} >= {"daemon", "unit", "storage", "limits"}
    return found


EXPOSURE = 1.5
"By `systemd-analyze security`, at most."


def check_exposure(system: Booted, *units: str) -> dict[str, float]:
    """The scores of units as they are loaded."""
    scores = {}
    for unit in units:
        command = ("systemd-analyze", "security", "--no-pager", unit)
        told = system.run(*command).stdout
        found = re.search(r"Overall exposure level for .*: ([0-9.]+)", told)
        assert found is not None, told
        scores[unit] = float(found[1])
    assert max(scores.values()) <= EXPOSURE, scores
    return scores
