"""From a configuration to the storage it names."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from agent.upload.backend import StorageBackend, StorageError
from agent.upload.backends.directory import DirectoryBackend


@dataclass(frozen=True, slots=True)
class Target:
    """One central storage."""

    locked: StorageBackend
    state: StorageBackend


def open_store(url: str, base: Path) -> StorageBackend:
    """The backend of a `[[storage]]` URL. Raises StorageError for unknown schemes."""
    parts = urlsplit(url)
    if parts.scheme != "file":
        raise StorageError(
            f"storage of the kind {parts.scheme}: is not supported.",
            hint="Use a file:///… URL.",
        )
    return DirectoryBackend(base / unquote(parts.path))
