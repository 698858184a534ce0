"""`recording-agent demo`: one call, from the notice to the opened recording.

The daemon runs in a process of its own, as an operator would start it; two telephones
ring each other through it on 127.0.0.1, or a recording client has it record beside a
call. What it left is opened with the stock `age`.
"""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import msgspec
from cyclopts import Parameter
from rich.console import Console

from agent.cli import terminal
from agent.cli.demo_client import RecordingClient, Voice
from agent.cli.demo_report import draw_waveform, print_report
from agent.cli.demo_site import (
    CALLER_NUMBER,
    SERVICE_NUMBER,
    DemoError,
    Site,
    build,
)
from agent.cli.phone import Phone
from agent.cli.speech import speak
from agent.formats.codecs.g711 import encode_alaw, encode_ulaw
from agent.formats.manifest import parse_manifest
from agent.model.media import Address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

STEP_TIMEOUT: Final = 30.0
CALLER_WORDS: Final = "Hei! Milloin hakemukseni käsitellään?"
OFFICER_WORDS: Final = "Hyvää päivää. Se on jo käsitelty."
TALK_SECONDS: Final = 4.0


def command(
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])] = Path("demo"),
    classic: bool = False,
    siprec: bool = False,
) -> None:
    """Make a site with throw-away keys, place a call through it, open the result.

    Args:
        out: Where everything is left.
        classic: Use X25519 keys, which every version of age opens.
        siprec: Record beside a call, which a recording client sends (RFC 7866).
    """
    console = terminal.console()
    console.print("making keys, a Finnish notice and a configuration …")
    site = build(out, classic=classic)
    asyncio.run(_send_session(site, console) if siprec else _place_call(site, console))
    events = read_log(site.log)
    recording = next(e["recording_id"] for e in events if e["event"] == "stored")
    files = stored_files(site, recording)
    console.print("opening it with the stock age command …")
    audio = open_with_age(site.key("quality"), files["key"], files["wav"])
    manifest = open_with_age(site.key("quality"), files["key"], files["json"])
    if open_with_age(site.key("officer-201"), files["key"], files["wav"]) != audio:
        raise DemoError("the officer's own key opens something else.")
    try:
        open_with_age(site.key("officer-202"), files["key"], files["wav"])
    except DemoError as refusal:
        refused = str(refusal)
    else:
        raise DemoError("a second officer's key opened the recording.")
    (out / "call.wav").write_bytes(audio)
    (out / "manifest.json").write_bytes(manifest)
    draw_waveform(audio, parse_manifest(manifest), out / "waveform.png")
    print_report(
        console,
        site=site,
        events=events,
        manifest=parse_manifest(manifest),
        files=files,
        refused=refused,
    )


async def _place_call(site: Site, console: Console) -> None:
    caller = _phone(site.caller, site.caller_rtp, CALLER_NUMBER, CALLER_WORDS, "fi+m3")
    officer = _phone(site.officer, site.officer_rtp, "201", OFFICER_WORDS, "fi+f4")
    officer.answer_after = 0.8
    async with _daemon(site):
        await caller.start()
        await officer.start()
        try:
            console.print("a caller rings; the notice plays; an officer is rung …")
            await caller.call(f"sip:{SERVICE_NUMBER}@127.0.0.1:{site.sip}")
            async with asyncio.timeout(STEP_TIMEOUT):
                await caller.connected.wait()
                await officer.connected.wait()
                console.print("they talk; the call is recorded …")
                await _talk(caller, officer)
                caller.hang_up()
                await officer.ended.wait()
                console.print("the caller hangs up; sealing and storing …")
                await _wait_for(site.log, "stored")
        finally:
            await caller.close()
            await officer.close()


