"""docs/self-hosted.md as it is written: its commands on Debian's Postgres and Redis, without the local stack."""

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
import redis
import requests

from pixelbloom.core.shipped import CLONE, DOCS
from pixelbloom.local import account, binaries
from pixelbloom.local.home import Home
from pixelbloom.local.postgrest import free_port
from tests.programs import debian_program
from tests.waiting import until

#: A whole deployment is started.
pytestmark = pytest.mark.timeout(900)

UNITS = CLONE / "deploy" / "systemd"
#: Lines of the page that need a machine of one's own: the test does their work itself, or another test does.
OF_THE_MACHINE = (
    "apt-get",
    "python3 -m venv",
    "/opt/pixelbloom/bin/pip",
    "install ",
    "useradd",
    "cp ",
    "systemctl",
    "nginx",
)
SECONDS = 180


class Machine:
    """A folder in place of a machine: its /etc, its ports, its servers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = {port: str(free_port()) for port in ("5432", "6379", "3000", "8000")}
        self.home = Home.at(folder / "home")
        self.sockets = self.home.postgres_sockets
        self.etc = folder / "etc"
        self.etc.mkdir()
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    # Its servers, as Debian's packages start them

    def start_postgres(self) -> None:
        program = Path(debian_program("createdb", "postgresql"))
        binary = max(Path("/usr/lib/postgresql").glob("*/bin"), default=program.parent)
        who = account.for_postgres(self.home)
        self.sockets.mkdir(mode=0o700, exist_ok=True)
        data = self.folder / "data"
        data.mkdir(mode=0o700)
        who.own(self.sockets)
        who.own(data)
        initdb = [str(binary / "initdb"), "-D", str(data), "-U", "postgres"]
        initdb += ["--auth-local=trust", "--auth-host=scram-sha-256", "--no-sync"]
        subprocess.run(who.wrap(initdb), check=True, capture_output=True, cwd="/")
        server = [str(binary / "postgres"), "-D", str(data), "-k", str(self.sockets), "-p", self.ports["5432"]]
        self._start("postgres", who.wrap([*server, "-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"]), {})
        until(self._postgres_accepts, 60, saw=self.output)

    def start_redis(self) -> None:
        program = debian_program("redis-server", "redis-server")
        settings = self.etc / "redis.conf"
        settings.write_text(f"port {self.ports['6379']}\nbind 127.0.0.1\ndir {self.folder}\nsave ''\n")
        self._start("redis", [program, str(settings)], {})
        with redis.Redis(port=int(self.ports["6379"])) as client:
            until(lambda: self._pings(client), 60, saw=self.output)

    def start_unit(self, name: str, instance: str = "") -> None:
        """Start the command of a systemd unit with the settings of /etc/pixelbloom/env."""
        command = re.search(r"^ExecStart=(.*)$", (UNITS / f"{name}.service").read_text(), re.MULTILINE)
        assert command
        words = shlex.split(self.here(command[1]).replace("%i", instance))
        settings = dict(line.split("=", 1) for line in (self.etc / "env").read_text().splitlines())
        self._start(f"{name}{instance}", words, settings)

    def _start(self, name: str, argv: list[str], env: dict[str, str]) -> None:
        with (self.folder / f"{name}.log").open("wb") as log:
            self._children[name] = subprocess.Popen(
                argv,
                env={"PATH": os.environ["PATH"], "TMPDIR": str(self.folder), **env},
                cwd=self.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _postgres_accepts(self) -> bool:
        try:
            psycopg.connect(host=str(self.sockets), port=self.ports["5432"], user="postgres", connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    @staticmethod
    def _pings(client: redis.Redis) -> bool:
        try:
            return bool(client.ping())
        except redis.ConnectionError:
            return False

    def end(self) -> None:
        for child in reversed(self._children.values()):
            child.terminate()
        for child in self._children.values():
            try:
                child.wait(SECONDS)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    def output(self) -> str:
        return "\n".join(
            f"{file.name}: {file.read_text(errors='replace')[-800:]}" for file in self.folder.glob("*.log")
        )

    # The page's commands

    def here(self, text: str) -> str:
        """Return the text with the places and ports of this folder."""
        for port, own in self.ports.items():
            text = re.sub(rf"\b{port}\b", own, text)
        program = binaries.postgrest(self.folder)
        places = {
            "/etc/pixelbloom": str(self.etc),
            "/opt/pixelbloom/bin/": f"{sys.prefix}/bin/",
            "/usr/local/bin/postgrest": str(program),
            "su postgres -c": f"env PGHOST={self.sockets} PGPORT={self.ports['5432']} PGUSER=postgres bash -c",
            "redis-cli": f"redis-cli -p {self.ports['6379']}",
        }
        for place, own in places.items():
            text = text.replace(place, own)
        return text

    def run(self, block: str, **env: str) -> str:
        """Run a block of the page and return what it printed."""
        lines = [line for line in block.splitlines() if not line.startswith(OF_THE_MACHINE)]
        done = subprocess.run(
            ["bash", "-euc", self.here("\n".join(lines))],
            env={"PATH": os.environ["PATH"], "TMPDIR": str(self.folder), "HOME": str(self.folder), **env},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr + self.output()
        return done.stdout


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    found = Machine(tmp_path)
    yield found
    found.end()


def blocks() -> list[str]:
    """Return the commands of the page, in order."""
    return re.findall(r"^```sh\n(.*?)^```", (DOCS / "self-hosted.md").read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.slow
def test_the_page_leads_to_a_deployment_that_runs_agents(machine: Machine) -> None:
    install, secrets, database, policy, start, check, administrator = blocks()
    machine.start_postgres()
    machine.start_redis()
    (machine.etc / "postgrest.conf").write_text(machine.here((CLONE / "deploy" / "postgrest.conf").read_text()))

    machine.run(install)
    machine.run(secrets)
    assert (machine.etc / "env").stat().st_mode & 0o077 == 0
    machine.run(database)
    machine.run(database.replace('su postgres -c "createdb pixelbloom"\n', ""))  # as at an upgrade
    machine.run(policy)
    with redis.Redis(port=int(machine.ports["6379"]), decode_responses=True) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}

    for unit in re.findall(r"pixelbloom-([\w@-]+)", start.partition("enable --now")[2].partition("\n")[0]):
        name, at, instance = unit.partition("@")
        machine.start_unit(f"pixelbloom-{name}{at}", instance)
    api = f"http://127.0.0.1:{machine.ports['8000']}"
    until(lambda: _ready(api), SECONDS, saw=machine.output)
    ready = {}

    def no_warnings() -> bool:
        ready.update(requests.get(f"{api}/readyz", timeout=SECONDS).json())
        return ready["warnings"] == []

    until(no_warnings, SECONDS, saw=lambda: str(ready) + machine.output())

    printed = machine.run(check)
    run_id = re.search(r'"request_id": ?"([0-9a-f-]{36})"', printed)
    assert run_id, printed
    user = str(uuid4())
    machine.run(administrator, ADMIN=user)
    with psycopg.connect(
        host=str(machine.sockets), port=machine.ports["5432"], user="postgres", dbname="pixelbloom", autocommit=True
    ) as db:
        query = "select status from public.runs where id = %s"
        until(lambda: db.execute(query, (run_id[1],)).fetchone() == ("completed",), SECONDS, saw=machine.output)
        role = db.execute("select role from public.user_profiles where user_id = %s", (user,)).fetchone()
        assert role == ("admin",)


def _ready(api: str) -> bool:
    try:
        return requests.get(f"{api}/healthz", timeout=SECONDS).ok
    except requests.RequestException:
        return False
