"""gunicorn with one gevent worker, as production runs it, serving `tests.servers.sockets`, and clients of it."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode
from uuid import UUID

import httpx
import jwt
import psutil
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from pixelbloom.local.postgrest import free_port
from tests.servers import freezing
from tests.waiting import SECONDS, Deadline, until

SECRET = "a secret of thirty-two characters at least"


def token(sub: UUID | None = None, *, expires_in: float = 600, **claims: Any) -> str:
    """A user's token in the spec's form; without `sub` a service's."""
    now = time.time()
    whom = {"sub": str(sub), "role": "user"} if sub else {"role": "service"}
    return jwt.encode({**whom, "iat": int(now), "exp": now + expires_in, **claims}, SECRET, "HS256")


#: A client that reads and responds to pings whatever the test does, and sends none itself.
PATIENT: dict[str, Any] = {"open_timeout": SECONDS, "max_size": None, "max_queue": None, "ping_interval": None}


def dial(url: str, **options: Any) -> ClientConnection:
    """Open a WebSocket."""
    return connect(url, **{**PATIENT, **options})


class Client:
    """An independent WebSocket client that stores what it received."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection

    def send(self, **frame: Any) -> None:
        self.connection.send(json.dumps(frame))

    def next(self, timeout: float = SECONDS) -> dict[str, Any]:
        frame: dict[str, Any] = json.loads(self.connection.recv(timeout=timeout))
        return frame

    def until(self, *, seconds: float = SECONDS, **wanted: Any) -> list[dict[str, Any]]:
        """All frames up to one with these members, in it or in its data."""
        frames: list[dict[str, Any]] = []
        deadline = Deadline(seconds, lambda: frames[-5:], f"a frame with {wanted}")
        while True:
            try:
                frame = self.next(deadline.left)
            except TimeoutError:
                deadline.fail()
            frames.append(frame)
            data = frame.get("data") if isinstance(frame.get("data"), dict) else {}
            if all(frame.get(name, data.get(name)) == value for name, value in wanted.items()):
                return frames

    def quiet(self) -> list[dict[str, Any]]:
        """What came before a pong that is asked for now: proof that nothing else was sent."""
        self.send(type="ping")
        return self.until(type="pong")[:-1]

    def closed(self) -> tuple[int | None, str, list[dict[str, Any]]]:
        """Wait for the server's close: its code, its reason, and the frames before it."""
        frames: list[dict[str, Any]] = []
        deadline = Deadline(saw=lambda: frames[-5:], what="the server's close")
        while True:
            try:
                frames.append(self.next(deadline.left))
            except TimeoutError:
                deadline.fail()
            except ConnectionClosed:
                close = self.connection.protocol.close_rcvd
                return (close.code if close else None), (close.reason if close else ""), frames

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()


class Web:
    """The process, and clients of it."""

    def __init__(self, redis_url: str, folder: Path, *, limits: dict[str, Any] | None = None, **env: str) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.port = free_port()
        self.base = f"http://127.0.0.1:{self.port}"
        self.log = folder / "web.log"
        self._env = {
            **os.environ,
            "REDIS_URL": redis_url,
            "API_JWT_SECRET": SECRET,
            "RUNS_FOLDER": str(folder),
            "LIMITS": json.dumps({"tick_seconds": 0.1, **(limits or {})}),
            "PYTHONPATH": str(Path.cwd()),
            "LOG_LEVEL": "debug",
            "LOG_FORMAT": "pretty",
            "TMPDIR": str(folder),
            **env,
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "gunicorn", "-c", "python:tests.servers.gunicorn_settings"),
                    *("-b", f"127.0.0.1:{self.port}", "tests.servers.sockets:create_app()"),
                ],
                env=self._env,
                stdout=log,
                stderr=log,
            )
        try:
            until(self._responds, saw=self.log.read_text)
        except BaseException:
            self.kill()
            raise

    def _responds(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self.log.read_text()[-4000:]
        try:
            return bool(self.state())
        except httpx.HTTPError:
            return False

    def stop(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(SECONDS)
            except subprocess.TimeoutExpired:
                self.kill()

    def kill(self) -> None:
        """kill -9, of all its processes."""
        assert self.process is not None
        if self.process.poll() is None:
            master = psutil.Process(self.process.pid)
            for process in [master, *master.children()]:
                process.kill()
        self.process.wait(SECONDS)

    def freeze(self) -> None:
        """Suspend the process: it neither reads nor writes."""
        freezing.freeze(self._workers())

    def thaw(self) -> None:
        freezing.thaw(self._workers())

    def _workers(self) -> list[psutil.Process]:
        assert self.process is not None
        return psutil.Process(self.process.pid).children()

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = httpx.get(f"{self.base}/state", timeout=SECONDS).json()
        return found

    def until_state(self, **wanted: Any) -> dict[str, Any]:
        """Wait until the state has these values, and return it."""
        state: dict[str, Any] = {}

        def matches() -> bool:
            state.update(self.state())
            return all(state[name] == value for name, value in wanted.items())

        until(matches, saw=lambda: f"{state}, and not {wanted}")
        return state

    def url(self, channel: str = "workflows", **query: str) -> str:
        return f"ws://127.0.0.1:{self.port}/api/ws/{channel}" + (f"?{urlencode(query)}" if query else "")

    def connect(self, who: UUID | None = None, channel: str = "workflows", **options: Any) -> Client:
        """A client with that user's token; without one, a service."""
        claims = options.pop("claims", {})
        url = self.url(channel, token=token(who, **claims))
        return Client(dial(url, **options))

    def errors(self) -> str:
        """Tracebacks in the process's log."""
        text = self.log.read_text()
        return text[text.index("Traceback") :] if "Traceback" in text else ""

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        """At once: only the tests of stopping wait for an orderly one."""
        if self.process is not None:
            self.kill()
