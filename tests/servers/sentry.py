"""A Sentry: an HTTP server in a thread that takes envelopes."""

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

import brotli


class SentryServer:
    """Stores the events that are sent to `dsn`, and the bodies as text."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.bodies: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self.dsn = f"http://thekeyofthetests@127.0.0.1:{self._server.server_address[1]}/42"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, name="sentry", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def named(self, message: str) -> list[dict[str, Any]]:
        """Return the events with this message."""
        return [event for event in list(self.events) if event.get("logentry", {}).get("message") == message]

    def take(self, body: bytes) -> None:
        self.bodies.append(body.decode())
        lines = body.splitlines()
        for head, item in zip(lines[1::2], lines[2::2], strict=False):
            if json.loads(head).get("type") == "event":
                self.events.append(json.loads(item))


def _handler(sentry: SentryServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            """Log nothing."""

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            match self.headers.get("Content-Encoding"):
                case "gzip":
                    body = gzip.decompress(body)
                case "br":
                    body = brotli.decompress(body)
            if self.path == "/api/42/envelope/":
                sentry.take(body)
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

    return Handler
