"""A person's configuration on disk, over storage with real recordings."""

import io
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog

from agent.formats.age import identity_file
from tests.access.site import ROOT_KEY, Site
from tests.formats.rosters import ROOT, signed
from tests.recording.segments import quality

TOML = """\
[[storage]]
locked_url = "file://{root}/locked"
url = "file://{root}/state"
[person]
id = "p-quinn"
identities = ["me.txt"]
[roster]
path = "roster"
root = "{key}"
[index]
keys = "index"
[controller]
name = "The agency"
"""


@dataclass
class Desktop:
    """A site, and the file that tells a person's tools of it."""

    site: Site
    config: Path
    run: Callable[..., int]

    def __call__(self, verb: str, *words: object) -> int:
        """Run a verb of the archive; its exit code."""
        return self.run("archive", verb, *words, "-c", self.config)


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """What stands on standard input."""

    def give(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))

    return give


@pytest.fixture
def desktop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Callable[..., int]
) -> Iterator[Desktop]:
    site = Site(tmp_path / "site")
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    for name, text in (
        ("me.txt", identity_file(quality().identity)),
        ("index", ROOT_KEY.hex()),
        ("archive.toml", TOML.format(root=site.root, key=ROOT.public)),
    ):
        path = home / name
        path.write_text(text)
        path.chmod(0o600)
    (home / "roster").write_bytes(signed())
    yield Desktop(site, home / "archive.toml", run)
    structlog.reset_defaults()
