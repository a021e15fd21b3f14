"""Debian's redis-server, which speaks TLS and runs Sentinels, on ports of loopback."""

import subprocess
import tempfile
from pathlib import Path
from typing import Any, Self

import redis

from pixelbloom.local.postgrest import free_port
from tests.programs import debian_program
from tests.servers.tls import Authority
from tests.waiting import SECONDS, until


class DebianRedis:
    """A server, or with `sentinel` a Sentinel, that the lines of a configuration describe. `program` is another server.

    `login` is what redis-py needs beside the address to sign in; with `ssl`, the server speaks TLS alone.
    """

    def __init__(self, *lines: str, sentinel: bool = False, program: str | None = None, **login: Any) -> None:
        self._program = program or debian_program("redis-server", "redis-server")
        self._folder = tempfile.TemporaryDirectory(prefix="pbr")
        self.folder = Path(self._folder.name)
        self.port = free_port()
        self._sentinel = sentinel
        self._lines = lines
        self._tls = bool(login.get("ssl"))
        self.client = redis.Redis("127.0.0.1", self.port, socket_timeout=SECONDS, **login)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, and wait until it is ready."""
        config = self.folder / "redis.conf"
        if not config.exists():  # a Sentinel writes what it learns into it
            own = [] if self._sentinel else ['save ""', "appendonly no"]
            listening = ["port 0", f"tls-port {self.port}"] if self._tls else [f"port {self.port}"]
            lines = ["bind 127.0.0.1", *listening, f"dir {self.folder}", *own, *self._lines]
            config.write_text("\n".join([*lines, ""]))
        with (self.folder / "output").open("ab") as output:
            self._process = subprocess.Popen(
                [self._program, str(config), *(["--sentinel"] if self._sentinel else [])],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        try:
            until(self._responds, pause=0.05, saw=self._output)
        except BaseException:
            self.kill()
            raise

    def kill(self) -> None:
        """kill -9. Safe to repeat."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(SECONDS)

    def _responds(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, f"it ended at its start: {self._output()}"
        try:
            return bool(self.client.ping())
        except redis.RedisError:
            return False

    def _output(self) -> str:
        return (self.folder / "output").read_text()[-2000:]

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.client.close()
        self._folder.cleanup()


def tls_lines(authority: Authority | None) -> list[str]:
    """Return the lines for a server that speaks TLS with a certificate of this authority; none without one."""
    if authority is None:
        return []
    certificate = authority.issue("127.0.0.1")
    files = {"cert": certificate, "key": certificate, "ca-cert": authority.ca}
    return [
        *(f"tls-{name}-file {path}" for name, path in files.items()),
        *("tls-auth-clients no", "tls-replication yes"),
    ]


class Sentinels:
    """A master with a replica, both with a password, and a Sentinel with another one that makes the replica master.

    The first Sentinel of `url` does not exist. With `authority`, all of them speak TLS alone.
    """

    MASTER, PASSWORD, SENTINEL_PASSWORD = "news", "of-the-servers", "of-the-sentinels"

    def __init__(self, authority: Authority | None = None) -> None:
        tls, trust = tls_lines(authority), {"ssl": True, "ssl_ca_certs": str(authority.ca)} if authority else {}
        own = (*tls, f"requirepass {self.PASSWORD}", f"masterauth {self.PASSWORD}", "repl-diskless-sync-delay 0")
        self.first = DebianRedis(*own, password=self.PASSWORD, **trust)
        self.second = DebianRedis(*own, f"replicaof 127.0.0.1 {self.first.port}", password=self.PASSWORD, **trust)
        name = self.MASTER
        self._sentinel = DebianRedis(
            *tls,
            f"requirepass {self.SENTINEL_PASSWORD}",
            f"sentinel monitor {name} 127.0.0.1 {self.first.port} 1",
            f"sentinel auth-pass {name} {self.PASSWORD}",
            f"sentinel down-after-milliseconds {name} 120000",  # a busy machine that pauses is no failover
            f"sentinel failover-timeout {name} 5000",
            sentinel=True,
            password=self.SENTINEL_PASSWORD,
            **trust,
        )
        self.url = (
            f"sentinel{'s' if authority else ''}://:{self.PASSWORD}@127.0.0.1:{free_port()},127.0.0.1:{self._sentinel.port}/0"
            f"?master={name}&sentinel_password={self.SENTINEL_PASSWORD}"
        )

    def kill_master(self) -> None:
        """kill -9 of the master, which the Sentinel then soon replaces."""
        self._sentinel.client.sentinel_set(self.MASTER, "down-after-milliseconds", 1000)
        self.master.kill()

    @property
    def master(self) -> DebianRedis:
        """Return the server that the Sentinel names."""
        _, port = self._sentinel.client.sentinel_get_master_addr_by_name(self.MASTER)
        return self.first if port == self.first.port else self.second

    def __enter__(self) -> Self:
        try:
            for server in (self.first, self.second, self._sentinel):
                server.start()
            until(lambda: self.second.client.info("replication")["master_link_status"] == "up")
            until(lambda: self._sentinel.client.sentinel_slaves(self.MASTER))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for server in (self._sentinel, self.second, self.first):
            server.__exit__()
