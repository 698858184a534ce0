from pathlib import Path

import pytest

from agent.common.strict_toml import ConfigError
from agent.formats.age import KeyKind
from agent.gate.config import load
from agent.gate.limits import Counted, Limit
from tests.formats.rosters import ROOT

GOOD = f"""
[gate]
state = "state"
[tls]
certificate = "gate.pem"
key = "gate.key"
issuers = "people.pem"
[keyring]
folder = "keyring"
identity = "credential:keyring"
[roster]
path = "roster.signed"
root = "{ROOT.public}"
[[storage]]
locked_url = "file:///locked"
url = "file:///state"
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "gate.toml"
    path.write_text(text)
    return path


def test_the_shipped_file_and_a_small_one_are_read(tmp_path: Path) -> None:
    config = load(written(tmp_path, GOOD))
    assert config.gate.address == ("127.0.0.1", 8443)
    assert config.keyring.key_kind is KeyKind.POST_QUANTUM
    assert config.limits.limits()[Counted.RELEASES] == Limit(200, 50)
    shipped = load(Path(__file__).parents[2] / "config" / "gate.toml")
    assert shipped.limits == config.limits


@pytest.mark.parametrize(
    ("old", "new", "mistake"),
    [
        ("[gate]", '[gate]\nlisten = "8443"', "listen must be address:port"),
        ("[gate]", '[gate]\nlisten = ":8443"', "listen must be address:port"),
        ("[gate]", "[gate]\nlog = true", "gate.log: unknown key"),
        ("[gate]", '[gate]\nname = "north"', "name must be gate"),
        ("[keyring]", "[keyring]\ndays_ahead = 2", "days_ahead must be 7 to 400"),
        ("[roster]", "[limits]\nreleases = 5\n[roster]", "releases and releases_alarm"),
        ("[[storage]]", "[other]\n[[storage]]", "other: unknown key"),
        ("[gate]\n", "[sip]\n[gate]\n", "telephony host"),
        (
            "[gate]",
            '[store_log]\nfiles = ["x"]\nusers = ["gate"]\n[gate]',
            "store_log.files: the first storage must be an object store",
        ),
        (
            "[gate]",
            '[region]\nallowed = ["XX1"]\n[gate]',
            "no group, country or region",
        ),
        ("[gate]", '[region]\nhere = "US"\n[gate]', "outside region.allowed"),
        ("[[storage]]", '[[storage]]\nregion = "US"', r"storage\[0\].region"),
        ("path =", "#", "path and root are needed together"),
    ],
)
def test_mistakes_are_named(tmp_path: Path, old: str, new: str, mistake: str) -> None:
    with pytest.raises(ConfigError, match=mistake):
        load(written(tmp_path, GOOD.replace(old, new, 1)))


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    before = GOOD.partition("[[storage]]")[0]
    with pytest.raises(ConfigError, match="storage: at least one"):
        load(written(tmp_path, "storage = []\n" + before))
    without = before.partition("[roster]")[0] + "[roster]\n"
    with pytest.raises(ConfigError, match="knows nobody without a roster"):
        load(written(tmp_path, without + "[[storage]]" + GOOD.split("[[storage]]")[1]))
    classic = GOOD.replace("[keyring]", '[keyring]\nkind = "classic"')
    assert load(written(tmp_path, classic)).keyring.key_kind is KeyKind.CLASSIC
