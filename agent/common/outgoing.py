"""The one place that connections of ours go out through.

Storage, gate and whatever else is told what we know of calls: a destination states its
region, and one outside the allow-list is refused at start, by its name in the
configuration, and again here, before anything is sent. Where a server's answer names
another host, nobody goes there: the operator has vouched for this one only. Proxies,
endpoints and credentials of the environment are not heeded, nor is the cloud's own
metadata service asked: each would be a connection that no list knows.

SIP and RTP are not destinations: a telephone call goes to whoever is called. Tests hold
every other module of the agent to this one.
"""

import functools
import ssl
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from agent.common.errors import AgentError
from agent.common.regions import RegionConfig, is_allowed, why_refused

if TYPE_CHECKING:
    import aiomqtt
    import httpx

CONNECT_SECONDS: Final = 5.0
READ_SECONDS: Final = 30.0
"Silence after which an answer is no longer waited for."
MAX_ANSWER: Final = 8 << 20
"Bytes of a whole answer of S3: a thousand names of a listing are one megabyte."
_LAST_ON_CONNECTION: Final = ".GetPublicAccessBlock"
"""What nothing is asked behind on the same connection.

Ceph (20.2) answers it with a 404, and then with the 200 that it did not mean, which
would be read as the answer to whatever is asked next.
"""
_making: Final = threading.Lock()
_PORTS: Final = {"http": 80, "https": 443, "mqtt": 1883, "mqtts": 8883}


class OutsideRegionError(AgentError):
    """A target is not where recordings may go."""

    hint = "Name a target inside region.allowed, or state its region there."


class OtherHostError(AgentError):
    """We were sent on to a host that nobody has vouched for."""

    hint = "Configure the host that serves; redirections are not followed."


class TooLongError(AgentError):
    """An answer does not come to an end."""

    hint = "Find out what answers there: it is no S3."


@dataclass(frozen=True, slots=True)
class Destination:
    """One target of ours."""

    name: str
    "Its path in the configuration, as in `storage[0]`."
    url: str
    "file:///…, or http(s)://host[:port]/…, which must be the one that is connected to."
    region: str
    "As its operator states it."

    @property
    def is_directory(self) -> bool:
        """Whether nothing is connected to."""
        return self.url.startswith("file:")


@dataclass(frozen=True, slots=True)
class StorageKeys:
    """What a request to S3 is signed with."""

    access: str = field(repr=False)
    secret: str = field(repr=False)
    token: str = field(default="", repr=False)


