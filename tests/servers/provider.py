"""A stand-in for a model provider: a real HTTP server in a thread, or in a process of its own.

`play` queues scripts, one a request; without one it sends a plausible reply. Over HTTP: POST /__script takes one
script or a list, GET /__requests gives what was asked, DELETE /__script forgets both.
"""

import argparse
import contextlib
import dataclasses
import json
import socket
import struct
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, ClassVar, Self

from tests.servers.script import Script


class Dropped(Exception):
    """The script says to drop the connection."""


class ModelHandler(BaseHTTPRequestHandler):
    """One connection. Subclasses speak a provider's protocol."""

    protocol_version = "HTTP/1.1"
    server: "ModelServer"

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing."""

    def do_GET(self) -> None:
        if self.path == "/__requests":
            self.send_document(200, self.server.requests)
        else:
            self.handle_get()

    def do_DELETE(self) -> None:
        self.server.reset()
        self.send_document(200, {})

    def do_POST(self) -> None:
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        document = json.loads(raw or b"null")
        if self.path == "/__script":
            scripts = document if isinstance(document, list) else [document]
            self.server.play(*(Script.from_json(script) for script in scripts))
            self.send_document(200, {"queued": len(scripts)})
            return
        self.server.note(self.path, document, dict(self.headers))
        script = self.server.next_script()
        try:
            self.server.wait(script.first_delay)
            if script.hang:
                self.server.wait(None)
                raise Dropped
            if script.status != 200:
                self.send_document(script.status, self.error_document(script.error), script.headers)
            else:
                self.handle_post(document, script)
        except Dropped:
            self.drop()
        except OSError:
            # The client went away, as it may.
            self.close_connection = True
            self.server.gone.set()

    def handle_get(self) -> None:
        """Respond to any other path."""
        self.send_document(404, self.error_document("not found"))

    def handle_post(self, document: dict[str, Any], script: Script) -> None:
        """Respond to a request with status 200, following the script."""
        raise NotImplementedError

    def error_document(self, error: str) -> Any:
        """The provider's shape of an error."""
        return {"error": error}

    def send_document(self, status: int, document: Any, headers: Any = ()) -> None:
        """A whole JSON response."""
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def begin_stream(self, content_type: str) -> None:
        """The head of a chunked response."""
        self.send_response(200)
        self.send_header("Content-Type", content_type)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def send_chunk(self, text: str) -> None:
        """One chunk, now."""
        body = text.encode("utf-8", "surrogatepass")
        self.wfile.write(f"{len(body):x}\r\n".encode() + body + b"\r\n")
        self.wfile.flush()

    def end_stream(self) -> None:
        """The end of a chunked response."""
        self.wfile.write(b"0\r\n\r\n")

    def paced(self, pieces: list[str], script: Script) -> Iterator[str | None]:
        """Yield the pieces at their times; None for an error or garbage in the stream."""
        delay = self.server.delay if script.delay is None else script.delay
        for sent, piece in enumerate([*pieces, None]):
            if script.break_after == sent:
                raise Dropped
            if script.hang_after == sent:
                self.server.wait(None)
                raise Dropped
            if script.hold_after == sent:
                self.server.going_on.wait(600)
            if sent in (script.error_after, script.garbage_after):
                yield None
                return
            if piece is not None:
                self.server.wait(delay)
                yield piece

    def drop(self) -> None:
        """Close with a reset, as a process that died would."""
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()


class ModelServer(ThreadingHTTPServer):
    """The server, with its queue of scripts and its recorded requests."""

    handler: ClassVar[type[ModelHandler]]
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, port: int = 0, delay: float = 0.0) -> None:
        super().__init__(("127.0.0.1", port), self.handler)
        self.delay = delay
        self.requests: list[dict[str, Any]] = []
        self.gone = threading.Event()
        #: Set by a test to end what scripts hold.
        self.going_on = threading.Event()
        self._scripts: deque[Script] = deque()
        self._always: Script | None = None
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def __enter__(self) -> Self:
        # poll_interval: how long shutdown may take.
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Refuse connections from now on; wake all hanging requests."""
        self._closing.set()
        self.going_on.set()
        if self._thread is not None:
            self.shutdown()
            self._thread.join(60)
            self._thread = None
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Report bugs in the stand-in, not clients that disconnected."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    def play(self, *scripts: Script) -> None:
        """Use these scripts for the next requests."""
        with self._lock:
            self._scripts.extend(scripts)

    def always(self, script: Script | None) -> None:
        """Use this script whenever none is queued."""
        with self._lock:
            self._always = script

    def reset(self) -> None:
        """Drop the scripts and the requests."""
        with self._lock:
            self._scripts.clear()
            self._always = None
            self.requests.clear()
            self.going_on.clear()

    def next_script(self) -> Script:
        """The script for the request at hand."""
        with self._lock:
            return self._scripts.popleft() if self._scripts else self._always or Script()

    def note(self, path: str, body: Any, headers: dict[str, str]) -> None:
        """Record a request."""
        with self._lock:
            self.requests.append({"path": path, "body": body, "headers": headers})

    def wait(self, seconds: float | None) -> None:
        """Wait so long, or (None) until the server stops, ten minutes at most."""
        if seconds is None or seconds > 0:
            self._closing.wait(600 if seconds is None else seconds)


def serve(server_type: type[ModelServer], arguments: list[str], **more: Any) -> None:
    """Run a stand-in in the foreground."""
    parser = argparse.ArgumentParser(description=server_type.__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each piece")
    for script_field in dataclasses.fields(Script):
        if script_field.name in ("status", "first_delay", "error", "text"):
            parser.add_argument(f"--{script_field.name.replace('_', '-')}", default=None, help="of every reply")
    parser.add_argument("--hang", action="store_true", help="never reply")
    options = parser.parse_args(arguments)
    server = server_type(port=options.port, delay=options.delay, **more)
    server.always(
        Script(
            text=options.text,
            status=int(options.status or 200),
            error=options.error or "internal error",
            first_delay=float(options.first_delay or 0),
            hang=options.hang,
        )
    )
    print(f"{server_type.__name__} at {server.url}", flush=True)  # noqa: T201
    with contextlib.suppress(KeyboardInterrupt), server:
        while True:
            time.sleep(3600)
