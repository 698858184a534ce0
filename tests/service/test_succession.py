import mmap
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
import structlog

from agent.call.keeper import MEDIA, SEGMENT, SESSION
from agent.call.state import STATE_VERSION, EndingState, SegmentState
from agent.common.ids import new_id
from agent.common.service_manager import ServiceManager
from agent.formats.checkpoint import Checkpoint
from agent.media.state import MediaState
from agent.model.call import Outcome
from agent.model.media import Address
from agent.recording.spool import Spool
from agent.service.succession import MAX_ATTEMPTS, Succession
from agent.signalling.kept import KeptConnections
from agent.signalling.sip.flow import Flow
from agent.signalling.sip.state import SessionState, encode_state
from tests.common.test_service_manager import Manager

RECORDING = new_id()
KEY = bytes(range(32))
ENDING = EndingState(call_id="c", outcome=Outcome.RECORDED, ended_utc_ns=1)
SEGMENT_STATE = SegmentState(
    recording_id=RECORDING, call_id="c", key_id=b"k", recipient="age1"
)


class Systemd:
    """Keeps descriptors, and starts one process after the other."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "notify")
        self.manager = Manager(self.path)
        self.manager.socket.setblocking(False)
        self.kept: dict[str, int] = {}
        self.services: list[ServiceManager] = []

    def start(self, calls: int = 3) -> Succession:
        service = ServiceManager({"NOTIFY_SOCKET": self.path, "FDSTORE": "9"})
        service._given = {name: os.dup(fd) for name, fd in self.kept.items()}
        self.services.append(service)
        succession = Succession(service)
        succession.begin(calls)
        self.hear()
        return succession

    def hear(self) -> None:
        while True:
            try:
                said, fds = self.manager.hears()
            except BlockingIOError:
                return
            fields = dict(line.split("=", 1) for line in said.split("\n"))
            if fds:
                (self.kept[fields["FDNAME"]],) = fds
            else:
                os.close(self.kept.pop(fields["FDNAME"]))

    def close(self) -> None:
        for service in self.services:
            service.close()
        self.manager.socket.close()
        for fd in self.kept.values():
            os.close(fd)


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    systemd = Systemd(tmp_path)
    yield systemd
    systemd.close()


def test_without_a_service_manager_nothing_is_kept() -> None:
    succession = Succession(ServiceManager({}))
    succession.begin(1000)
    assert succession.keeper is None
    assert succession.sockets == {}
    with socket.socket() as one:
        succession.keep_sockets({"sip-0": one})


def test_the_next_process_has_what_this_one_kept(systemd: Systemd) -> None:
    first = systemd.start()
    assert set(systemd.kept) == {"state", "keys"}
    assert first.keeper is not None
    first.keeper.keep_segment(SEGMENT_STATE, KEY)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        udp.bind(("127.0.0.1", 0))
        first.keep_sockets({"sip-0": udp})
        port = udp.getsockname()[1]
    systemd.hear()
    second = systemd.start()
    assert second.inheritance.segments == [SEGMENT_STATE]
    assert second.keeper is not None
    assert second.keeper.keys.all() == {RECORDING: KEY}
    assert second.sockets["sip-0"].getsockname()[1] == port
    second.keep_sockets({})
    systemd.hear()
    assert set(systemd.kept) == {"state", "keys"}


def test_recovery_leaves_alone_what_goes_on(systemd: Systemd, tmp_path: Path) -> None:
    keeper = systemd.start().keeper
    assert keeper is not None
    keeper.keep_segment(SEGMENT_STATE, KEY)
    sealed = msgspec.structs.replace(SEGMENT_STATE, recording_id=new_id())
    keeper.keep_segment(sealed, KEY)
    media = MediaState(call="c", legs=(), recordings=(), tokens=0)
    keeper._update(
        {
            "ending/c": msgspec.msgpack.encode(ENDING),
            MEDIA + "c": msgspec.msgpack.encode(media),
        }
    )
    spool = Spool(tmp_path / "spool")
    spool.prepare()
    (spool.sealed_directory / sealed.recording_id).mkdir()
    inheritance = systemd.start().inheritance
    assert inheritance.media == [media]
    taken = inheritance.taken(spool)
    assert taken.recordings == {RECORDING}
    assert taken.calls == {"c"}
    spool.close()


def state_of(systemd: Systemd) -> Checkpoint:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    view = mmap.mmap(systemd.kept["state"], 0)
    return Checkpoint.open(view, UUID(boot).bytes)


def test_what_another_version_kept_is_salvaged(systemd: Systemd) -> None:
    keeper = systemd.start().keeper
    assert keeper is not None
    keeper.keep_segment(SEGMENT_STATE, KEY)
    strange = msgspec.structs.replace(SEGMENT_STATE, version=STATE_VERSION + 1)
    state_of(systemd).put(SEGMENT + RECORDING, msgspec.msgpack.encode(strange))
    with structlog.testing.capture_logs() as log:
        second = systemd.start()
    assert [entry["event"] for entry in log] == ["state_unknown"]
    assert second.inheritance.segments == []
    assert second.keeper is not None
    assert second.keeper.keys.all() == {}
    assert second.keeper.documents("") == {}


@pytest.mark.parametrize("understood", [True, False])
def test_calls_of_another_version_are_ended_if_their_sessions_are_understood(
    systemd: Systemd, understood: bool
) -> None:
    first = systemd.start()
    assert first.keeper is not None
    session = SessionState(
        session="s1", keys=1, call=None, clients=(), servers=(), sent={}, owned=()
    )
    strange = msgspec.structs.replace(SEGMENT_STATE, version=STATE_VERSION + 1)
    state_of(systemd).put(SEGMENT + RECORDING, msgspec.msgpack.encode(strange))
    document = encode_state(session) if understood else b"\x81\xa7version\x00"
    state_of(systemd).put(SESSION + "s1", document)
    with structlog.testing.capture_logs() as log:
        second = systemd.start()
    assert [entry["event"] for entry in log] == ["state_unknown"]
    assert second.inheritance.calls == second.inheritance.segments == []
    assert second.inheritance.sessions == [session] * understood


def test_memory_of_another_form_is_given_back(systemd: Systemd) -> None:
    systemd.start()
    os.pwrite(systemd.kept["state"], b"another", 0)
    with structlog.testing.capture_logs() as log:
        second = systemd.start()
    assert [entry["event"] for entry in log] == ["state_unknown"]
    assert second.keeper is not None
    assert set(systemd.kept) == {"state", "keys"}
    third = systemd.start()
    assert third.keeper is not None


def test_what_nobody_knows_is_let_go_of(systemd: Systemd) -> None:
    systemd.start()
    reading, writing = os.pipe()
    os.close(writing)
    systemd.kept["strange"] = reading
    systemd.start()
    assert set(systemd.kept) == {"state", "keys"}


def test_a_state_that_ends_each_process_is_salvaged_in_the_end(
    systemd: Systemd,
) -> None:
    keeper = systemd.start().keeper
    assert keeper is not None
    keeper.keep_segment(SEGMENT_STATE, KEY)
    for _ in range(MAX_ATTEMPTS):
        assert systemd.start().inheritance.segments
    with structlog.testing.capture_logs() as log:
        assert not systemd.start().inheritance.segments
    assert [entry["event"] for entry in log] == ["state_unknown"]


def test_connections_go_on_with_what_was_noted_of_them(systemd: Systemd) -> None:
    first = systemd.start()
    assert first.keeper is not None
    kept = KeptConnections(systemd.services[-1])
    first.keeper.connections_changed = kept.changed
    flow = Flow("tcp", Address("127.0.0.1", 5060), Address("127.0.0.1", 5062))
    with socket.create_server(("127.0.0.1", 0)) as server:
        for name in ("c1", "c2", "c3", "c4"):
            with socket.create_connection(server.getsockname()) as end:
                kept.keep(name, flow, end)
    first.keeper.commit()
    systemd.hear()
    assert set(systemd.kept) == {
        *("state", "keys"),
        *("tcp-c1", "tcp-c2", "tcp-c3", "tcp-c4"),
    }
    # One is known, of one nothing was noted, one is not understood, one is not kept.
    unknown = msgspec.msgpack.encode({"version": 0})
    first.keeper.keep_connections({"c2": None, "c3": unknown})
    os.close(systemd.kept.pop("tcp-c4"))
    with structlog.testing.capture_logs() as log:
        second = systemd.start()
    assert [entry["event"] for entry in log] == ["connection_unknown"]
    assert {n: one.saved.flow for n, one in second.connections.items()} == {"c1": flow}
    assert set(systemd.kept) == {"state", "keys", "tcp-c1"}
    second.connections["c1"].sock.close()
    third = systemd.start()
    assert set(third.inheritance.connections) == {"c1"}
    third.connections["c1"].sock.close()


def test_a_listener_that_was_moved_is_kept_anew(systemd: Systemd) -> None:
    first = systemd.start()
    with socket.socket() as one, socket.socket() as other:
        one.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.1", 0))
        first.keep_sockets({"sip-0": one})
        systemd.hear()
        second = systemd.start()
        second.keep_sockets({"sip-0": other})
        systemd.hear()
        third = systemd.start()
        assert third.sockets["sip-0"].getsockname() == other.getsockname()
        third.sockets["sip-0"].close()
