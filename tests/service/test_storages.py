from pathlib import Path

from agent.service.config import decode
from agent.service.storages import open_storages, untold_regions
from agent.signalling.secrets import Secrets
from agent.upload.backends.directory import DirectoryBackend
from agent.upload.backends.s3 import S3Backend

KEYS = "[default]\naws_access_key_id = a\naws_secret_access_key = s\n"
S3 = {
    "locked_url": "s3://locked",
    "url": "s3://state/site",
    "endpoint": "https://s3.test",
    "region": "FI",
    "credentials": "s3.keys",
}
DIRECTORY = {"locked_url": "file:///srv/locked", "url": "file:///srv/state"}


def opened(base: Path, *storages: dict[str, str]) -> tuple[list[str], list[type]]:
    """Mistakes, and what kinds of storage were opened."""
    config = decode(
        {
            "agent": {"name": "host-a", "spool": "spool"},
            "sip": {"listen": ["udp:127.0.0.1:5060"]},
            "peers": [],
            "routes": [],
            "recording": {"recipients": []},
            "storage": list(storages),
        }
    )
    mistakes: list[str] = []
    found = open_storages(config, base, Secrets(base, None), mistakes)
    return mistakes, [type(target.state) for target in found]


def write_keys(base: Path, text: str, mode: int = 0o600) -> None:
    (base / "s3.keys").write_text(text)
    (base / "s3.keys").chmod(mode)


def test_opens_each_and_connects_to_none(tmp_path: Path) -> None:
    write_keys(tmp_path, KEYS)
    mistakes, kinds = opened(tmp_path, DIRECTORY, S3)
    assert mistakes == []
    assert kinds == [DirectoryBackend, S3Backend]


def test_credentials_that_cannot_be_used_are_named_by_path(tmp_path: Path) -> None:
    wanted = "storage[1].credentials: "
    for text, mode, reason in (
        ("", 0o600, "no credentials"),
        ("[default]\n", 0o600, "no credentials"),
        (KEYS, 0o644, "lets others read it"),
    ):
        write_keys(tmp_path, text, mode)
        [mistake], _ = opened(tmp_path, DIRECTORY, S3)
        assert mistake.startswith(wanted)
        assert reason in mistake
    (tmp_path / "s3.keys").unlink()
    [mistake], _ = opened(tmp_path, DIRECTORY, S3)
    assert mistake.startswith(f"{wanted}s3.keys: cannot be read")


def test_authorities_that_are_not_there(tmp_path: Path) -> None:
    write_keys(tmp_path, KEYS)
    mistakes, _ = opened(tmp_path, S3 | {"ca": "ca.pem"})
    assert mistakes == ["storage[0].ca: ca.pem is not there"]


def test_a_country_that_nobody_has_stated_is_told() -> None:
    def told(here: str, *storages: dict[str, str]) -> list[str]:
        sections = {
            "agent": {"name": "host-a", "spool": "spool"},
            "sip": {"listen": ["udp:127.0.0.1:5060"]},
            "peers": [],
            "routes": [],
            "recording": {"recipients": []},
            "storage": list(storages),
            "region": {"here": here},
        }
        return [w.partition(" ")[0] for w in untold_regions(decode(sections))]

    assert told("", DIRECTORY) == ["region.here"]
    assert told("FI", DIRECTORY) == []
    assert told("", S3) == []
    assert told("", S3, DIRECTORY) == ["region.here"]
