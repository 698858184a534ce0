"""The central storages that the configuration names, opened at start."""

from pathlib import Path

from agent.common.errors import AgentError
from agent.common.outgoing import Outgoing
from agent.service.config import Config
from agent.signalling.secrets import Secrets
from agent.upload.targets import Target, open_target, read_keys


def open_storages(
    config: Config, base: Path, secrets: Secrets, mistakes: list[str]
) -> tuple[Target, ...]:
    """Open each `[[storage]]`; what cannot be used is added to `mistakes`.

    Nothing is connected to: storage that is away stops no recording.
    """
    outgoing = Outgoing(config.region)
    targets = []
    for index, storage in enumerate(config.storage):
        try:
            if storage.is_s3:
                read_keys(storage, secrets)
        except AgentError as error:
            mistakes.append(f"storage[{index}].credentials: {error}")
        if storage.ca and not (base / storage.ca).is_file():
            mistakes.append(f"storage[{index}].ca: {storage.ca} is not there")
        try:
            targets.append(open_target(storage, base, secrets, outgoing, index=index))
        except AgentError as error:
            mistakes.append(str(error))
    return tuple(targets)


def untold_regions(config: Config) -> list[str]:
    """Warn of storage whose country nobody has stated."""
    if config.region.here or all(storage.region for storage in config.storage):
        return []
    return ["region.here is empty: in which country directories lie is not judged"]
