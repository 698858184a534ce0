from pathlib import Path

import pytest

from agent.common.strict_toml import ConfigError
from agent.retention.sweep_file import read_sweep_file
from agent.retention.telephony_host import TelephonyHostError

EXAMPLE = Path(__file__).resolve().parents[2] / "config" / "retention.toml"
STORAGE = '[[storage]]\nlocked_url = "file:///a"\nurl = "file:///b"\n'


def test_the_example_is_read_whole() -> None:
    config = read_sweep_file(EXAMPLE)
    assert config.retention.policy().id == "P1Y"
    assert config.audit.key == ""


def test_a_telephony_hosts_configuration_is_refused(tmp_path: Path) -> None:
    agent = EXAMPLE.with_name("agent.toml")
    with pytest.raises(TelephonyHostError, match="at central storage"):
        read_sweep_file(agent)
    (tmp_path / "lock").touch()
    with pytest.raises(TelephonyHostError):
        read_sweep_file(EXAMPLE, spool=tmp_path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "storage: missing"),
        ("storage = []", "at least one"),
        (f"{STORAGE}[audit]\nkey = 1\n", "audit.key: Expected"),
        (f'{STORAGE}[retention]\nperiod = "P2Y"\n', "decision must say"),
        (f"{STORAGE}[gate]\n", "gate: unknown key"),
    ],
)
def test_each_mistake_is_named(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "retention.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=says):
        read_sweep_file(path)
