"""`recording-agent storage policies`: who may do what, as the server enforces it."""

import json
from collections.abc import Sequence
from typing import Any, Final

from agent.cli.storage.options import Asked, HostUserError, host_name
from agent.cli.storage.targets import dialect_of, place_of, read_site
from agent.cli.terminal import console
from agent.upload.config import StorageConfig
from agent.upload.policies import (
    Dialect,
    Kind,
    Place,
    Role,
    Users,
    bucket_policy,
    host_policy,
    role_policy,
)

OF_DIRECTORIES: Final = (
    "{name}: a directory, where no server enforces a policy. Whoever may write there"
    " may alter and delete what is there, each host and the gate among them; that it"
    " was done shows in seals and audit logs. Let nobody else on that host in:"
    " mode 0700, owned by the user that the agent runs as."
)


def command(asked: Asked, *, without_gate: bool = False) -> None:
    """Print policies as JSON: of each host and role, or with ARNs of the buckets.

    Without ARNs --host takes names alone; the configuration's own host if absent.

    Args:
        asked: See above.
        without_gate: Let readers read envelopes, where no gate hands them out.
    """
    site = read_site(asked.config)
    named = [one for one in asked.host if "=" in one]
    users = asked.users() if named or asked.gate or asked.reader else Users()
    hosts = [name for name in asked.host or [site.host] if name]
    if not users and not hosts and any(storage.is_s3 for storage in site.storages):
        raise HostUserError(
            "No host is named, and each has a policy of its own.",
            hint="Name each host: --host host-a --host host-b.",
        )
    printed: dict[str, Any] = {}
    for index, storage in enumerate(site.storages):
        name = storage.name or f"storage[{index}]"
        if not storage.is_s3:
            console(stderr=True).print(OF_DIRECTORIES.format(name=name))
            continue
        spoken = asked.dialect or dialect_of(storage)
        if users:
            printed[name] = _of_buckets(
                storage, spoken, users, without_gate=without_gate
            )
        else:
            printed[name] = _of_users(storage, spoken, hosts, without_gate=without_gate)
    if printed:
        print(json.dumps(printed, indent=2))


def _of_users(
    storage: StorageConfig,
    dialect: Dialect,
    hosts: Sequence[str],
    *,
    without_gate: bool,
) -> dict[str, Any]:
    """What is to be attached to whom."""
    places = place_of(storage.locked_url), place_of(storage.url)
    made: dict[str, Any] = {
        f"{Role.HOST} {name}": host_policy(host_name(name), *places, dialect=dialect)
        for name in hosts
    }
    made[Role.GATE] = role_policy(Role.GATE, *places, dialect=dialect)
    made[Role.READER] = role_policy(
        Role.READER, *places, dialect=dialect, without_gate=without_gate
    )
    return made


def _of_buckets(
    storage: StorageConfig, dialect: Dialect, users: Users, *, without_gate: bool
) -> dict[str, Any]:
    both: tuple[tuple[Kind, Place], ...] = (
        ("locked", place_of(storage.locked_url)),
        ("state", place_of(storage.url)),
    )
    return {
        place.bucket: bucket_policy(
            kind, place, users, dialect=dialect, without_gate=without_gate
        )
        for kind, place in both
    }
