import os
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.common.clock import monotonic
from agent.common.ids import new_id
from agent.common.release import release
from agent.formats.journal import NoteRecord, PacketRecord
from agent.formats.journal_reading import read_journal
from agent.media import control
from agent.media.events import (
    LegClosed,
    RecordingClosed,
    RecordingFailed,
    RecordingOpened,
    WorkerEvent,
)
from agent.model.media import Latch
from tests.media.phones import HOST, KEY, Phone, audio_bytes, note_kinds
from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]
Descriptors = tuple[int, ...]


class Main:
    """What a main process does, by hand: one after another may attach."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = str(directory / "worker.sock")
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.bind(self.path)
            listener.listen()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "agent.media.worker", str(listener.fileno())],
                pass_fds=(listener.fileno(),),
            )
        self.channel = self.attach()

    def attach(self) -> socket.socket:
        channel = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        channel.settimeout(PATIENCE)
        channel.connect(self.path)
        self.channel = channel
        return channel

    def tell(self, *commands: control.Command, fds: Descriptors = ()) -> None:
        for command in commands:
            control.send(self.channel, control.encode(command), fds)

    def hello(self, *, version: int = control.VERSION, orphan_s: float = 0.2) -> None:
        self.tell(
            control.Hello(
                version=version,
                timeout=60.0,
                fsync_interval=0.05,
                orphan_seconds=orphan_s,
            )
        )
        welcome = self.report(control.Welcome)
        assert welcome == control.Welcome(
            version=control.VERSION, pid=self.process.pid, release=release()
        )

    def report(self, kind: type[control.Welcome | WorkerEvent]) -> control.Report:
        while True:
            data, _ = control.receive(self.channel)
            assert data, "the worker has closed the channel"
            report = control.decode_report(data)
            if isinstance(report, kind):
                return report

    def open_leg(self, leg: str, phone: Phone) -> None:
        sockets = []
        for _ in range(2):
            channel = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            channel.bind((HOST, 0))
            channel.settimeout(0)
            sockets.append(channel)
        host, port = sockets[0].getsockname()
        phone.agent = type(phone.agent)(host, port)
        self.tell(control.OpenLeg(leg=leg), fds=tuple(s.fileno() for s in sockets))
        self.tell(control.Configure(leg=leg, audio=phone.negotiated(), latch=Latch.OFF))
        for channel in sockets:
            channel.close()

    def record(self, *, grant: bool = True) -> tuple[str, Path]:
        recording = new_id()
        path = self.directory / f"{recording}.0.journal"
        self.tell(
            control.StartRecording(
                recording=recording,
                legs=("c", "o"),
                tapped=(True, True),
                since_ns=(0, 0),
                journal_key=KEY,
                key_id=b"8 bytes!",
                epoch=0,
                path=str(path),
                notes=(b'{"type":"begin"}',),
            )
        )
        if grant:
            self.tell(control.Grant(recording=recording))
            self.report(RecordingOpened)
        return recording, path

    def closed_by_worker(self) -> bool:
        try:
            while control.receive(self.channel)[0]:
                pass
        except ConnectionResetError:
            # It did not read all we sent before it closed.
            return True
        return True


@pytest.fixture
def main(tmp_path: Path) -> Iterator[Main]:
    main = Main(tmp_path)
    yield main
    main.channel.close()
    main.process.kill()
    main.process.wait()


@pytest.fixture
def orphan_s() -> float:
    """Seconds a worker lives alone: longer than any test, unless it says otherwise."""
    return 60.0


@pytest.fixture
def legs(main: Main, orphan_s: float) -> Iterator[tuple[Phone, Phone]]:
    main.hello(orphan_s=orphan_s)
    with Phone() as customer, Phone() as officer:
        main.open_leg("c", customer)
        main.open_leg("o", officer)
        main.tell(control.Bridge(a="c", b="o"))
        yield customer, officer


Legs = tuple[Phone, Phone]


def hear(phone: Phone) -> bytes:
    assert select.select([phone.rtp], [], [], PATIENCE)[0]
    return phone.rtp.recv(2000)[12:]


@pytest.mark.parametrize("orphan_s", [0.5])
def test_alone_for_too_long_it_closes_its_journals_and_ends(
    main: Main, legs: Legs
) -> None:
    customer, officer = legs
    _, path = main.record()
    said = [customer.say(audio_bytes(n)) for n in range(2)]
    hear(officer)
    left = monotonic()
    main.channel.close()
    # It goes on with what it has to do.
    said.append(customer.say(b"still relayed"))
    assert {hear(officer) for _ in range(2)} >= {b"still relayed"}
    assert main.process.wait(PATIENCE) == 0
    assert 0.5 <= monotonic() - left < control.ORPHAN_SECONDS
    journal = read_journal(path.read_bytes(), KEY)
    assert journal.complete
    packets = [r.packet for r in journal.records if isinstance(r, PacketRecord)]
    assert packets == said
    notes = [r.note for r in journal.records if isinstance(r, NoteRecord)]
    assert note_kinds(notes) == ["begin", "agent-died"]


def test_commands_of_one_record_take_their_own_descriptors(main: Main) -> None:
    main.hello()
    with Phone() as customer, Phone() as officer:
        sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(4)]
        for channel in sockets:
            channel.bind((HOST, 0))
            channel.settimeout(0)
        fds = [channel.fileno() for channel in sockets]
        queue: list[tuple[bytes, Descriptors]] = []
        for leg, phone, own in (("c", customer, fds[:2]), ("o", officer, fds[2:])):
            port = sockets[fds.index(own[0])].getsockname()[1]
            phone.agent = type(phone.agent)(HOST, port)
            configure = control.Configure(
                leg=leg, audio=phone.negotiated(), latch=Latch.OFF
            )
            queue.append((control.encode(control.OpenLeg(leg=leg)), tuple(own)))
            queue.append((control.encode(configure), ()))
        queue.append((control.encode(control.Bridge(a="c", b="o")), ()))
        count, record, descriptors = control.first_record(queue)
        assert count == len(queue)
        control.send(main.channel, record, descriptors)
        for channel in sockets:
            channel.close()
        main.record()  # what it tells comes after all that was commanded before
        for speaker, listener in ((customer, officer), (officer, customer)):
            speaker.say(b"one")
            speaker.say(b"two")
            assert {hear(listener), hear(listener)} == {b"one", b"two"}


def test_what_waits_for_a_resumed_leg_waits_until_all_is_told(main: Main) -> None:
    main.hello()
    with Phone() as customer, Phone() as officer:
        sockets = {}
        for leg, phone in (("c", customer), ("o", officer)):
            pair = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
            for channel in pair:
                channel.bind((HOST, 0))
                channel.settimeout(0)
            # As a worker leaves it that has found its peer.
            pair[0].connect(phone.rtp.getsockname())
            phone.agent = type(phone.agent)(*pair[0].getsockname())
            sockets[leg] = pair
        said = [customer.say(audio_bytes(n)) for n in range(5)]
        for leg, phone in (("c", customer), ("o", officer)):
            fds = tuple(channel.fileno() for channel in sockets[leg])
            main.tell(control.OpenLeg(leg=leg, resumed=True), fds=fds)
            audio = phone.negotiated()
            main.tell(control.Configure(leg=leg, audio=audio, latch=Latch.ADDRESS))
        main.tell(control.Bridge(a="c", b="o"))
        recording, path = main.record()  # it has seen to all that was said until then
        assert not select.select([officer.rtp], [], [], 0)[0]
        main.tell(control.Listen(legs=("c", "o", "nobody")))
        assert [hear(officer) for _ in said] == [packet[12:] for packet in said]
        main.tell(control.StopRecording(recording=recording, end=b'{"type":"end"}'))
        main.report(RecordingClosed)
        records = read_journal(path.read_bytes(), KEY).records
        assert [r.packet for r in records if isinstance(r, PacketRecord)] == said
        for channel in (*sockets["c"], *sockets["o"]):
            channel.close()


def test_another_main_process_may_take_over(main: Main, legs: Legs) -> None:
    customer, officer = legs
    recording, path = main.record()
    customer.say(b"one")
    customer.say(b"two")
    hear(officer)
    main.channel.close()
    main.attach()
    main.hello()
    customer.say(b"three")
    assert {hear(officer) for _ in range(2)} == {b"two", b"three"}
    main.tell(control.StopRecording(recording=recording, end=b'{"type":"end"}'))
    main.report(RecordingClosed)
    assert read_journal(path.read_bytes(), KEY).complete


def test_the_newer_main_process_is_the_one_obeyed(main: Main, legs: Legs) -> None:
    older = main.channel
    main.attach()
    main.hello()
    main.tell(control.CloseLeg(leg="c"))
    main.report(LegClosed)
    main.channel, newer = older, main.channel
    assert main.closed_by_worker()
    newer.close()


def test_what_was_never_granted_is_forgotten(main: Main, legs: Legs) -> None:
    customer, _ = legs
    _, path = main.record(grant=False)
    customer.say(audio_bytes(1))
    main.tell(control.Retire(cause="agent-stopped"))
    assert main.process.wait(PATIENCE) == 0
    assert not path.exists()


def test_retiring_it_closes_everything_first(main: Main, legs: Legs) -> None:
    _, path = main.record()
    main.tell(control.Retire(cause="agent-stopped"))
    main.report(LegClosed)
    assert main.closed_by_worker()
    assert main.process.wait(PATIENCE) == 0
    journal = read_journal(path.read_bytes(), KEY)
    assert journal.complete
    notes = [r.note for r in journal.records if isinstance(r, NoteRecord)]
    assert note_kinds(notes) == ["begin", "agent-stopped"]


def test_signals_of_a_terminal_or_service_manager_do_not_end_it(
    main: Main, legs: Legs
) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        main.process.send_signal(number)
    main.tell(control.CloseLeg(leg="c"))
    main.report(LegClosed)
    assert main.process.poll() is None


def test_another_version_is_told_ours(main: Main) -> None:
    main.hello(version=control.VERSION + 1)
    main.tell(control.CloseLeg(leg="c"))
    assert main.closed_by_worker()


@pytest.mark.parametrize("data", [b"garbage", b"\xc0", bytes(control.MAX_MESSAGE + 10)])
def test_a_main_process_that_talks_nonsense_is_dropped(main: Main, data: bytes) -> None:
    main.hello(orphan_s=30.0)
    main.channel.send(data)
    assert main.closed_by_worker()
    main.channel.close()
    main.attach()
    main.hello()


def test_commands_for_what_is_gone_are_void(main: Main, legs: Legs) -> None:
    recording = new_id()
    main.tell(
        control.Configure(leg="x", audio=legs[0].negotiated(), latch=Latch.OFF),
        control.StopPlaying(leg="x"),
        control.Unbridge(leg="x"),
        control.Bridge(a="x", b="c"),
        control.CloseLeg(leg="x"),
        control.Grant(recording=recording),
        control.Mark(recording=recording, note=b"{}"),
        control.Tap(recording=recording, leg="c", on=True, at_ns=0),
        control.StopRecording(recording=recording, end=b"{}"),
        control.CloseLeg(leg="c"),
    )
    assert isinstance(main.report(LegClosed), LegClosed)


def test_a_recording_begins_once(main: Main, legs: Legs) -> None:
    _, path = main.record()
    again = control.StartRecording(
        recording=path.name.removesuffix(".0.journal"),
        legs=("c", "o"),
        tapped=(True, True),
        since_ns=(0, 0),
        journal_key=KEY,
        key_id=b"8 bytes!",
        epoch=0,
        path=str(path),
        notes=(),
    )
    main.tell(again)
    failed = main.report(RecordingFailed)
    assert isinstance(failed, RecordingFailed)
    assert failed.reason == "twice"


@pytest.mark.parametrize(("dumpable", "limit"), [("", "0"), ("1", "unlimited")])
def test_no_core_file_holds_a_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dumpable: str, limit: str
) -> None:
    monkeypatch.setenv("RECORDING_AGENT_DUMPABLE", dumpable)
    main = Main(tmp_path)
    try:
        main.hello()
        limits = Path(f"/proc/{main.process.pid}/limits").read_text().splitlines()
        (core,) = [line for line in limits if line.startswith("Max core file size")]
        hard = core.split()[5]
        assert (hard == "0") is (limit == "0")
    finally:
        main.channel.close()
        assert main.process.wait(PATIENCE) == 0


ORPHAN = """
import asyncio, sys
from pathlib import Path
from tests.media.phones import Phone, site, audio_bytes
from tests.ports import span

