"""A main process that dies, or is upgraded, under a booted systemd: calls stay."""

import asyncio
import itertools
import time
from collections.abc import Iterator

import pytest

from agent.common.catalogue import CATALOGUE
from agent.formats.manifest import Gap
from tests.integration.conftest import tone
from tests.lab.booted import booted
from tests.lab.daemon import CALLER, Daemon, Recording
from tests.lab.opened import open_recording
from tests.lab.parties import channels, closed_row, parties, tone_seconds, until
from tests.lab.service import FEW, WORKERS, Service
from tests.lab.siprec.documents import document
from tests.lab.siprec.flows import change_officers
from tests.lab.siprec.played import Channels
from tests.lab.siprec.scene import Scene, Take
from tests.lab.siprec.site import client_of, with_sources
from tests.lab.siprec.src import Client, clients
from tests.lab.siprec.streams import Stream
from tests.patience import PATIENCE

pytestmark = pytest.mark.integration

NOTICE = tone(600, 0.4)
SIGNAL_JOURNALD = ("systemctl", "kill", "systemd-journald.service", "-s")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, debian: str) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("booted")
    daemon = with_sources(Daemon(folder / "site", notice=NOTICE, sip_section=FEW))
    with booted(folder / "system", daemon.root, suite=debian) as system:
        service = Service(system, daemon)
        try:
            service.start()
            yield service
        except BaseException as error:
            error.add_note(system.journal("recording-agent.service"))
            error.add_note(daemon.log_path.read_text()[-4000:])
            raise


async def test_it_is_ready_and_its_memory_is_kept(service: Service) -> None:
    # State, journal keys, one UDP socket.
    assert service.descriptors == 3
    await asyncio.to_thread(service.restart)
    assert service.descriptors == 3
    await asyncio.to_thread(service.kill)
    assert service.descriptors == 3


@pytest.mark.parametrize("how", ["kill", "restart"])
async def test_a_call_outlives_main_and_no_packet_is_lost(
    service: Service, how: str
) -> None:
    daemon = service.daemon
    async with parties(daemon) as call:
        await call.connect()
        await asyncio.sleep(0.5)
        await asyncio.to_thread(getattr(service, how))
        assert not call.caller.ended.is_set()
        await asyncio.sleep(0.5)
        await call.hang_up()
        row = await closed_row(daemon)
    assert (row.outcome, row.cause) == ("recorded", "caller-hangup")
    (recorded,) = row.recordings
    await asyncio.to_thread(until_stored, daemon, recorded.recording_id)
    recording = next(
        one for one in daemon.recordings() if one.id == recorded.recording_id
    )
    assert [
        gap for gap in recording.manifest.gaps if not is_at_an_end(gap, recording)
    ] == []
    assert [leg.lost for leg in recording.manifest.legs] == [0, 0]
    # What either phone heard of the other is one stream without a hole.
    for phone in (call.caller, call.officer):
        numbers = [h.packet.sequence_number for h in phone.heard]
        assert {(b - a) % 65536 for a, b in itertools.pairwise(numbers)} == {1}


@pytest.mark.parametrize("how", ["kill", "restart"])
async def test_a_recording_session_outlives_main_and_no_packet_is_lost(
    service: Service, how: str
) -> None:
    daemon = service.daemon
    before = daemon.stored(".json.age")
    client = client_of("sbc", daemon.sip)
    client.add(Stream("1", 1), Stream("2", 2))
    scene = Scene(Take("transfer", CALLER, client.clock.streams), client)
    async with clients(client):
        scene.keep(await client.record(document(*scene.take.two())))
        await scene.talk()
        await asyncio.to_thread(getattr(service, how))
        await scene.talk()
        # The next main knows who is who: another officer is another recording.
        await change_officers(scene)
        await scene.talk()
        await scene.end()
        row = await closed_row(daemon)
    assert (row.route, row.outcome) == ("beside-sbc", "recorded")
    assert len(row.recordings) == 2
    for recorded in row.recordings:
        await asyncio.to_thread(until_stored, daemon, recorded.recording_id)
    parts = sorted(daemon.recordings(but=before), key=lambda one: one.manifest.segment)
    officers = [[o.number for o in part.manifest.officers] for part in parts]
    assert officers == [["201"], ["202"]]
    changed = scene.take.marks["transferred"]
    check_whole(parts[0], client, range(changed - 2))
    check_whole(parts[1], client, range(changed + 8, changed + 30))


def check_whole(recording: Recording, client: Client, frames: range) -> None:
    """Of these frames none is missing on either side."""
    assert [leg.lost for leg in recording.manifest.legs] == [0, 0]
    sides = Channels(recording)
    for side, stream in zip(
        (sides.left, sides.right), client.clock.streams, strict=True
    ):
        where = side(stream)
        assert where is not None
        assert not stream.said.intersection(frames) - where.frames


