"""`recording-agent storage check`: whether central storage is as it must be."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

from botocore.exceptions import BotoCoreError, ClientError
from cyclopts import Parameter

from agent.cli.storage.findings import show
from agent.cli.storage.targets import Site, read_site, users_of
from agent.common.errors import AgentError
from agent.signalling.secrets import Secrets
from agent.upload.bucket_probes import probe_bucket, probe_rights
from agent.upload.bucket_properties import Finding, Verdict, Wanted
from agent.upload.buckets import check_bucket
from agent.upload.directories import check_directory
from agent.upload.policies import Dialect
from agent.upload.s3_credentials import parse_credentials


def command(
    *,
    config: Annotated[Path, Parameter(name=["--config", "-c"])],
    admin_credentials: Path | None = None,
    host: tuple[str, ...] = (),
    gate: tuple[str, ...] = (),
    reader: tuple[str, ...] = (),
    dialect: Dialect | None = None,
) -> None:
    """Judge buckets or directories: 1 if something is wrong, with its remedy.

    Args:
        config: A host's configuration file, or the gate's.
        admin_credentials: An AWS shared-credentials file of who may see and do all
            there; without it only what the configured ones may do is found out.
        host: ARNs of the hosts, whose policy is then looked for.
        gate: ARN of the gate.
        reader: ARNs of readers.
        dialect: What the server understands of conditions; else as its name tells.
    """
    site = read_site(config)
    users = users_of(host, gate, reader)
    show(_findings(site, admin_credentials, users, dialect))


def _findings(
    site: Site,
    admin_credentials: Path | None,
    users: dict[Any, Any],
    dialect: Dialect | None,
) -> Iterator[Finding]:
    for index, storage in enumerate(site.storages):
        if not storage.is_s3:
            for directory in site.directories(storage):
                yield from check_directory(directory)
            continue
        admin = None
        if admin_credentials is not None:
            admin = admin_client(site, index, admin_credentials)
        for wanted in site.wanted(storage, users, dialect):
            if admin is not None:
                found = list(check_bucket(admin, wanted))
                yield from found
                if found[0].verdict is not Verdict.RIGHT:
                    continue
                yield from probe_bucket(admin, wanted)
            yield from _rights(site, index, admin, wanted)


def admin_client(site: Site, index: int, credentials: Path) -> Any:
    """A client with an administrator's credentials. Raises AgentError."""
    secrets = Secrets(Path.cwd(), None)
    return site.client(index, parse_credentials(secrets.read(str(credentials))))


def _rights(site: Site, index: int, admin: Any, wanted: Wanted) -> Iterator[Finding]:
    try:
        s3 = site.client(index, site.keys(site.storages[index]))
    except AgentError as error:
        text, remedy = (
            f"the {site.role}'s credentials: {error}",
            "Run it where they are.",
        )
        yield Finding(wanted.place.bucket, "rights", Verdict.UNTOLD, text, remedy)
        return
    existing = "" if admin is None else _first_object(admin, wanted)
    yield from probe_rights(s3, wanted, role=site.role, existing=existing)


def _first_object(admin: Any, wanted: Wanted) -> str:
    """Any object that a host has put, to see what it may do as its owner."""
    folder = "audio" if wanted.kind == "locked" else "keys"
    prefix = f"{wanted.place.prefix}{folder}/"
    try:
        told = admin.list_objects_v2(
            Bucket=wanted.place.bucket, Prefix=prefix, MaxKeys=1
        )
    except (ClientError, BotoCoreError):
        # The checks before have told what this administrator cannot do.
        return ""
    return next((str(one["Key"]) for one in told.get("Contents", ())), "")
