from pathlib import Path

import pytest

from agent.access.config import load
from agent.common.strict_toml import ConfigError

STORAGE = '[[storage]]\nlocked_url = "file:///l"\nurl = "file:///s"\n'
GATE = '[gate]\nurl = "https://gate:8443"\ncertificate = "a"\nkey = "b"\nca = "c"\n'


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "archive.toml"
    path.write_text(text)
    return path


def test_the_least_and_the_most(tmp_path: Path) -> None:
    least = load(written(tmp_path, STORAGE))
    assert (least.gate, least.person.id, least.roster.path) == (None, "", "")
    most = load(
        written(
            tmp_path,
            STORAGE
            + GATE
            + '[person]\nid = "p-7"\nidentities = ["k"]\n[player]\ncommand = ["x"]\n',
        )
    )
    assert most.gate is not None
    assert (most.person.identities, most.player.command) == (("k",), ("x",))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "storage: missing"),
        ("storage = []", "at least one"),
        (STORAGE + "[person]\nid = 'Maija'\n", "id must be p-"),
        (STORAGE + GATE.replace("https", "http"), "url must be https"),
        (STORAGE + "[gate]\nurl = 'https://gate'\n", "gate: .*certificate"),
        (STORAGE + "[persons]\n", "persons: unknown key"),
        ("[", "archive.toml"),
    ],
)
def test_every_mistake_has_its_place(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(ConfigError, match=fault) as caught:
        load(written(tmp_path, text))
    assert "archive init" in caught.value.hint
