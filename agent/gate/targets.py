"""The storages that the gate answers from and erases in, by their names."""

from pathlib import Path

from agent.gate.config import Config
from agent.signalling.secrets import Secrets
from agent.upload.targets import Target, open_store


def open_targets(config: Config, base: Path, secrets: Secrets) -> dict[str, Target]:
    """Each `[[storage]]`, the first first. Raises StorageError."""
    return {
        f"storage[{index}]": Target(
            open_store(one.locked_url, base), open_store(one.url, base)
        )
        for index, one in enumerate(config.storage)
    }
