import errno
from pathlib import Path

import pytest

from agent.retention.telephony_host import (
    SPOOL,
    TelephonyHostError,
    refuse_telephony_host,
)
from tests.lab.daemon import ROOT


def test_a_spool_is_refused_a_folder_is_not(tmp_path: Path) -> None:
    refuse_telephony_host(tmp_path)
    (tmp_path / "lock").touch()
    with pytest.raises(TelephonyHostError, match="at central storage"):
        refuse_telephony_host(tmp_path)


@pytest.mark.parametrize("unit", ["recording-agent-gate", "recording-agent-sweep"])
def test_who_may_not_look_leaves_it_to_the_unit(
    unit: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(path: Path) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    with monkeypatch.context() as patched:
        patched.setattr(Path, "exists", forbidden)
        refuse_telephony_host(tmp_path)
    text = (ROOT / f"systemd/{unit}.service").read_text()
    assert f"\nAssertPathExists=!{SPOOL}/lock\n" in text
