"""When the certificates expire that this host shows to others."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from cryptography import x509

MAX_FILE: Final = 1 << 20
"Bytes of a file of certificates."


def read_expiries(files: Mapping[str, Path]) -> dict[str, float]:
    """By what a file is for, when the first certificate in it expires.

    Unix seconds; 0, which is long ago, if the file cannot be read. Blocks.
    """
    return {use: _first_expiry(path) for use, path in files.items()}


def _first_expiry(path: Path) -> float:
    try:
        with path.open("rb") as file:
            found = x509.load_pem_x509_certificates(file.read(MAX_FILE))
    except (OSError, ValueError):
        return 0.0
    return min(one.not_valid_after_utc.timestamp() for one in found)
