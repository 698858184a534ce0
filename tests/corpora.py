"""Other people's test material beside the checkout; absent on most machines."""

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2] / "shared" / "corpora"


def corpus(name: str) -> Path:
    """The folder of one corpus; skips the test where there is none."""
    path = ROOT / name
    if ROOT.exists() and not path.exists():
        pytest.fail(f"the corpora are there, but {name} is not among them")
    if not path.exists():
        pytest.skip(f"the corpus {name} is not beside the checkout")
    return path


def corpus_files(name: str, pattern: str = "*") -> list[Path]:
    """The files of one corpus for parametrising; empty where there is none."""
    path = ROOT / name
    return sorted(p for p in path.glob(pattern) if p.is_file())
