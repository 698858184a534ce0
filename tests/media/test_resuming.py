import os
import signal
from pathlib import Path

from agent.media.events import LegClosed, RecordingClosed, RecordingOpened, WorkerLost
from tests.media.pairs import FIRST, notes, packets, talk
from tests.media.phones import KEY, Phone, note_kinds, site


async def test_a_call_whose_processes_are_all_gone_goes_on_on_its_ports(
    tmp_path: Path, customer: Phone, officer: Phone
) -> None:
    ports = FIRST, FIRST + 99
    async with site(tmp_path, ports=ports) as before:
        await talk(before, customer, officer)
        recording = await before.record(("c", "o"))
        before.pool.mark(recording, b'{"type":"mark","kind":"codecs"}')
        state = before.pool.state_of("call")
        os.kill(before.pool.worker_pids[0], signal.SIGKILL)
        await before.event(WorkerLost)
    agent = customer.agent
    async with site(tmp_path, ports=ports) as after:
        assert after.pool.stats.ports_free == 50
        await after.pool.resume([state], {recording: KEY})
        assert after.pool.stats.ports_free == 48
        assert after.pool.state_of("call").legs == state.legs
        await after.event(RecordingOpened)
        assert customer.agent == agent
        said = await after.latch("c", customer)
        heard = await officer.hear_many(2)
        assert [p.payload for p in heard] == [packet[12:] for packet in said]
        after.pool.stop_recording(recording, b'{"type":"end"}')
        await after.event(RecordingClosed)
        journal = after.journal(recording, 1)
        assert packets(journal, 0) == said
        kinds = ["begin", "codecs", "gap-begin", "gap-end", "end"]
        assert note_kinds(notes(journal)) == kinds


async def test_a_port_that_somebody_else_has_closes_its_leg(
    tmp_path: Path, customer: Phone
) -> None:
    ports = FIRST, FIRST + 99
    async with site(tmp_path / "one", ports=ports) as running:
        await running.connect("call", "c", customer)
        state = running.pool.state_of("call")
        async with site(tmp_path / "two", ports=ports) as late:
            await late.pool.resume([state], {})
            assert (await late.event(LegClosed)).leg == "c"
            assert late.pool.stats.legs == 0
