import mmap
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.common import memory as module
from agent.common.memory import MemoryRefusedError, create_memory, map_memory


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_who_holds_the_descriptor_sees_the_same_bytes() -> None:
    first = create_memory("state", 8192)
    first.view[10:13] = b"abc"
    second = map_memory(os.dup(first.fd))
    first.close()
    assert second.view[10:13] == b"abc"
    assert len(second.view) == 8192
    second.close()


def test_nobody_can_cut_it_off() -> None:
    memory = create_memory("state", 8192)
    for size in (4096, 16384):
        with pytest.raises(OSError, match="not permitted"):
            os.ftruncate(memory.fd, size)
    memory.close()


def test_no_child_inherits_it() -> None:
    memory = create_memory("state", 4096)
    assert not os.get_inheritable(memory.fd)
    memory.close()


def test_it_is_locked() -> None:
    def locked() -> int:
        with Path("/proc/self/status").open() as status:
            line = next(line for line in status if line.startswith("VmLck"))
        return int(line.split()[1])

    before = locked()
    memory = create_memory("state", 1 << 20)
    assert locked() - before == 1024
    memory.close()
    assert locked() == before


def test_a_refused_lock_is_told_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refuse(view: mmap.mmap) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(module, "_lock", refuse)
    before = descriptors()
    with pytest.raises(MemoryRefusedError, match="LimitMEMLOCK"):
        create_memory("state", 4096)
    assert descriptors() == before


def test_a_size_the_kernel_refuses_is_told() -> None:
    before = descriptors()
    with pytest.raises(MemoryRefusedError, match="no memory for state"):
        create_memory("state", 1 << 62)
    assert descriptors() == before


REFUSED = """
import os, resource
from agent.common.memory import MemoryRefusedError, create_memory
if os.getuid() == 0:
    os.setuid(65534)
resource.setrlimit(resource.RLIMIT_MEMLOCK, (0, 0))
try:
    create_memory("state", 1 << 20)
except MemoryRefusedError as error:
    print(error)
"""


def test_without_the_right_to_lock_memory_there_is_none() -> None:
    ran = subprocess.run(
        [sys.executable, "-c", REFUSED], capture_output=True, check=True, text=True
    )
    assert "LimitMEMLOCK" in ran.stdout
