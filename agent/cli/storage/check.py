"""`recording-agent storage check`: whether central storage is as it must be."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from agent.cli.storage.findings import show
from agent.cli.storage.options import Asked
from agent.cli.storage.targets import Site, read_site
from agent.common.errors import AgentError
from agent.signalling.secrets import Secrets
from agent.upload.bucket_probes import probe_bucket, probe_rights
from agent.upload.bucket_properties import Finding, Verdict, Wanted
from agent.upload.buckets import check_bucket
from agent.upload.directories import check_directory
from agent.upload.policies import Dialect, Users
from agent.upload.s3_credentials import parse_credentials


def command(asked: Asked, *, admin_credentials: Path | None = None) -> None:
    """Judge buckets or directories: 1 if something is wrong, with its remedy.

    With ARNs the policies that name them are looked for.

    Args:
        asked: See above.
        admin_credentials: An AWS shared-credentials file of who may see and do all
            there; without it only what the configured ones may do is found out.
    """
    site = read_site(asked.config)
    show(findings(site, admin_credentials, asked.users(), asked.dialect))


def findings(
    site: Site,
    admin_credentials: Path | None,
    users: Users,
    dialect: Dialect | None,
) -> Iterator[Finding]:
    """What is found of all its storages, as it is found."""
    for index, storage in enumerate(site.storages):
        if not storage.is_s3:
            for directory in site.directories(storage):
                yield from check_directory(directory, site.owner)
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