UPGRADED = """
import runpy
import {module} as state
state.STATE_VERSION += 1
runpy.run_module("agent", run_name="__main__", alter_sys=True)
"""


@pytest.mark.parametrize("module", ["agent.call.state", "agent.signalling.sip.state"])
async def test_an_upgrade_that_keeps_calls_otherwise_ends_and_salvages_them(
    service: Service, module: str
) -> None:
    daemon = service.daemon
    script = daemon.root / "upgraded.py"
    script.write_text(UPGRADED.format(module=module))
    async with parties(daemon) as call:
        await call.talk(1.0)
        offset = service.log_size
        await asyncio.to_thread(service.run_by, str(script))
        try:
            await asyncio.to_thread(service.restart)
            assert daemon.log("state_unknown", offset=offset)
            row = await closed_row(daemon)
            if module == "agent.call.state":
                # Its sessions are understood: both hear BYE.
                await until(call.caller.ended)
                await until(call.officer.ended)
        finally:
            await asyncio.to_thread(service.run_by, "-m agent")
    assert row.outcome == "partial"
    (recorded,) = row.recordings
    await asyncio.to_thread(until_waits_no_more, daemon)
    recording = await asyncio.to_thread(open_recording, daemon, recorded.recording_id)
    assert recording.manifest.outcome == "partial"
    for side, hertz in enumerate((1000, 1700)):
        assert tone_seconds(channels(recording.wav)[side], hertz) > 0.9


async def test_the_journal_finds_a_call_by_its_id_and_explains_what_is_grave(
    service: Service,
) -> None:
    """Last: main logs to the journal from here on."""
    daemon, system = service.daemon, service.system
    service.log_to_journal()
    await asyncio.to_thread(service.restart)
    async with parties(daemon) as call:
        await call.connect()
        # A worker that dies needs a human.
        await asyncio.to_thread(system.kill, WORKERS[0])
        await asyncio.sleep(0.3)
        # Whatever journald does, a call goes on, ends, and loses no line.
        await asyncio.to_thread(system.run, *SIGNAL_JOURNALD, "STOP")
        try:
            await call.hang_up()
            row = await closed_row(daemon)
        finally:
            await asyncio.to_thread(system.run, *SIGNAL_JOURNALD, "CONT")
    (recorded,) = row.recordings
    await asyncio.to_thread(until_stored, daemon, recorded.recording_id)
    async with asyncio.timeout(PATIENCE):
        while "stored" not in {
            line["EVENT"]
            for line in service.lines(f"RECORDING_ID={recorded.recording_id}")
        }:
            await asyncio.sleep(0.1)
    lines = service.lines(f"CALL_ID={row.call_id}")
    assert [line["EVENT"] for line in lines].index("call_begun") == 0
    assert {"notice_played", "officer_answered", "recording_begun", "ended"} <= {
        line["EVENT"] for line in lines
    }
    assert {line["SYSLOG_IDENTIFIER"] for line in lines} == {"recording-agent"}
    assert {line["_SYSTEMD_UNIT"] for line in lines} == {"recording-agent.service"}
    (ended,) = service.lines(f"CALL_ID={row.call_id}", "EVENT=ended")
    assert ended["MESSAGE"].startswith("Ended. (call_id=")
    assert ended["OUTCOME"] == row.outcome
    # By its message id, with what the catalogue says of it.
    entry = CATALOGUE["media_worker_lost"]
    (lost,) = service.lines(f"MESSAGE_ID={entry.message_id}")
    assert (lost["EVENT"], lost["PRIORITY"]) == ("media_worker_lost", "3")
    explained = system.run(
        "journalctl", "-x", "--no-pager", f"MESSAGE_ID={entry.message_id}"
    ).stdout
    assert entry.summary in explained
    for text in (entry.explanation, entry.remedy):
        assert all(word in explained for word in text.split())
    # Nobody's number is there.
    whole = system.run("journalctl", "-o", "export").stdout
    assert CALLER not in whole
    assert CALLER.removeprefix("0") not in whole


def until_waits_no_more(daemon: Daemon) -> None:
    deadline = time.monotonic() + PATIENCE
    while daemon.waiting():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def is_at_an_end(gap: Gap, recording: Recording) -> bool:
    """Whether it lies before a leg's first audio or after its last.

    Phones begin a few milliseconds apart. The one that hangs up says nothing more,
    and the recording goes on until its BYE is heard, however busy the machine.
    """
    if gap.reason == "late-start":
        return gap.start_ms == 0
    end = recording.manifest.audio.duration_ms
    # Milliseconds are whole: start and length may each be one short.
    until = gap.start_ms + gap.duration_ms
    return gap.reason == "silence" and end - 2 <= until <= end


def until_stored(daemon: Daemon, recording_id: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while recording_id not in daemon.stored(".json.age"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
