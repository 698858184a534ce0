from pathlib import Path

import pytest

from agent.gate.targets import open_targets
from agent.signalling.secrets import SecretError
from tests.gate.site import gate_site


async def test_each_storage_has_its_name(tmp_path: Path) -> None:
    site = gate_site(tmp_path)
    targets = open_targets(site.config(), tmp_path, site.secrets())
    assert [*targets] == ["storage[0]"]
    await targets["storage[0]"].state.put("gate/x", b"y")
    assert (tmp_path / "state" / "gate" / "x").read_bytes() == b"y"


async def test_an_object_store_needs_its_credentials_at_start(tmp_path: Path) -> None:
    site = gate_site(tmp_path)
    text = site.path.read_text().partition("[[storage]]")[0]
    site.path.write_text(
        text
        + """
        [[storage]]
        locked_url = "s3://locked"
        url = "s3://state"
        endpoint = "http://127.0.0.1:1"
        region = "FI"
        credentials = "s3.ini"
        """
    )
    with pytest.raises(SecretError, match=r"s3\.ini"):
        open_targets(site.config(), tmp_path, site.secrets())
    (tmp_path / "s3.ini").touch(0o600)
    (tmp_path / "s3.ini").write_text(
        "[default]\naws_access_key_id = a\naws_secret_access_key = b\n"
    )
    targets = open_targets(site.config(), tmp_path, site.secrets())
    assert [*targets] == ["storage[0]"]
