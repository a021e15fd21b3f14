"""The embedded Redis: on a unix socket, with its append-only file, never evicting."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import redis

from pixelbloom.local import binaries
from pixelbloom.local.child import Command
from pixelbloom.local.home import Home

#: Messages of Redis 6.2 for an unreadable append-only file, or snapshot at its head.
DAMAGED = (
    "reading the append only file",  # bad format, unexpected end, an unknown command
    "Terminating server after rdb file reading failure",
    "Internal error in RDB reading",
    "Fatal error loading the DB",
)


@dataclass(frozen=True)
class RedisServer:
    """One Redis in a home. Everything in it can be rebuilt from Postgres, so damaged data is set aside."""

    home: Home
    said: Callable[[], str] = field(default=lambda: "")
    say: Callable[[str], object] = field(default=lambda _: None)
    durable: bool = True

    @property
    def socket(self) -> Path:
        return self.home.sockets / "redis.sock"

    @property
    def url(self) -> str:
        return f"unix://{self.socket}?db=0"

    def command(self) -> Command:
        """`said` returns the server's last output, which shows whether its data prevented the start."""
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "700",
            "dir": str(self.home.redis),
            "appendonly": "yes" if self.durable else "no",
            "appendfsync": "everysec",
            "aof-load-truncated": "yes",
            "save": "",
            "maxmemory-policy": "noeviction",
            "hz": "5",  # its clock is half of what it does at rest
            "daemonize": "no",
            "set-proc-title": "no",
        }
        argv = [part for name, value in options.items() for part in (f"--{name}", value)]
        return Command("redis", [str(binaries.redis_server()), *argv], before=self._prepare)

    def ready(self) -> bool:
        try:
            with redis.Redis(unix_socket_path=str(self.socket), socket_timeout=2) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False

    def damaged(self) -> bool:
        """Return whether the last start failed on its own data."""
        words = self.said()
        return any(sign in words for sign in DAMAGED)

    def _prepare(self) -> None:
        self.home.redis.mkdir(mode=0o700, exist_ok=True)
        if self.damaged():
            self.set_aside()

    def set_aside(self) -> None:
        """Set the data aside and report it; nothing is deleted."""
        stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
        for name in ("appendonly.aof", "dump.rdb"):
            path = self.home.redis / name
            if path.exists():
                aside = path.with_name(f"{name}.damaged-{stamp}")
                path.rename(aside)
                self.say(f"Redis could not read its data; set aside as {aside}. Runs are published again from Postgres")
