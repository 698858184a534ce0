"""A small S3 server that does what it is told: also what no real one does on demand.

It keeps objects in memory, or hands requests on to a real server; `behave` stands in
between and may alter, delay, refuse or cut off what it likes.
"""

import base64
import contextlib
import hashlib
import http.client
import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, unquote, urlsplit

from agent.common.clock import utc_now
from tests.ports import HOST


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    headers: dict[str, str]
    "By names in lower case."
    body: bytes

    @property
    def bucket(self) -> str:
        return self._path.partition("/")[0]

    @property
    def key(self) -> str:
        return self._path.partition("/")[2]

    @property
    def query(self) -> dict[str, str]:
        return dict(parse_qsl(urlsplit(self.target).query, keep_blank_values=True))

    @property
    def _path(self) -> str:
        return unquote(urlsplit(self.target).path).removeprefix("/")


@dataclass
class Response:
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    cut: int | None = None
    "Octets of the body after which the connection ends."


Serve = Callable[[Request], Response]


@dataclass
class Version:
    id: str
    data: bytes
    checksum: str
    tags: str
    deleted: bool = False
    modified: datetime = field(default_factory=utc_now)


def refusal(status: int, code: str) -> Response:
    xml = f"<Error><Code>{code}</Code><Message>no</Message></Error>"
    return Response(status, {"content-type": "application/xml"}, xml.encode())


class FakeS3:
    """Listens on 127.0.0.1 until `close`."""

    def __init__(self, upstream: str = "", *, versioned: bool = False) -> None:
        """`upstream` is the endpoint of a real one, asked in the clear."""
        self.behave: Callable[[Request, Serve], Response] = lambda r, serve: serve(r)
        self.asked: list[Request] = []
        self.versioned = versioned
        self.lock_headers: dict[str, str] = {}
        "What a HEAD tells of every object."
        self.objects: dict[str, list[Version]] = {}
        "By bucket and key; the newest last."
        self._upstream = urlsplit(upstream).netloc
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        self._server = _Server((HOST, 0), _handler(self))
        threading.Thread(
            target=self._server.serve_forever, args=(0.01,), daemon=True
        ).start()
        self.endpoint = f"http://{HOST}:{self._server.server_port}"

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: Request) -> Response:
        self.asked.append(request)
        return self.behave(request, self._forward if self._upstream else self._serve)

    def _forward(self, request: Request) -> Response:
        connection = http.client.HTTPConnection(self._upstream, timeout=30)
        try:
            # Host as it was signed.
            connection.putrequest(
                request.method,
                request.target,
                skip_host=True,
                skip_accept_encoding=True,
            )
            for name, value in request.headers.items():
                if name not in {"expect", "connection", "content-length"}:
                    connection.putheader(name, value)
            connection.putheader("content-length", str(len(request.body)))
            connection.endheaders(request.body)
            got = connection.getresponse()
            body = got.read()
            headers = {name.lower(): value for name, value in got.getheaders()}
            if request.method != "HEAD":
                headers.pop("content-length", None)
            for name in ("connection", "transfer-encoding"):
                headers.pop(name, None)
            return Response(got.status, headers, body)
        except OSError:
            return refusal(502, "BadGateway")
        finally:
            connection.close()

    def _serve(self, request: Request) -> Response:
        with self._lock:
            if not request.key:
                return self._bucket(request)
            if request.method == "PUT":
                return self._put(request)
            versions = self.objects.get(f"{request.bucket}/{request.key}", [])
            wanted = request.query.get("versionId")
            found = [v for v in versions if wanted in {None, v.id}]
            if request.method == "DELETE" and "tagging" in request.query:
                for version in found:
                    version.tags = ""
                return Response(204)
            if request.method == "DELETE":
                return self._delete(request, versions, found)
            if not found or found[-1].deleted:
                return refusal(404, "NoSuchKey")
            return self._read(request, found[-1])

    def _put(self, request: Request) -> Response:
        name = f"{request.bucket}/{request.key}"
        versions = self.objects.setdefault(name, [])
        taken = bool(versions) and not versions[-1].deleted
        if taken and request.headers.get("if-none-match") == "*":
            return refusal(412, "PreconditionFailed")
        digest = hashlib.sha256(request.body)
        checksum = base64.b64encode(digest.digest()).decode()
        if request.headers.get("x-amz-checksum-sha256", checksum) != checksum:
            return refusal(400, "BadDigest")
        told = checksum if "x-amz-checksum-sha256" in request.headers else ""
        tags = request.headers.get("x-amz-tagging", "")
        version = Version(f"v{next(self._numbers)}", request.body, told, tags)
        if not self.versioned:
            versions.clear()
        versions.append(version)
        return Response(headers=self._names(version))

    def _delete(
        self, request: Request, versions: list[Version], found: list[Version]
    ) -> Response:
        if not self.versioned:
            versions.clear()
        elif "versionId" in request.query:
            versions[:] = [v for v in versions if v not in found]
        else:
            marker = Version(f"v{next(self._numbers)}", b"", "", "", deleted=True)
            versions.append(marker)
        return Response(204)

    def _read(self, request: Request, version: Version) -> Response:
        headers = self._names(version) | self.lock_headers
        headers["last-modified"] = format_datetime(version.modified, usegmt=True)
        if version.checksum and "x-amz-checksum-mode" in request.headers:
            headers["x-amz-checksum-sha256"] = version.checksum
        if request.headers.get("if-match", headers["etag"]) != headers["etag"]:
            return refusal(412, "PreconditionFailed")
        data, size = version.data, len(version.data)
        if request.method == "HEAD":
            return Response(200, headers | {"content-length": str(size)})
        if bounds := request.headers.get("range", "").removeprefix("bytes="):
            first, _, last = bounds.partition("-")
            if int(first) >= size:
                return refusal(416, "InvalidRange")
            data = data[int(first) : int(last) + 1]
            end = int(first) + len(data) - 1
            headers["content-range"] = f"bytes {first}-{end}/{size}"
            return Response(206, headers, data)
        return Response(200, headers, data)

    def _names(self, version: Version) -> dict[str, str]:
        etag = hashlib.md5(version.data, usedforsecurity=False).hexdigest()
        names = {"etag": f'"{etag}"'}
        return names | ({"x-amz-version-id": version.id} if self.versioned else {})

    def _bucket(self, request: Request) -> Response:
        query = request.query
        if "versioning" in query:
            status = "<Status>Enabled</Status>" if self.versioned else ""
            return _xml("VersioningConfiguration", status)
        if "object-lock" in query:
            return refusal(404, "ObjectLockConfigurationNotFoundError")
        prefix = f"{request.bucket}/{query.get('prefix', '')}"
        after = query.get("continuation-token") or query.get("start-after", "")
        listed = ""
        names = sorted(n for n in self.objects if n.startswith(prefix))
        more, last, page = "", "", int(query.get("max-keys", 1000))
        for name in names:
            key, versions = name.partition("/")[2], self.objects[name]
            if "versions" in query:
                for version in reversed(versions):
                    kind = "DeleteMarker" if version.deleted else "Version"
                    listed += _entry(kind, key, version)
            elif key > after and versions and not versions[-1].deleted:
                if page == 0:
                    more = "<IsTruncated>true</IsTruncated>"
                    more += f"<NextContinuationToken>{last}</NextContinuationToken>"
                    break
                page, last = page - 1, key
                listed += _entry("Contents", key, versions[-1])
        return _xml("ListBucketResult", listed + more)


