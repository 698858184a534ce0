import socket
from pathlib import Path

import pytest

from agent.media.control_socket import connect, control_sockets, listen
from tests.patience import PATIENCE


def test_a_deep_directory_is_no_matter(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 100) / ("e" * 100)
    deep.mkdir(parents=True)
    path = deep / "media-0.sock"
    path.write_bytes(b"left behind by another run")
    with listen(path) as listener, connect(path) as channel:
        assert path.stat().st_mode & 0o777 == 0o600
        served, _ = listener.accept()
        served.send(b"record")
        served.close()
        channel.settimeout(PATIENCE)
        assert channel.recv(100) == b"record"
    assert control_sockets(deep) == [path]


def test_where_nobody_listens(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        connect(tmp_path / "media-0.sock")
    with pytest.raises(OSError, match="No such file"):
        listen(tmp_path / "missing" / "media-0.sock")
    path = tmp_path / "media-1.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
        listener.bind(str(path))
    with pytest.raises(ConnectionRefusedError):
        connect(path)