class Outgoing:
    """Makes every client of ours, for destinations on the list."""

    def __init__(self, config: RegionConfig) -> None:
        self._config = config

    def judge(self, destinations: Iterable[Destination]) -> list[str]:
        """Every mistake, each with its destination's name: for `check-config`."""
        mistakes = []
        for destination in destinations:
            try:
                self.permit(destination)
            except OutsideRegionError as error:
                mistakes.append(str(error).removesuffix(f" {error.hint}"))
        return mistakes

    def permit(self, destination: Destination) -> None:
        """Pass a destination on the list. Raises OutsideRegionError."""
        region = destination.region
        if destination.is_directory:
            # On this host, whose country is one setting: it may be untold.
            region = region or self._config.here
            if not region:
                return
        if not is_allowed(region, self._config.allowed):
            why = why_refused(region, self._config.allowed)
            raise OutsideRegionError(f"{destination.name}.region: {why}.")

    def s3_client(
        self,
        destination: Destination,
        keys: StorageKeys,
        *,
        signing_region: str = "us-east-1",
        ca: str = "",
        connect_timeout: float = CONNECT_SECONDS,
        read_timeout: float = READ_SECONDS,
        connections: int = 10,
    ) -> Any:
        """A blocking client of S3 that asks once: trying again is our caller's.

        `ca` is a PEM file of authorities; without it the system's are believed.
        Raises OutsideRegionError; the client's methods raise OtherHostError and
        TooLongError beside botocore's own errors.
        """
        self.permit(destination)
        # Many modules, which a site that stores to a directory never needs.
        from botocore.config import Config  # noqa: PLC0415
        from botocore.httpsession import URLLib3Session  # noqa: PLC0415

        with _making:  # a session is not to be used by two threads
            client = _session().create_client(
                "s3",
                region_name=signing_region,
                endpoint_url=destination.url,
                aws_access_key_id=keys.access,
                aws_secret_access_key=keys.secret,
                aws_session_token=keys.token or None,
                verify=ca or True,
                config=Config(
                    signature_version="s3v4",
                    s3={"addressing_style": "path", "payload_signing_enabled": True},
                    retries={"total_max_attempts": 1, "mode": "standard"},
                    # Only what we ask for: some servers refuse the newer trailers.
                    request_checksum_calculation="when_required",
                    response_checksum_validation="when_required",
                    proxies={},
                ),
            )
        expected = _host_of(destination.url)

        def session() -> Any:
            return URLLib3Session(
                timeout=(connect_timeout, read_timeout),
                proxies={},
                verify=ca or True,
                max_pool_connections=connections,
            )

        http = session()

        def send(request: Any, event_name: str, **_: object) -> Any:
            _refuse_others(destination, expected, request.url)
            # Nothing is read before there is a bound.
            request.stream_output = True
            if event_name.endswith(_LAST_ON_CONNECTION):
                # A server need not say that it closes: so nobody else has this one.
                request.headers["Connection"] = "close"
                alone = session()
                response = alone.send(request)
                alone.close()
            else:
                response = http.send(request)
            response.raw = _Bounded(response.raw)
            return response

        client.meta.events.register("before-call.s3", _stay)
        client.meta.events.register("before-send.s3", send)
        return client

    def mqtt_client(
        self,
        destination: Destination,
        tls: ssl.SSLContext | None,
        will: tuple[str, bytes] | None,
        **options: Any,
    ) -> "aiomqtt.Client":
        """A client of one broker, that speaks MQTT 5 and connects once.

        `will` is a topic, and what is to be retained there once we are gone; the
        other `options` are aiomqtt's. Raises OutsideRegionError.
        """
        self.permit(destination)
        import aiomqtt  # noqa: PLC0415 - only hosts with a broker need it

        _, host, port = _host_of(destination.url)
        client = aiomqtt.Client(
            host,
            port or _PORTS["mqtts"],
            protocol=aiomqtt.ProtocolVersion.V5,
            tls_context=tls,
            will=None if will is None else aiomqtt.Will(*will, qos=1, retain=True),
            **options,
        )
        # Else the environment may name one, if the right library is installed.
        client._client._get_proxy = lambda: None  # type: ignore[method-assign]  # noqa: SLF001
        return client

    def http_client(
        self, destination: Destination, tls: ssl.SSLContext
    ) -> "httpx.AsyncClient":
        """A client of one HTTPS service, whose paths are below the destination.

        Raises OutsideRegionError; its requests raise OtherHostError beside httpx's own.
        """
        self.permit(destination)
        import httpx  # noqa: PLC0415 - the gate's clients alone need it

        expected = _host_of(destination.url)

        async def check(request: httpx.Request) -> None:
            _refuse_others(destination, expected, str(request.url))

        return httpx.AsyncClient(
            base_url=destination.url,
            verify=tls,
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
            event_hooks={"request": [check]},
        )


@functools.cache
def _session() -> Any:
    """Its models take a second to read: once for all clients."""
    import botocore.session  # noqa: PLC0415

    # No profile and no file of the account that we run under.
    ours = {"profile": (None, None, None, None)}
    session = botocore.session.Session(session_vars=ours)
    session.set_config_variable("config_file", "/dev/null")
    parsers = session.get_component("response_parser_factory")
    parsers.set_parser_defaults(timestamp_parser=moment_of)
    return session


def moment_of(text: str) -> datetime:
    """A time in an answer of S3, in one of its two forms. Raises ValueError.

    botocore's own reader takes every form there is, and its time.
    """
    iso = text[:4].isdigit()
    moment = datetime.fromisoformat(text) if iso else parsedate_to_datetime(text)
    if moment.tzinfo is None:
        raise ValueError("a time without its zone")
    return moment


class _Bounded:
    """An answer that is read whole only while it is not too long."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def __getattr__(self, name: str) -> Any:
        return getattr(self._raw, name)

    def stream(self) -> Iterator[bytes]:
        """What is no object, in pieces. Raises TooLongError."""
        size = 0
        for piece in self._raw.stream():
            size += len(piece)
            if size > MAX_ANSWER:
                self._raw.close()
                raise TooLongError(f"the answer has more than {MAX_ANSWER} bytes.")
            yield piece


def _stay(context: dict[str, Any], **_: object) -> None:
    # Else botocore asks around where a redirected bucket is, of whoever redirects.
    context.setdefault("s3_redirect", {})["redirected"] = True


def _host_of(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port or _PORTS.get(parts.scheme)


def _refuse_others(
    destination: Destination, expected: tuple[str, str, int | None], url: str
) -> None:
    asked = _host_of(url)
    if asked != expected:
        raise OtherHostError(f"{destination.name} sends us on to {asked[1]!r}.")
