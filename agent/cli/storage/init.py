"""`recording-agent storage init`: central storage made as it must be."""

from collections.abc import Iterator
from pathlib import Path

from agent.cli.storage.check import admin_client
from agent.cli.storage.findings import show
from agent.cli.storage.options import Asked
from agent.cli.storage.targets import Site, read_site
from agent.common.errors import AgentError
from agent.upload.bucket_probes import probe_bucket
from agent.upload.bucket_properties import Finding, Verdict
from agent.upload.buckets import init_bucket
from agent.upload.directories import init_directory
from agent.upload.policies import Dialect, Users


class NoCredentialsError(AgentError):
    """Buckets cannot be made with a host's credentials."""

    hint = "Name a file with an administrator's: --admin-credentials FILE."


def command(asked: Asked, *, admin_credentials: Path | None = None) -> None:
    """Make what is missing of buckets or directories; weaken nothing that is there.

    With any ARN, policies are put on new buckets; without, attach what `storage
    policies` prints to the users.

    Args:
        asked: See above.
        admin_credentials: An AWS shared-credentials file of who may make buckets. It is
            needed here alone: keep it off the hosts.
    """
    site = read_site(asked.config)
    show(_findings(site, admin_credentials, asked.users(), asked.dialect))


def _findings(
    site: Site,
    admin_credentials: Path | None,
    users: Users,
    dialect: Dialect | None,
) -> Iterator[Finding]:
    for index, storage in enumerate(site.storages):
        if not storage.is_s3:
            for directory in site.directories(storage):
                yield from init_directory(directory, site.owner)
            continue
        if admin_credentials is None:
            raise NoCredentialsError(f"{storage.destination(index).name} is on S3.")
        admin = admin_client(site, index, admin_credentials)
        for wanted in site.wanted(storage, users, dialect):
            found = list(init_bucket(admin, wanted))
            yield from found
            if found[0].verdict is Verdict.RIGHT:
                yield from probe_bucket(admin, wanted)
