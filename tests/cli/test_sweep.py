import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import structlog
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from agent.cli.sweep import GateThereError, IncompleteError
from agent.common.clock import utc_now
from agent.common.ids import new_id
from agent.formats.layout import dated, envelope_key, tombstone_key
from agent.retention.telephony_host import TelephonyHostError

OLD = utc_now().date() - timedelta(400)
NEW = utc_now().date() - timedelta(10)


class Storage:
    """A storage in two directories, and the sweep's file beside it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("locked", "state"):
            (root / name).mkdir()
        key = Ed25519PrivateKey.generate().private_bytes(
            Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()
        )
        (root / "key").write_bytes(key)
        (root / "key").chmod(0o600)
        self.file = root / "retention.toml"
        self.file.write_text(
            f'[[storage]]\nlocked_url = "file://{root}/locked"\n'
            f'url = "file://{root}/state"\n[retention]\nwait = 0\n'
            '[audit]\nkey = "key"\n'
        )

    def put(self, key: str) -> Path:
        folder = "locked" if key.startswith("audio") else "state"
        path = self.root / folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"sealed")
        return path


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(tmp_path)


@pytest.fixture
def sweep(storage: Storage, run: Callable[..., int]) -> Iterator[Callable[..., int]]:
    yield lambda *arguments: run("sweep", "--config", storage.file, *arguments)
    structlog.reset_defaults()


def test_what_is_a_year_old_goes_and_the_rest_stays(
    storage: Storage, sweep: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    old, new = new_id(), new_id()
    goes = [
        storage.put(envelope_key(OLD, old)),
        storage.put(dated("audio", OLD, f"{old}.wav.age")),
    ]
    stays = storage.put(envelope_key(NEW, new))
    assert sweep("--dry-run") == 0
    said = capsys.readouterr()
    assert "a copy of an envelope that somebody kept" in " ".join(said.err.split())
    planned = json.loads(said.out)
    assert (planned["day"], planned["erase"], planned["step"]) == (
        OLD.isoformat(), [old], "mark",
    )  # fmt: skip
    assert all(path.exists() for path in goes)
    assert sweep() == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["erased"], report["late"]) == (1, [OLD.isoformat()])
    assert not any(path.exists() for path in goes)
    assert stays.exists()
    assert any((storage.root / "locked" / "audit" / "sweep").rglob("*.json"))


def test_what_came_back_with_a_backup_is_erased_again(
    storage: Storage, sweep: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    old = new_id()
    key = envelope_key(OLD, old)
    storage.put(key)
    assert sweep() == 0
    back = storage.put(key)
    capsys.readouterr()
    assert sweep("--replay") == 0
    assert json.loads(capsys.readouterr().out)["returned"] == {old: OLD.isoformat()}
    assert not back.exists()


def test_a_gates_storage_is_the_gates(
    storage: Storage, sweep: Callable[..., int]
) -> None:
    storage.put("gate/day-keys/000001.signed")
    with pytest.raises(GateThereError, match="recording-agent-gate sweep"):
        sweep()


def test_a_telephony_host_does_not_sweep(run: Callable[..., int]) -> None:
    config = Path(__file__).resolve().parents[2] / "config" / "agent.toml"
    with pytest.raises(TelephonyHostError):
        run("sweep", "--config", config)


def test_without_the_second_storage_it_is_not_complete(
    storage: Storage, sweep: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    storage.put(envelope_key(OLD, new_id()))
    away = storage.root / "away"
    text = storage.file.read_text().replace(
        "[retention]",
        f'[[storage]]\nname = "second"\nlocked_url = "file://{away}/locked"\n'
        f'url = "file://{away}/state"\n[retention]',
    )
    storage.file.write_text(text)
    with pytest.raises(IncompleteError, match="1 erasures are not complete"):
        sweep()
    shown = capsys.readouterr()
    assert "sweep_incomplete" in shown.err
    (left,) = json.loads(shown.out)["incomplete"]
    assert left["place"] == "second"


def test_tombstones_are_there(
    storage: Storage, sweep: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    old = new_id()
    storage.put(envelope_key(OLD, old))
    assert sweep() == 0
    names = {path.name for path in (storage.root / "state/tombstones").rglob("*.json")}
    assert names == {Path(tombstone_key(NEW, old)).name}
