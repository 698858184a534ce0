"""The storages that the gate answers from and erases in, by their names."""

from pathlib import Path

from agent.common.outgoing import Outgoing
from agent.gate.config import Config
from agent.signalling.secrets import Secrets
from agent.upload.targets import Target, open_target, read_keys


def open_targets(config: Config, base: Path, secrets: Secrets) -> dict[str, Target]:
    """Each `[[storage]]`, the first first; nothing is connected to yet.

    Raises OutsideRegionError: it is not where recordings may go; SecretError,
    S3CredentialsError: there is no way in.
    """
    outgoing = Outgoing(config.region)
    targets = {}
    for index, one in enumerate(config.storage):
        if one.is_s3:
            read_keys(one, secrets)
        target = open_target(one, base, secrets, outgoing, index=index)
        targets[target.name] = target
    return targets