def _xml(name: str, body: str) -> Response:
    text = f"<{name}>{body}</{name}>"
    return Response(200, {"content-type": "application/xml"}, text.encode())


def _entry(kind: str, key: str, version: Version) -> str:
    # A HEAD tells no fractions: some servers do here, and readers must not care.
    at = version.modified.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return (
        f"<{kind}><Key>{key}</Key><VersionId>{version.id}</VersionId>"
        f"<LastModified>{at}</LastModified><Size>{len(version.data)}</Size></{kind}>"
    )


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def handle_error(self, request: object, client_address: object) -> None:
        """Who has hung up is not told."""


def _handler(fake: FakeS3) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            got = fake.answer(Request(self.command, self.path, headers, body))
            self.send_response_only(got.status)
            if "date" not in got.headers:
                self.send_header("date", format_datetime(utc_now(), usegmt=True))
            if "content-length" not in got.headers:
                self.send_header("content-length", str(len(got.body)))
            for name, value in got.headers.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(got.body[: got.cut])
            if got.cut is not None:
                self.close_connection = True

        do_GET = do_PUT = do_HEAD = do_DELETE = do_POST = _answer  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Nothing."""

    return Handler


@contextlib.contextmanager
def fake_s3(upstream: str = "", *, versioned: bool = False) -> Iterator[FakeS3]:
    server = FakeS3(upstream, versioned=versioned)
    try:
        yield server
    finally:
        server.close()
