"""`recording-agent storage policies`: who may do what, as the server enforces it."""

import json
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from agent.cli.storage.targets import dialect_of, place_of, read_site, users_of
from agent.upload.config import StorageConfig
from agent.upload.policies import (
    Dialect,
    Kind,
    Place,
    Role,
    bucket_policy,
    role_policy,
)


def command(
    *,
    config: Annotated[Path, Parameter(name=["--config", "-c"])],
    dialect: Dialect | None = None,
    host: tuple[str, ...] = (),
    gate: tuple[str, ...] = (),
    reader: tuple[str, ...] = (),
    without_gate: bool = False,
) -> None:
    """Print policies as JSON: of roles, or with ARNs of the buckets.

    Args:
        config: A host's configuration file, or the gate's.
        dialect: What the server understands of conditions; else as its name tells.
        host: ARNs of the hosts.
        gate: ARN of the gate.
        reader: ARNs of readers.
        without_gate: Let readers read envelopes, where no gate hands them out.
    """
    users = users_of(host, gate, reader)
    printed: dict[str, Any] = {}
    for index, storage in enumerate(read_site(config).storages):
        if storage.is_s3:
            name = storage.name or f"storage[{index}]"
            spoken = dialect or dialect_of(storage)
            printed[name] = _policies(storage, spoken, users, without_gate=without_gate)
    print(json.dumps(printed, indent=2))


def _policies(
    storage: StorageConfig,
    dialect: Dialect,
    users: dict[Any, Any],
    *,
    without_gate: bool,
) -> dict[str, Any]:
    locked, state = place_of(storage.locked_url), place_of(storage.url)
    if not any(users.values()):
        return {
            role: role_policy(
                role, locked, state, dialect=dialect, without_gate=without_gate
            )
            for role in Role
        }
    both: tuple[tuple[Kind, Place], ...] = (("locked", locked), ("state", state))
    return {
        place.bucket: bucket_policy(
            kind, place, users, dialect=dialect, without_gate=without_gate
        )
        for kind, place in both
    }
