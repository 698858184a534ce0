"""From a configuration to the storage it names."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from agent.common.outgoing import Outgoing, StorageKeys
from agent.signalling.secrets import Secrets
from agent.upload.backend import StorageBackend, StorageError
from agent.upload.backends.directory import DirectoryBackend
from agent.upload.config import StorageConfig, bucket_of
from agent.upload.s3_credentials import parse_credentials


@dataclass(frozen=True, slots=True)
class Target:
    """One central storage."""

    locked: StorageBackend
    state: StorageBackend
    name: str = "storage"
    "For status and log."


def open_target(
    config: StorageConfig,
    base: Path,
    secrets: Secrets,
    outgoing: Outgoing,
    *,
    index: int = 0,
) -> Target:
    """The storage of one `[[storage]]`, the file's `index`-th.

    Nothing is connected to and no directory looked at before it is used. Raises
    OutsideRegionError for an object store that is not where recordings may go.
    """
    destination = config.destination(index)
    name = config.name or destination.name
    outgoing.permit(destination)
    if not config.is_s3:
        return Target(
            open_store(config.locked_url, base), open_store(config.url, base), name
        )
    # A site that stores to a directory needs none of it.
    from agent.upload.backends.s3 import S3Backend  # noqa: PLC0415
    from agent.upload.backends.s3_client import S3Client  # noqa: PLC0415

    client = S3Client(
        outgoing,
        destination,
        lambda: read_keys(config, secrets),
        signing_region=config.signing_region,
        ca=str(base / config.ca) if config.ca else "",
    )
    return Target(
        S3Backend(client, *bucket_of(config.locked_url), lock=config.lock),
        S3Backend(client, *bucket_of(config.url)),
        name,
    )


def read_keys(config: StorageConfig, secrets: Secrets) -> StorageKeys:
    """What requests to an object store are signed with, as it is now.

    Raises SecretError, S3CredentialsError.
    """
    return parse_credentials(secrets.read(config.credentials))


def open_store(url: str, base: Path) -> DirectoryBackend:
    """The directory of a file: URL. Raises StorageError for others."""
    parts = urlsplit(url)
    if parts.scheme != "file":
        raise StorageError(
            f"storage of the kind {parts.scheme}: is not supported here.",
            hint="Use a file:///… URL.",
        )
    return DirectoryBackend(base / unquote(parts.path))