async def main():
    directory = Path(sys.argv[1])
    first = span(100)
    async with site(directory, ports=(first, first + 99)) as running:
        with Phone() as customer, Phone() as officer:
            await running.connect("call", "c", customer)
            await running.connect("call", "o", officer)
            running.pool.bridge("c", "o")
            await running.latch("c", customer)
            recording = await running.record(("c", "o"))
            customer.say(audio_bytes(9))
            await officer.hear_many(3)
            print(running.pool.worker_pids[0], recording, flush=True)
            await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.crash
def test_a_killed_main_process_leaves_whole_journals(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", ORPHAN, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
    ) as main:
        if main.stdout is None:
            raise AssertionError
        worker, recording = main.stdout.readline().split()
        alive = os.pidfd_open(int(worker))
        main.kill()
        killed = monotonic()
    assert select.select([alive], [], [], control.ORPHAN_SECONDS + 3)[0]
    os.close(alive)
    assert monotonic() - killed >= control.ORPHAN_SECONDS - 0.1
    path = tmp_path / "journal" / f"{recording}.0.journal"
    journal = read_journal(path.read_bytes(), KEY)
    assert journal.complete
    notes = [r.note for r in journal.records if isinstance(r, NoteRecord)]
    assert note_kinds(notes) == ["begin", "agent-died"]


