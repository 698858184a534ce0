"""`[[storage]]`: where sealed recordings go."""

import ipaddress
import re
from typing import Final, Literal
from urllib.parse import SplitResult, urlsplit

import msgspec

from agent.common.outgoing import Destination
from agent.upload.backend import is_key

_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,40}")
_OF_S3: Final = ("endpoint", "credentials", "ca")


class StorageConfig(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True
):
    """One central storage. Two URLs, because Object Lock defaults are per bucket."""

    locked_url: str
    "Audio and manifests: may be WORM-locked by the store."
    url: str
    "Key envelopes, index, states: never locked."
    name: str = ""
    "For status and log."
    endpoint: str = ""
    "Of an object store: https://host[:port]; buckets are in the path."
    region: str = ""
    "Where it is: a country, or a provider's name of a region."
    signing_region: str = "us-east-1"
    "What requests are signed for; object stores of one's own ask for no other."
    credentials: str = msgspec.field(default="")
    "AWS shared-credentials file, or `credential:NAME` of the service manager's."
    ca: str = ""
    "PEM file of who vouches for the endpoint; empty: whom the system believes."
    lock: Literal["none", "governance", "compliance"] = "none"
    "What the locked bucket's default gives every object; put and not locked so: alarm."

    @property
    def is_s3(self) -> bool:
        """Whether it is an object store, not a directory."""
        return self.url.startswith("s3:")

    def destination(self, index: int) -> Destination:
        """What is connected to; this is the file's `index`-th `[[storage]]`."""
        return Destination(f"storage[{index}]", self.endpoint or self.url, self.region)

    def __post_init__(self) -> None:
        if self.name and _NAME.fullmatch(self.name) is None:
            raise ValueError("name is letters, digits and .-_, 40 at most")
        kinds = {urlsplit(url).scheme for url in (self.locked_url, self.url)}
        for name in ("locked_url", "url"):
            _check_url(name, getattr(self, name))
        if self.locked_url == self.url:
            raise ValueError("locked_url and url must differ")
        if len(kinds) > 1:
            raise ValueError("locked_url and url must be of one kind")
        if self.is_s3:
            self._check_s3()
            return
        for name in _OF_S3:
            if getattr(self, name):
                raise ValueError(f"{name} is for s3:// URLs")
        if self.lock != "none":
            raise ValueError("lock is for s3:// URLs: directories lock nothing")

    def _check_s3(self) -> None:
        if urlsplit(self.locked_url).netloc == urlsplit(self.url).netloc:
            raise ValueError("locked_url and url must be two buckets")
        if not self.endpoint:
            raise ValueError("endpoint is missing: s3:// URLs need one")
        if not self.credentials:
            raise ValueError("credentials is missing: s3:// URLs need some")
        _check_endpoint(self.endpoint)


def bucket_of(url: str) -> tuple[str, str]:
    """Bucket and prefix of an s3:// URL."""
    parts = urlsplit(url)
    return parts.netloc, parts.path.strip("/")


def _check_url(name: str, url: str) -> None:
    if url.startswith("file:///"):
        return
    if not url.startswith("s3://"):
        raise ValueError(f"{name} must be a file:///… or s3://bucket/prefix URL")
    bucket, prefix = bucket_of(url)
    if _BUCKET.fullmatch(bucket) is None:
        raise ValueError(f"{name}: {bucket!r} is no name of a bucket")
    if (prefix and not is_key(prefix)) or "?" in url or "#" in url:
        raise ValueError(f"{name}: its prefix is no folder's name")


def _check_endpoint(endpoint: str) -> None:
    parts = urlsplit(endpoint)
    try:
        port = parts.port
    except ValueError:
        port = 0
    if (
        not parts.hostname
        or port == 0
        or parts.path.strip("/")
        or parts.query
        or "@" in parts.netloc
    ):
        raise ValueError("endpoint must be https://host[:port]")
    if parts.scheme != "https" and not _is_this_host(parts):
        raise ValueError("endpoint must be https://…; http:// only on this host")


def _is_this_host(parts: SplitResult) -> bool:
    if parts.scheme != "http":
        return False
    host = parts.hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
