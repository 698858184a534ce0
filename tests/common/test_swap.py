import os
from pathlib import Path

import pytest

from agent.common.swap import SwapError, forbid_swap, unencrypted_swaps

HEADER = "Filename\t\tType\t\tSize\t\tUsed\t\tPriority\n"


class Host:
    """What a kernel shows, as files."""

    def __init__(self, root: Path) -> None:
        self.proc, self.sys = root / "proc", root / "sys"
        self.write(self.proc / "swaps", HEADER)
        (self.sys / "class/block").mkdir(parents=True)

    def write(self, path: Path, text: str) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def swap_on(self, name: str, kind: str = "partition") -> None:
        with (self.proc / "swaps").open("a") as file:
            file.write(f"{name}\t\t{kind}\t\t1024\t\t0\t\t-2\n")

    def device(
        self, name: str, *, crypt: bool = False, on: tuple[str, ...] = ()
    ) -> Path:
        path = self.sys / "class/block" / name
        path.mkdir()
        if name.startswith("dm-"):
            self.write(path / "dm/uuid", "CRYPT-LUKS2-ab-swap" if crypt else "LVM-ab")
        for one in on:
            (path / "slaves").mkdir(exist_ok=True)
            (path / "slaves" / one).symlink_to(self.sys / "class/block" / one)
        return path

    @property
    def bare(self) -> list[str]:
        return list(unencrypted_swaps(self.proc, self.sys))


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_a_host_without_swap(host: Host) -> None:
    assert host.bare == []
    (host.proc / "swaps").unlink()
    assert host.bare == []
    forbid_swap(host.proc, host.sys)


def test_a_plain_partition_is_named(host: Host) -> None:
    host.device("sda2")
    host.swap_on("/dev/sda2")
    host.swap_on("/dev/gone")
    assert host.bare == ["/dev/sda2", "/dev/gone"]
    with pytest.raises(SwapError, match=r"/dev/sda2, /dev/gone.*allow_swap"):
        forbid_swap(host.proc, host.sys)


def test_encrypted_ones_are_none_however_deep_they_lie(host: Host) -> None:
    host.device("sda3")
    host.device("dm-0", crypt=True, on=("sda3",))
    host.device("dm-1", on=("dm-0",))
    host.device("dm-2", on=("dm-0", "sda3"))
    host.swap_on("/dev/dm-0")
    host.swap_on("/dev/dm-1")
    assert host.bare == []
    # Half of it lies in the clear.
    host.swap_on("/dev/dm-2")
    assert host.bare == ["/dev/dm-2"]


def test_devices_that_stand_on_themselves_are_not_believed(host: Host) -> None:
    host.device("dm-0", on=("dm-0",))
    host.swap_on("/dev/dm-0")
    assert host.bare == ["/dev/dm-0"]


def test_compressed_memory_is_memory_unless_it_is_written_back(host: Host) -> None:
    zram = host.device("zram0")
    host.swap_on("/dev/zram0")
    assert host.bare == []
    host.write(zram / "backing_dev", "none\n")
    assert host.bare == []
    host.write(zram / "backing_dev", "/dev/sda4\n")
    assert host.bare == ["/dev/zram0"]


def test_a_file_is_what_its_file_system_lies_on(host: Host, tmp_path: Path) -> None:
    file = tmp_path / "swap file"
    file.write_bytes(b"")
    host.swap_on(str(file).replace(" ", "\\040"), "file")
    [_] = host.bare
    device = file.stat().st_dev
    host.device("dm-0", crypt=True)
    link = host.sys / f"dev/block/{os.major(device)}:{os.minor(device)}"
    link.parent.mkdir(parents=True)
    link.symlink_to(host.sys / "class/block/dm-0")
    assert host.bare == []
    file.unlink()
    assert host.bare


@pytest.mark.parametrize("level", ["system.slice/agent.service", "system.slice", ""])
def test_memory_that_swap_cannot_get_is_safe(host: Host, level: str) -> None:
    host.device("sda2")
    host.swap_on("/dev/sda2")
    host.write(
        host.proc / "self/cgroup", "1:name=systemd:/x\n0::/system.slice/agent.service\n"
    )
    limit = host.sys / "fs/cgroup" / level / "memory.swap.max"
    host.write(limit, "max\n")
    with pytest.raises(SwapError):
        forbid_swap(host.proc, host.sys)
    host.write(limit, "0\n")
    forbid_swap(host.proc, host.sys)
