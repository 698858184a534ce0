import os
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from agent.upload.backends import listing
from agent.upload.backends.listing import walk


def make(root: Path, keys: list[str]) -> None:
    for key in keys:
        (root / key).parent.mkdir(parents=True, exist_ok=True)
        (root / key).write_bytes(key.encode())


def test_a_large_folder_is_read_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "NAMES", 3)
    wanted = [f"k/{n:02}/{m}" for n in range(7) for m in range(n)]
    wanted = sorted([*wanted, "k/00", "k/010", "k/02-"])
    make(tmp_path, wanted)
    assert [info.key for info in walk(tmp_path, "k/")] == wanted
    for after in wanted:
        found = [info.key for info in walk(tmp_path, "k/", after.removeprefix("k/"))]
        assert found == [key for key in wanted if key > after]


@settings(max_examples=60)
@given(
    st.lists(st.text("ab-/", min_size=1, max_size=7), max_size=12),
    st.text("ab-/", max_size=7),
    st.integers(1, 4),
)
def test_whatever_is_there_comes_as_its_keys_sort(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], after: str, names: int
) -> None:
    root = tmp_path_factory.mktemp("storage")
    wanted: set[str] = set()
    for text in texts:
        key = "/".join(part for part in text.split("/") if part)
        folders = {key[:n] for n, c in enumerate(key) if c == "/"}
        if key and not folders & wanted and not (root / key).is_dir():
            make(root, [key])
            wanted.add(key)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(listing, "NAMES", names)
        found = [info.key for info in walk(root, "", after)]
    assert found == sorted(key for key in wanted if key > after)


def test_memory_is_flat_however_large_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "NAMES", 130)
    peaks, made = [], 0
    for size in (400, 3000):
        while made < size:
            os.close(os.open(tmp_path / f"{made:060}", os.O_CREAT | os.O_WRONLY))
            made += 1
        # What other threads of the run still do is traced too: the least counts.
        peaks.append(min(peak_of(tmp_path, size) for _ in range(5)))
    assert peaks[1] < 1.5 * peaks[0] + 100_000


def peak_of(folder: Path, size: int) -> int:
    tracemalloc.start()
    try:
        assert sum(1 for _ in walk(folder, "")) == size
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
