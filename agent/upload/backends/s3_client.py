"""A connection to an object store that speaks S3: signed, bounded, in own threads."""

import asyncio
import functools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

import urllib3.exceptions
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionClosedError,
    ConnectTimeoutError,
    EndpointConnectionError,
    HTTPClientError,
    ReadTimeoutError,
    SSLError,
)
from botocore.parsers import ResponseParserError

from agent.common.clock import utc_now
from agent.common.outgoing import (
    Destination,
    OtherHostError,
    Outgoing,
    StorageKeys,
    TooLongError,
)
from agent.upload.backend import StorageDeniedError, StorageError
from agent.upload.backends import s3_listing
from agent.upload.backends.s3_errors import translate

CONNECT_SECONDS: Final = 5.0
"Also how long a send may stand still."
READ_SECONDS: Final = 20.0
"How long storage may think before it answers."
CALL_SECONDS: Final = 60.0
"For a whole request; a storage that sends an octet now and then is none."
SLOWEST: Final = 50_000
"Bytes per second: a put may take as long as that."
THREADS: Final = 8

_REASONS: Final = (
    ((ConnectTimeoutError, EndpointConnectionError), "storage cannot be reached"),
    (ReadTimeoutError, "storage does not answer"),
    (SSLError, "storage's certificate or TLS is not accepted"),
    (ConnectionClosedError, "storage has closed the connection"),
    (FileNotFoundError, "what is to be stored has gone"),
)

T = TypeVar("T")


class S3Client:
    """One user at one object store; its buckets share threads and connections."""

    def __init__(
        self,
        outgoing: Outgoing,
        destination: Destination,
        read_keys: Callable[[], StorageKeys],
        *,
        signing_region: str = "us-east-1",
        ca: str = "",
        connect_seconds: float = CONNECT_SECONDS,
        read_seconds: float = READ_SECONDS,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        """`read_keys` raises AgentError; it is asked again after a refusal.

        `ca` is a PEM file of authorities. Nothing is connected to before it is used.
        """
        self._read_keys = read_keys
        self._new_client = functools.partial(
            outgoing.s3_client,
            destination,
            signing_region=signing_region,
            ca=ca,
            connect_timeout=connect_seconds,
            read_timeout=read_seconds,
            connections=THREADS,
        )
        self._call_seconds = call_seconds
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="s3")
        self._lock = threading.Lock()
        self._keys: StorageKeys | None = None
        self._client: Any = None

    async def call(self, operation: str, *, what: str, **arguments: Any) -> Any:
        """One operation by its name in botocore; returns its answer, as a dict.

        Raises StorageError and its kin, about `what`.
        """
        return await self.run(what, lambda s3: getattr(s3, operation)(**arguments))

    async def run(self, what: str, act: Callable[[Any], T], *, size: int = 0) -> T:
        """Let `act` use the botocore client in a thread; `size` bytes go or come.

        After a refusal the keys are read again: if there are new ones, it is
        tried once more. Raises StorageError, about `what`; AgentError without keys.
        """
        loop = asyncio.get_running_loop()
        call = functools.partial(self._act, what, act)
        try:
            async with asyncio.timeout(self._call_seconds + size / SLOWEST):
                return await loop.run_in_executor(self._threads, call)
        except TimeoutError:
            raise StorageError(f"{what}: storage does not come to an end.") from None

    def _act(self, what: str, act: Callable[[Any], T]) -> T:
        client = self._connected()
        try:
            return self._attempt(what, act, client)
        except StorageDeniedError:
            newer = self._connected(again=True)
            if newer is client:
                raise
            return self._attempt(what, act, newer)

    def _attempt(self, what: str, act: Callable[[Any], T], client: Any) -> T:
        try:
            return act(client)
        except ClientError as error:
            raise translate(error.response, what, utc_now()) from error
        except (BotoCoreError, urllib3.exceptions.HTTPError, OSError) as error:
            raise StorageError(f"{what}: {_reason(error)}.") from error
        # What botocore makes of dates and numbers that are none is a ValueError.
        except (ResponseParserError, ValueError, OtherHostError, TooLongError) as error:
            raise StorageError(f"{what}: storage answers what is no S3.") from error

    def _connected(self, *, again: bool = False) -> Any:
        with self._lock:
            if self._client is None or again:
                keys = self._read_keys()
                if keys != self._keys:
                    self._client, self._keys = self._new_client(keys), keys
                    events = self._client.meta.events
                    events.register(s3_listing.EVENT, s3_listing.read_page)
            return self._client


def _reason(error: Exception) -> str:
    """One line; not the library's, which shows URLs and with them our names."""
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return reason
    if isinstance(error, HTTPClientError):
        return str(error.kwargs.get("error")).splitlines()[0][:200]
    return f"{type(error).__name__}"
