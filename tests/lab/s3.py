"""A client of S3 for tests: of any server, with any user's keys, every operation."""

import warnings
from pathlib import Path
from typing import Any, Final

from agent.common.outgoing import Destination, Outgoing, StorageKeys
from agent.common.regions import RegionConfig
from tests.lab.ceph import Keys

with warnings.catch_warnings():
    # Of its own vendored copies.
    warnings.simplefilter("ignore", DeprecationWarning)
    import botocore.session
    from botocore.config import Config

_SECONDS: Final = 20.0


def s3_client(endpoint: str, keys: Keys, *, ca: Path | None = None) -> Any:
    """A botocore client that asks once, and waits no longer than a test can."""
    return botocore.session.Session().create_client(
        "s3",
        region_name="us-east-1",
        endpoint_url=endpoint,
        aws_access_key_id=keys.access,
        aws_secret_access_key=keys.secret,
        verify=True if ca is None else str(ca),
        config=Config(
            signature_version="s3v4",
            s3={"addressing_style": "path"},
            retries={"total_max_attempts": 1},
            connect_timeout=_SECONDS,
            read_timeout=_SECONDS,
            proxies={},
        ),
    )


def owner_client(endpoint: str, keys: Keys) -> Any:
    """The product's own client, by which `storage init` makes buckets."""
    storage = Destination("storage", endpoint, "FI")
    signing = StorageKeys(keys.access, keys.secret)
    return Outgoing(RegionConfig()).s3_client(storage, signing)
