"""A connection to an object store that speaks S3: signed, bounded, in own threads."""

import asyncio
import functools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

import botocore.awsrequest
import botocore.config
import botocore.configprovider
import botocore.httpsession
import botocore.parsers
import botocore.session
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

from agent.common.clock import utc_now
from agent.upload.backend import StorageDeniedError, StorageError
from agent.upload.backends.s3_errors import translate
from agent.upload.s3_credentials import S3Credentials

CONNECT_SECONDS: Final = 5.0
"Also how long a send may stand still."
READ_SECONDS: Final = 20.0
"How long storage may think before it answers."
CALL_SECONDS: Final = 60.0
"For a whole request; a storage that sends an octet now and then is none."
SLOWEST: Final = 50_000
"Bytes per second: a put may take as long as that."
THREADS: Final = 8
MAX_ANSWER: Final = 8 << 20
"Bytes of what is no object: a thousand names of a listing are one megabyte."

_VARIABLES: Final = botocore.configprovider.BOTOCORE_DEFAUT_SESSION_VARIABLES
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
        endpoint: str,
        read_credentials: Callable[[], S3Credentials],
        *,
        signing_region: str = "us-east-1",
        ca: Path | None = None,
        connect_seconds: float = CONNECT_SECONDS,
        read_seconds: float = READ_SECONDS,
        call_seconds: float = CALL_SECONDS,
    ) -> None:
        """`read_credentials` raises AgentError; it is asked again after a refusal."""
        self.endpoint = endpoint
        self._read_credentials = read_credentials
        self._region = signing_region
        self._call_seconds = call_seconds
        self._origin = urlsplit(endpoint)[:2]
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="s3")
        # Of our own, and the only way out: botocore's would use proxies and
        # certificates that the environment names.
        self._http = botocore.httpsession.URLLib3Session(
            timeout=(connect_seconds, read_seconds),
            proxies={},
            verify=True if ca is None else str(ca),
            max_pool_connections=THREADS,
        )
        self._lock = threading.Lock()
        self._credentials: S3Credentials | None = None
        self._client: Any = None

    async def call(self, operation: str, *, what: str, **arguments: Any) -> Any:
        """One operation by its name in botocore; returns its answer, as a dict.

        Raises StorageError and its kin, about `what`.
        """
        return await self.run(what, lambda s3: getattr(s3, operation)(**arguments))

    async def run(self, what: str, act: Callable[[Any], T], *, size: int = 0) -> T:
        """Let `act` use the botocore client in a thread; `size` bytes go or come.

        After a refusal the credentials are read again: if there are new ones, it is
        tried once more. Raises StorageError, about `what`; AgentError if there are no
        credentials.
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
        except botocore.parsers.ResponseParserError as error:
            raise StorageError(f"{what}: storage answers what is no S3.") from error

    def _connected(self, *, again: bool = False) -> Any:
        with self._lock:
            if self._client is None or again:
                credentials = self._read_credentials()
                if credentials != self._credentials:
                    self._client = self._new_client(credentials)
                    self._credentials = credentials
            return self._client

    def _new_client(self, credentials: S3Credentials) -> Any:
        client = _session().create_client(
            "s3",
            region_name=self._region,
            endpoint_url=self.endpoint,
            aws_access_key_id=credentials.access,
            aws_secret_access_key=credentials.secret,
            aws_session_token=credentials.token or None,
            config=botocore.config.Config(
                signature_version="s3v4",
                s3={"addressing_style": "path", "payload_signing_enabled": True},
                # When to try again is the uploader's to say.
                retries={"total_max_attempts": 1, "mode": "standard"},
                proxies={},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                parameter_validation=True,
            ),
        )
        client.meta.events.register_first("before-send.s3", self._send)
        return client

    def _send(
        self, request: botocore.awsrequest.AWSPreparedRequest, **_: object
    ) -> botocore.awsrequest.AWSResponse:
        """Every request of ours: to this endpoint alone, whatever an answer says."""
        if urlsplit(request.url)[:2] != self._origin:
            raise HTTPClientError(error="storage sends us elsewhere")
        # Nothing is read before there is a bound.
        request.stream_output = True
        response = self._http.send(request)
        response.raw = _Bounded(response.raw)
        return response


class _Bounded:
    """An answer that is read whole only if it is not too long."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def stream(self) -> Iterator[bytes]:
        """What is no object, in pieces. Raises HTTPClientError."""
        size = 0
        for piece in self._raw.stream():
            size += len(piece)
            if size > MAX_ANSWER:
                self._raw.close()
                raise HTTPClientError(error="the answer is too long")
            yield piece


@functools.cache
def _session() -> botocore.session.Session:
    """Reads no file and no variable of the environment; models are parsed once."""
    session = botocore.session.Session()
    defaults = {
        name: botocore.configprovider.ConstantProvider(default)
        for name, (_, _, default, _) in _VARIABLES.items()
    }
    store = botocore.configprovider.ConfigValueStore(mapping=defaults)
    session.register_component("config_store", store)
    return session


def _reason(error: Exception) -> str:
    """One line; not the library's, which shows URLs and with them our names."""
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return reason
    if isinstance(error, HTTPClientError):
        return str(error.kwargs.get("error")).splitlines()[0][:200]
    return f"{type(error).__name__}"
