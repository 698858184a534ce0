"""People's commands on a real object store: the same as on a directory."""

import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
import pytest
import structlog

from agent.cli.app import app
from agent.formats.age import identity_file
from agent.formats.container import read_wav
from tests.access.site import ROOT_KEY, Site
from tests.formats.rosters import ROOT, signed
from tests.lab.ceph import Ceph
from tests.lab.s3 import s3_client
from tests.recording.segments import CALLER, OFFICER, quality, stereo

pytestmark = pytest.mark.integration

BUCKETS: Final = {"locked": "people-locked", "state": "people-state"}
QUALITY: Final = ("--purpose", "quality")
CASE: Final = ("--purpose", "subject-request", "--reference", "A/1")
TOML: Final = """\
[[storage]]
locked_url = "s3://people-locked/agency"
url = "s3://people-state/agency"
endpoint = "{endpoint}"
region = "FI"
credentials = "s3-credentials"
ca = "{ca}"
[person]
id = "p-quinn"
identities = ["me.txt"]
[roster]
path = "roster"
root = "{root}"
[index]
keys = "index"
"""


@pytest.fixture(scope="module")
def s3(ceph: Ceph) -> Any:
    client = s3_client(ceph.endpoint, ceph.user("people"))
    for bucket in BUCKETS.values():
        client.create_bucket(Bucket=bucket)
        client.put_bucket_versioning(
            Bucket=bucket, VersioningConfiguration={"Status": "Enabled"}
        )
    return client


@pytest.fixture
def archive(
    ceph: Ceph, s3: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., int]]:
    """Runs a verb with a person's configuration; its exit code."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "memory"))
    keys = ceph.user("people")
    secret = (
        f"[default]\naws_access_key_id = {keys.access}\n"
        f"aws_secret_access_key = {keys.secret}\n"
    )
    toml = TOML.format(endpoint=ceph.tls_endpoint, ca=ceph.ca, root=ROOT.public)
    for name, text in (
        ("archive.toml", toml),
        ("s3-credentials", secret),
        ("me.txt", identity_file(quality().identity)),
        ("index", ROOT_KEY.hex()),
    ):
        path = tmp_path / name
        path.write_text(text)
        path.chmod(0o600)
    (tmp_path / "roster").write_bytes(signed())

    def run(*words: object) -> int:
        words = ("archive", *words, "-c", tmp_path / "archive.toml")
        try:
            app([str(word) for word in words])
        except SystemExit as exit_:
            return exit_.code if isinstance(exit_.code, int) else 0
        return 0

    yield run
    structlog.reset_defaults()


def stored(s3: Any, site: Site) -> None:
    """Put a directory's objects into the buckets."""
    for name, bucket in BUCKETS.items():
        root = site.root / name
        for path in root.rglob("*"):
            if path.is_file():
                key = f"agency/{path.relative_to(root)}"
                s3.put_object(Bucket=bucket, Key=key, Body=path.read_bytes())


def test_find_show_annotate_hold_copy_and_answer(
    archive: Callable[..., int],
    s3: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    site = Site(tmp_path / "site")
    one, two = site.record(), site.record(indexed=False)
    stored(s3, site)

    def typed(text: str) -> None:
        monkeypatch.setattr(sys, "stdin", io.StringIO(text))

    window = ("--from", "2026-11-20", "--to", "2026-11-26")
    typed(CALLER)
    assert archive("find", *window, *QUALITY, "--json") == 0
    lines = capsys.readouterr().out.splitlines()
    assert {msgspec.json.decode(line)["id"] for line in lines} == {one.id, two.id}
    typed("It was not me.")
    assert archive("annotate", one.id, *CASE) == 0
    assert (
        archive("hold", one.id, "--kind", "legal-claim", "--review", "2027-02-01") == 0
    )
    assert archive("show", one.id, *QUALITY) == 0
    shown = capsys.readouterr().out
    for text in (OFFICER, "It was not me.", "held: legal-claim", "quality: good"):
        assert text in shown
    typed(CALLER)
    out = tmp_path / "answer"
    mask = ("--mask", f"{two.id}:0.5-0.6")
    assert archive("subject", "--reference", "A/1", *window, *mask, "-o", out) == 0
    copies = {
        path.stem: read_wav(path.read_bytes()).samples for path in out.rglob("*.wav")
    }
    assert copies[one.id] == stereo(range(50), 50)
    assert copies[two.id] != copies[one.id]
    assert archive("restrict", two.id) == 0
    assert archive("verify", "--date", "2026-11-23") == 0
