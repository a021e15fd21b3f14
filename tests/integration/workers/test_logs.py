"""Every process logs JSON on standard output and nothing elsewhere, with the operator's own commands."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from pixelbloom.local.postgrest import free_port
from pixelbloom.local.probes import responds
from tests import ROOT
from tests.stack import Stack
from tests.waiting import SECONDS, until

CELERY = (sys.executable, "-m", "celery", "-A")
COMMANDS = {
    "agents": (*CELERY, "workers.agents", "worker", "-n", "logged@%h"),
    "beat": (*CELERY, "workers.clock", "beat"),
    "flower": (*CELERY, "workers.clock", "flower", "--address=127.0.0.1", "--port={port}"),
    "web": (sys.executable, "-m", "gunicorn", "-c", "python:pixelbloom.web.gunicorn_settings", "wsgi:app"),
    "exporter": (sys.executable, "-m", "pixelbloom", "exporter", "--port={port}"),
}
#: What a process logs when it runs.
READY = {
    "agents": "ready",
    "beat": "beat_started",
    "flower": "Visit me at",
    "web": "Booting worker",
    "exporter": "metrics_served",
}


class Logged:
    """A process with its output in two files."""

    def __init__(self, stack: Stack, role: str, folder: Path, **env: str) -> None:
        self.port = free_port()
        self._paths = folder / "out", folder / "err"
        values = {**stack.env, "PYTHONPATH": str(ROOT), "PORT": str(self.port), "FLOWER_PORT": str(self.port), **env}
        with self._paths[0].open("w") as out, self._paths[1].open("w") as err:
            argv = [part.format(port=self.port) for part in COMMANDS[role]]
            self.process = subprocess.Popen(argv, env=values, cwd=folder, stdout=out, stderr=err)

    @property
    def out(self) -> str:
        return self._paths[0].read_text()

    @property
    def err(self) -> str:
        return self._paths[1].read_text()

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(SECONDS)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


@pytest.mark.parametrize("role", COMMANDS)
def test_a_process_logs_json_on_stdout_from_its_start_to_its_end(stack: Stack, tmp_path: Path, role: str) -> None:
    process = Logged(stack, role, tmp_path)
    try:
        until(lambda: READY[role] in process.out, saw=lambda: process.out + process.err)
        if role == "flower":  # which handles no signal in order before its loop runs
            until(lambda: responds(process.port, "/healthcheck"), saw=lambda: process.out + process.err)
        process.stop()
    finally:
        process.end()

    assert process.err == ""
    lines = process.lines()
    assert lines
    assert all({"event", "level", "logger", "timestamp"} <= line.keys() for line in lines), lines


def test_flower_has_the_level_of_all_processes(stack: Stack, tmp_path: Path) -> None:
    process = Logged(stack, "flower", tmp_path, LOG_LEVEL="warning")
    try:
        until(lambda: responds(process.port, "/healthcheck"), saw=lambda: process.out + process.err)
        process.stop()
    finally:
        process.end()

    assert process.err == ""
    assert {line["level"] for line in process.lines()} <= {"warning", "error"}


def test_probes_are_not_in_the_access_log_unless_they_fail(stack: Stack, tmp_path: Path) -> None:
    process = Logged(stack, "web", tmp_path)
    try:
        until(lambda: READY["web"] in process.out, saw=lambda: process.out + process.err)
        for path in ("/healthz", "/readyz", "/metrics", "/api/agents?token=secret"):
            httpx.get(f"http://127.0.0.1:{process.port}{path}", timeout=SECONDS, trust_env=False)
        process.stop()
    finally:
        process.end()

    logged = [(line["path"], line["status"]) for line in process.lines() if line["event"] == "request"]
    # On a busy machine the first check of the database may be late.
    assert [entry for entry in logged if entry != ("/readyz", 503)] == [("/metrics", 401), ("/api/agents", 401)]


def test_the_level_of_one_logger_differs_from_that_of_all_others(stack: Stack, tmp_path: Path) -> None:
    process = Logged(
        stack,
        "agents",
        tmp_path,
        LOG_LEVELS="celery=ERROR,pixelbloom=ERROR,kombu=ERROR,py.warnings=ERROR,celery.apps.worker=DEBUG",
    )
    try:
        until(lambda: "ready" in process.out, saw=lambda: process.out + process.err)
        process.stop()
    finally:
        process.end()

    assert {line["logger"] for line in process.lines()} == {"celery.apps.worker"}
