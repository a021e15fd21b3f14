"""The local stack for tests: the embedded servers, and PixelBloom's processes one by one."""

import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

import psycopg
import redis as redis_client

from pixelbloom.config import Settings
from pixelbloom.local import secrets
from pixelbloom.local.child import Child, Command
from pixelbloom.local.home import Home
from pixelbloom.local.output import Output
from pixelbloom.local.postgrest import free_port
from pixelbloom.local.probes import pongs, responds
from pixelbloom.local.roles import ROLES, command
from pixelbloom.local.servers import Servers
from pixelbloom.local.wait import until as until_ready
from pixelbloom.processes import WORKERS
from tests.waiting import SECONDS, background, until

#: A loaded machine starts a process slowly; nothing waits this long otherwise.
READY_SECONDS = 180.0
#: A question that comes before the worker listens is lost, so the first waits are short; the later ones allow for load.
PONG_SECONDS = (*[0.3] * 10, *[1.0] * 10, 5.0)


class StartedProcess:
    """A child of the stack: web, a worker, beat or flower."""

    def __init__(self, child: Child, forget: Callable[["StartedProcess"], None], port: int | None = None) -> None:
        self._child = child
        self._forget = forget
        self._port = port

    @property
    def name(self) -> str:
        return self._child.name

    @property
    def role(self) -> str:
        return self.name.partition("-")[0]

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def url(self) -> str:
        """The address of web or flower."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def port(self) -> int:
        """The port of web or flower."""
        assert self._port is not None, "only web and flower have a port"
        return self._port

    @property
    def output(self) -> str:
        """Return the newest lines of its output."""
        return self._child.last_words()

    def exit_code(self) -> int | None:
        return self._child.exit_code()

    def stop(self, grace: float = 60.0) -> None:
        """Stop with SIGTERM, and after `grace` seconds with SIGKILL. Safe to repeat."""
        self._child.stop(grace)
        self._forget(self)

    def kill(self) -> None:
        """Kill it and its descendants at once."""
        self._child.kill()
        self._forget(self)


class Stack:
    """Embedded servers in a folder. `env` reaches them, for a child; `settings` is the same for this process.

    `durable` servers write to the disk as those of `pixelbloom up`; others are faster and may lose data.
    """

    #: Those of this process.
    all: ClassVar["list[Stack]"] = []

    def __init__(self, folder: Path, *, durable: bool = False) -> None:
        self.all.append(self)
        self.home = Home.at(folder / "home")
        self.output = Output(self.home.logs)
        self.running: list[StartedProcess] = []
        self._servers = Servers(self.home, self.output, durable=durable)
        self._numbers = itertools.count(1)
        self._values: dict[str, str] = {}

    def start_servers(self) -> None:
        keys = secrets.ensure(self.home.secrets_file)
        self._servers.start(keys, redis=True)
        self._values = {
            **keys,
            **self._servers.env,
            "PIXELBLOOM_HOME": str(self.home.root),
            "OLLAMA_HOST": "http://127.0.0.1:9",  # nobody: tests must not use a model on the machine
            "MODEL_TIMEOUT": "10",
        }

    @property
    def env(self) -> dict[str, str]:
        """Return every setting: variables of the machine are emptied, which counts as not set."""
        blank = {name.upper(): "" for name in Settings.model_fields}
        return {**blank, "LOG_FORMAT": "json", **self._values}

    @property
    def settings(self) -> Settings:
        return self.settings_with()

    def settings_with(self, **changes: object) -> Settings:
        values: dict[str, object] = {name.lower(): value for name, value in self._values.items()}
        return Settings(_env_file=None, **{**values, **changes})  # type: ignore[arg-type]

    @property
    def servers(self) -> list[Child]:
        """Return the running embedded servers."""
        return self._servers.children

    @property
    def database_url(self) -> str:
        return self._values["DATABASE_URL"]

    @property
    def redis_url(self) -> str:
        return self._values["REDIS_URL"]

    @property
    def rest_url(self) -> str:
        return self._values["SUPABASE_REST_URL"]

    @contextmanager
    def values_with(self, **changes: str) -> Iterator[None]:
        """Use other settings for processes that are started in the block."""
        before = self._values
        self._values = {**before, **changes}
        try:
            yield
        finally:
            self._values = before

    def start(self, role: str, env: Mapping[str, str] | None = None, port: int | None = None) -> StartedProcess:
        """Start web, agents, events, maintenance, beat or flower, and wait until it is ready.

        `port` is that of web or flower; a free one where none is named. What it leaves in TMPDIR when it is killed
        is removed with the stack.
        """
        assert role in ROLES
        port = (port or free_port()) if role in ("web", "flower") else None
        number = next(self._numbers)
        temporary = self.home.root / "tmp"
        temporary.mkdir(exist_ok=True)
        values = {**self.env, "TMPDIR": str(temporary), **({"PORT": str(port)} if role == "web" else {}), **(env or {})}
        of_role = command(role, values, flower_port=port or 5555, cwd=self.home.root)
        argv = [part.replace("@%h", f"-{number}@%h") for part in of_role.argv]
        child = Child(
            Command(f"{role}-{number}", argv, env=of_role.env, cwd=of_role.cwd), self.home.records, self.output
        )
        process = StartedProcess(child, self._forget, port)
        self.running.append(process)
        child.start()
        try:
            if port is not None:
                path = "/healthz" if role == "web" else "/healthcheck"
                until_ready(lambda: responds(port, path), child, seconds=READY_SECONDS)
            elif role in WORKERS:
                waits = itertools.chain(PONG_SECONDS, itertools.repeat(PONG_SECONDS[-1]))
                settings = self.settings_with(**{key.lower(): value for key, value in (env or {}).items()})
                name = f"{role}-{number}"
                until_ready(lambda: pongs(settings, name, next(waits)), child, seconds=READY_SECONDS)
        except BaseException:
            process.kill()
            raise
        return process

    def wait_for(self, happened: Callable[[], object], seconds: float = SECONDS) -> None:
        """Wait until the condition is true; a failure shows the last log lines of the processes."""
        until(happened, seconds, saw=lambda: "\n".join(f"{one.name}: {one.output[-800:]}" for one in self.running))

    def discard_work(self) -> None:
        """Delete all runs, events and messages, which processes of other tests would work on."""
        with psycopg.connect(self.database_url, autocommit=True) as connection:
            connection.execute("truncate public.runs, public.event_outbox, public.schedules cascade")
        with redis_client.Redis.from_url(self.redis_url) as client:
            client.flushall()

    def close(self) -> None:
        for process in list(self.running):
            process.kill()
        self._servers.stop()
        self.output.close()
        shutil.rmtree(self.home.sockets, ignore_errors=True)
        self.all.remove(self)

    def _forget(self, process: StartedProcess) -> None:
        if process in self.running:
            self.running.remove(process)


def stop_all(processes: Iterable[StartedProcess]) -> None:
    """Stop them concurrently, and web at once: it would wait for the connections of its clients."""
    with background(*(process.kill if process.role == "web" else process.stop for process in processes)):
        pass


@contextmanager
def started_stack(prefix: str) -> Iterator[Stack]:
    """A stack with started servers, in a temporary folder that is removed with it."""
    with tempfile.TemporaryDirectory(prefix=prefix) as folder:
        running = Stack(Path(folder))
        try:
            running.start_servers()
            yield running
        finally:
            running.close()
