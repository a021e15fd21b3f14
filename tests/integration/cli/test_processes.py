"""The production processes as `pixelbloom serve`, `worker`, `beat` and `flower`, and their health probes."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from pixelbloom.local.postgrest import free_port
from pixelbloom.local.probes import pongs, responds
from pixelbloom.processes import WORKERS
from tests import ROOT
from tests.servers import freezing
from tests.stack import Stack
from tests.waiting import until


class Processes:
    """Processes that the command became, in a folder that is not the clone."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.folder = folder
        self.port, self.flower_port = free_port(), free_port()
        ports = {"PORT": str(self.port), "FLOWER_PORT": str(self.flower_port)}
        self.env = {**os.environ, **stack.env, **ports, "PYTHONPATH": str(ROOT), "TMPDIR": str(folder)}
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, *arguments: str) -> "subprocess.Popen[bytes]":
        name = arguments[-1] if arguments[0] == "worker" else arguments[0]
        with (self.folder / f"{name}.log").open("wb") as log:
            self.running[name] = subprocess.Popen(
                [sys.executable, "-m", "pixelbloom", *arguments],
                env=self.env,
                cwd=self.folder,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        return self.running[name]

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "pixelbloom", *arguments],
            env=self.env,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    def health(self, role: str) -> int:
        return self.run("health", role).returncode

    def output(self) -> str:
        return "\n".join(file.read_text()[-800:] for file in self.folder.glob("*.log"))

    def wait_for_health(self, role: str, code: int = 0) -> None:
        until(lambda: self.health(role) == code, 180, saw=self.output, pause=0.5)

    def end(self) -> None:
        for process in self.running.values():
            process.kill()
            process.wait()


@pytest.fixture
def processes(stack: Stack, tmp_path: Path) -> Iterator[Processes]:
    found = Processes(stack, tmp_path)
    yield found
    found.end()


def test_each_process_starts_by_the_command_is_well_and_ends_in_order(processes: Processes, stack: Stack) -> None:
    processes.start("serve")
    for role in WORKERS:
        processes.start("worker", role)
    processes.start("beat")
    processes.start("flower")
    roles = ("web", *WORKERS, "beat", "flower")
    for role in roles:
        processes.wait_for_health(role)
    assert responds(processes.port, "/healthz")
    assert responds(processes.flower_port, "/healthcheck")
    for process in processes.running.values():
        process.send_signal(signal.SIGTERM)
    for name, process in processes.running.items():
        assert process.wait(120) == 0, (name, processes.output())
    assert [processes.health(role) for role in roles] == [1] * len(roles)


def test_options_reach_gunicorn_and_celery(processes: Processes, stack: Stack) -> None:
    port = free_port()
    processes.start("serve", "--bind", f"127.0.0.1:{port}", "--workers", "2")
    processes.start("worker", "agents", "-n", "own@%h", "--concurrency", "3")
    processes.running["own"] = processes.running.pop("3")
    until(lambda: responds(port, "/healthz"), 180, saw=processes.output)
    until(lambda: pongs(stack.settings, "own", 5), 180, saw=processes.output)
    processes.wait_for_health("web")
    processes.wait_for_health("agents")


def test_a_stopped_server_is_not_well(processes: Processes) -> None:
    web = processes.start("serve")
    processes.wait_for_health("web")
    server = psutil.Process(web.pid)
    all_of_it = [server, *server.children()]
    freezing.freeze(all_of_it)
    try:
        found = processes.run("health", "web")
        assert (found.returncode, found.stdout) == (1, f"web: process {web.pid} does not respond\n")
    finally:
        freezing.thaw(all_of_it)
    processes.wait_for_health("web")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("worker",), "name one of the workers: agents, events, maintenance, webhooks"),
        (("worker", "nobody"), "name one of the workers: agents, events, maintenance, webhooks"),
        (("flower", "--port=many"), "--port must be a number"),
        (("migrate", "--lock-timeout", "0"), "0.1"),
    ],
)
def test_a_mistake_is_a_line(processes: Processes, arguments: tuple[str, ...], says: str) -> None:
    ended = processes.run(*arguments)
    assert ended.returncode == 2
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_version_is_printed(processes: Processes) -> None:
    ended = processes.run("--version")
    assert (ended.returncode, ended.stdout) == (0, "pixelbloom 0.2.0\n")
