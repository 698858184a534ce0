"""HTTP servers that note who asks them for what, and do not answer as they should."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Final, Self

_REFUSED: Final = b"<Error><Code>NoSuchPublicAccessBlockConfiguration</Code></Error>"
_STRAY: Final = b"<PublicAccessBlockConfiguration/>HTTP/1.1 200 OK\r\n\r\n"


class _Server:
    """Serves from `with` on, at a port of its own."""

    def __init__(self, handler: type[BaseHTTPRequestHandler]) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.01}
        )

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Elsewhere(_Server):
    """It may send who asks on."""

    def __init__(self, sends_to: str = "") -> None:
        self.asked: list[str] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self) -> None:
                outer.asked.append(f"{self.command} {self.path}")
                self.send_response(307 if sends_to else 200)
                if sends_to:
                    self.send_header("Location", f"{sends_to}{self.path}")
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_HEAD = do_PUT = do_POST = answer  # noqa: N815

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        super().__init__(Handler)


class AnswersTwice(_Server):
    """It refuses what it is got for, and behind that says what it should not.

    Ceph's gateway does so where a bucket has no public access block; the second answer
    comes late here, once the client asks for the next thing, and so does the close.
    """

    def __init__(self) -> None:
        asked = threading.Event()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            stray = b""

            def do_GET(self) -> None:
                self.send_response(404)
                self.send_header("Content-Length", str(len(_REFUSED)))
                self.end_headers()
                self.wfile.write(_REFUSED)
                self.stray = _STRAY
                asked.wait(1.0)  # on another connection, if the client is right

            def do_PUT(self) -> None:
                asked.set()
                self.wfile.write(self.stray)
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nobody reads it."""

        super().__init__(Handler)
