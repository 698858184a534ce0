import array
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.common.service_manager import ServiceManager
from tests.patience import PATIENCE


class Manager:
    """What systemd is at the other end of its socket."""

    def __init__(self, path: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        self.socket.settimeout(PATIENCE)

    def hears(self) -> tuple[str, list[int]]:
        said, ancillary, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(4 * 4))
        fds = array.array("i")
        for _, _, rights in ancillary:
            fds.frombytes(rights)
        return said.decode(), list(fds)


@pytest.fixture
def manager(tmp_path: Path) -> Iterator[Manager]:
    manager = Manager(str(tmp_path / "notify"))
    yield manager
    manager.socket.close()


def test_without_a_service_manager_all_is_void() -> None:
    service = ServiceManager({})
    assert not service.there
    assert not service.keeps
    assert service.take() == {}
    service.put("state", 0)
    service.remove("state")
    service.tell("READY=1")
    service.close()


def test_it_is_told(manager: Manager, tmp_path: Path) -> None:
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "PATH": "/bin"}
    service = ServiceManager(environment)
    assert environment == {"PATH": "/bin"}
    assert service.there
    assert not service.keeps
    service.tell("READY=1", "STATUS=3 calls")
    assert manager.hears() == ("READY=1\nSTATUS=3 calls", [])
    service.close()
    assert not service.there


def test_it_keeps_descriptors(manager: Manager, tmp_path: Path) -> None:
    service = ServiceManager(
        {"NOTIFY_SOCKET": str(tmp_path / "notify"), "FDSTORE": "64"}
    )
    assert service.keeps
    reading, writing = os.pipe()
    service.put("state", reading)
    said, (fd,) = manager.hears()
    assert said == "FDSTORE=1\nFDNAME=state\nFDPOLL=0"
    os.write(writing, b"x")
    assert os.read(fd, 1) == b"x"
    service.remove("state")
    assert manager.hears() == ("FDSTOREREMOVE=1\nFDNAME=state", [])
    for each in (fd, reading, writing):
        os.close(each)
    service.close()


def test_an_abstract_socket_is_spoken_to_as_well() -> None:
    name = f"recording-agent-test-{os.getpid()}"
    manager = Manager(f"\0{name}")
    service = ServiceManager({"NOTIFY_SOCKET": f"@{name}"})
    service.tell("READY=1")
    assert manager.hears() == ("READY=1", [])
    service.close()
    manager.socket.close()


def test_a_socket_that_is_gone_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "none")})


def test_what_it_kept_comes_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    uninherited: list[tuple[int, bool]] = []
    monkeypatch.setattr(
        os, "set_inheritable", lambda fd, on: uninherited.append((fd, on))
    )
    environment = {
        "LISTEN_PID": str(os.getpid()),
        "LISTEN_FDS": "2",
        "LISTEN_FDNAMES": "state:keys",
    }
    service = ServiceManager(environment)
    assert environment == {}
    assert service.take() == {"state": 3, "keys": 4}
    assert service.take() == {}
    assert uninherited == [(3, False), (4, False)]


@pytest.mark.parametrize(
    "environment",
    [
        {"LISTEN_PID": "1", "LISTEN_FDS": "2", "LISTEN_FDNAMES": "a:b"},
        {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "two"},
    ],
)
def test_what_is_another_process_s_is_not_taken(environment: dict[str, str]) -> None:
    assert ServiceManager(environment).take() == {}


def test_a_service_manager_that_does_not_listen_holds_up_nothing(
    manager: Manager, tmp_path: Path
) -> None:
    service = ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "notify")})
    taken = 0
    while service.mention("WATCHDOG=1"):
        taken += 1
    assert taken
    assert manager.hears() == ("WATCHDOG=1", [])
    assert service.mention("WATCHDOG=1")
    service.close()
    assert not service.mention("WATCHDOG=1")


@pytest.mark.parametrize(
    ("given", "seconds"),
    [
        ({}, 0.0),
        ({"WATCHDOG_USEC": "10000000"}, 10.0),
        ({"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": str(os.getpid())}, 10.0),
        ({"WATCHDOG_USEC": "10000000", "WATCHDOG_PID": "1"}, 0.0),
        ({"WATCHDOG_USEC": "soon"}, 0.0),
    ],
)
def test_how_often_it_wants_a_sign_of_life(
    given: dict[str, str], seconds: float
) -> None:
    environment = dict(given)
    assert ServiceManager(environment).watchdog == seconds
    assert environment == {}
