from pathlib import Path

from agent.gate.targets import open_targets
from tests.gate.site import gate_site


async def test_each_storage_has_its_name(tmp_path: Path) -> None:
    site = gate_site(tmp_path)
    targets = open_targets(site.config(), tmp_path, site.secrets())
    assert [*targets] == ["storage[0]"]
    await targets["storage[0]"].state.put("gate/x", b"y")
    assert (tmp_path / "state" / "gate" / "x").read_bytes() == b"y"