async def _send_session(site: Site, console: Console) -> None:
    caller = _voice(
        site.caller_rtp, f"sip:{CALLER_NUMBER}@trunk.example", "", CALLER_WORDS, "fi+m3"
    )
    officer = _voice(
        site.officer_rtp, "sip:201@pbx.example", "Officer One", OFFICER_WORDS, "fi+f4"
    )
    client = RecordingClient(Address("127.0.0.1", site.sbc), [caller, officer])
    async with _daemon(site):
        await client.start()
        try:
            console.print("an SBC asks for a recording session beside its call …")
            await client.record(f"sip:recorder@127.0.0.1:{site.sip}")
            async with asyncio.timeout(STEP_TIMEOUT):
                await client.answered.wait()
                console.print("the parties talk; the SBC sends us what each says …")
                await _talk(caller, officer)
                client.hang_up()
                console.print("the call is over; sealing and storing …")
                await _wait_for(site.log, "stored")
        finally:
            await client.close()


async def _talk(first: Phone | Voice, second: Phone | Voice) -> None:
    """Let one speak after the other."""
    await asyncio.sleep(0.2)
    for one in (first, second):
        one.speak()
        await asyncio.sleep(TALK_SECONDS / 2)


def _voice(rtp: int, address: str, name: str, words: str, voice: str) -> Voice:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setblocking(False)  # noqa: FBT003 - the socket module's signature
    sock.bind(("127.0.0.1", rtp))
    speech = encode_alaw(speak(words, voice=voice))
    return Voice(address=address, name=name, speech=speech, rtp=sock)


def _phone(sip: int, rtp: int, user: str, words: str, voice: str) -> Phone:
    samples = speak(words, voice=voice)
    return Phone(
        Address("127.0.0.1", sip),
        rtp,
        user,
        speech={"PCMA": encode_alaw(samples), "PCMU": encode_ulaw(samples)},
    )


@asynccontextmanager
async def _daemon(site: Site) -> "AsyncIterator[None]":
    """Run the daemon beside us until the block is left."""
    with site.log.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "agent",
            "run",
            "--config",
            str(site.config),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        await _wait_for(site.log, "ready", process)
        yield
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.wait()


async def _wait_for(
    log: Path, event: str, process: asyncio.subprocess.Process | None = None
) -> None:
    """Wait until the log tells of `event`; it is what an operator would watch."""
    async with asyncio.timeout(STEP_TIMEOUT):
        while not any(entry.get("event") == event for entry in read_log(log)):
            if process is not None and process.returncode is not None:
                raise DemoError(f"the daemon ended; {log} says why.")
            await asyncio.sleep(0.05)


def read_log(path: Path) -> list[dict[str, str]]:
    """The whole JSON lines of a log; what is no JSON is passed over."""
    lines = path.read_bytes().split(b"\n")[:-1]
    return [msgspec.json.decode(line) for line in lines if line.startswith(b"{")]


def stored_files(site: Site, recording: str) -> dict[str, Path]:
    """The three objects of one recording in the demo's directory storage."""
    storage = site.root / "storage"
    found = {
        name: next(storage.rglob(f"{recording}.{name}.age"), None)
        for name in ("wav", "json", "key")
    }
    files = {name: path for name, path in found.items() if path is not None}
    if len(files) != len(found):
        raise DemoError("storage does not hold all of the recording.")
    return files


def open_with_age(identity: Path, envelope: Path, sealed: Path) -> bytes:
    """`age -d -i IDENTITY ENVELOPE | age -d -i - SEALED`: no key touches the disk.

    Raises DemoError with age's own words if it refuses.
    """
    age = shutil.which("age")
    if age is None:
        raise DemoError("the command age is not installed.")
    key = subprocess.run(  # noqa: S603 - a fixed program, no shell
        [age, "-d", "-i", str(identity), str(envelope)],
        capture_output=True,
        check=False,
        timeout=30,
        env=os.environ,
    )
    if key.returncode != 0:
        raise DemoError(key.stderr.decode(errors="replace").splitlines()[0])
    opened = subprocess.run(  # noqa: S603 - a fixed program, no shell
        [age, "-d", "-i", "-", str(sealed)],
        input=key.stdout,
        capture_output=True,
        check=False,
        timeout=30,
    )
    if opened.returncode != 0:
        raise DemoError(opened.stderr.decode(errors="replace").splitlines()[0])
    return opened.stdout