def test_a_unit_of_its_own_waits_and_ends_when_it_is_told(tmp_path: Path) -> None:
    path = tmp_path / "media-0.sock"
    with subprocess.Popen(
        [sys.executable, "-m", "agent.media.worker", "--listen", str(path)]
    ) as process:
        deadline = monotonic() + PATIENCE
        while not path.exists():
            assert monotonic() < deadline
            select.select([], [], [], 0.01)
        for _ in range(2):
            # One after another that has nothing for it costs it nothing.
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as channel:
                channel.settimeout(PATIENCE)
                channel.connect(str(path))
                hello = control.Hello(
                    version=control.VERSION,
                    timeout=60.0,
                    fsync_interval=2.0,
                    orphan_seconds=0.0,
                )
                channel.send(control.encode(hello))
                assert isinstance(
                    control.decode_report(control.receive(channel)[0]), control.Welcome
                )
                last = control.decode_report(control.receive(channel)[0])
                assert last == control.Held(last=True)
        process.terminate()
        assert process.wait(PATIENCE) == 0
    assert not path.exists()


def test_one_that_is_told_to_end_for_good_tells_its_unit(main: Main) -> None:
    main.tell(control.Hello(version=control.VERSION, timeout=60.0, fsync_interval=0.05))
    # Also where a main process hangs up at once, and leaves what it was told unread.
    select.select([main.channel], [], [], PATIENCE)
    main.process.send_signal(signal.SIGSTOP)
    main.tell(control.Retire(cause="agent-stopped", for_good=True))
    main.channel.close()
    main.process.send_signal(signal.SIGCONT)
    assert main.process.wait(PATIENCE) == control.FOR_GOOD
    unit = (ROOT / "systemd/recording-agent-media@.service").read_text()
    for name in ("SuccessExitStatus", "RestartPreventExitStatus"):
        assert f"\n{name}={control.FOR_GOOD}\n" in unit


TOLD_TO_END_WHILE_IT_BEGINS = """
import os, signal
from agent.media import worker

listen = worker.listen
def listen_and_be_ended(path):
    listener = listen(path)
    os.kill(os.getpid(), signal.SIGTERM)
    return listener
worker.listen = listen_and_be_ended
worker.main()
"""


def test_a_unit_that_is_ended_while_it_begins_does_not_go_on(tmp_path: Path) -> None:
    socket = tmp_path / "media-0.sock"
    done = subprocess.run(
        [sys.executable, "-c", TOLD_TO_END_WHILE_IT_BEGINS, "--listen", str(socket)],
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == -signal.SIGTERM
