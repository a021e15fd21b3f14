"""LangGraph's dev server, which keeps runs in memory, in an environment of its own in the user's cache folder."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import httpx

from bench.runs import cpu
from bench.runs.load import Request
from bench.runs.report import TWO
from bench.runs.sides import MESSAGE, READY_SECONDS
from pixelbloom.errors import StackError
from pixelbloom.local.child import Child, Command
from pixelbloom.local.postgrest import free_port
from pixelbloom.local.probes import responds
from pixelbloom.local.wait import until as until_ready
from tests.stack import Stack

PACKAGE = "langgraph-cli[inmem]"
GRAPH = Path(__file__).parents[1] / "peer" / "langgraph"
BODY = {"assistant_id": "two_steps", "input": {"message": MESSAGE}}
INSTALL_SECONDS = 240.0


class Unavailable(Exception):
    """LangGraph's dev server cannot be installed or started here; the message has the reason."""


def installed() -> Path:
    """Return the environment with the server, installed once from PyPI. Raises Unavailable if that fails."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    folder = cache / "pixelbloom-bench" / "langgraph"
    if not (folder / "bin" / "langgraph").exists():
        pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        try:
            for argv in ([sys.executable, "-m", "venv", str(folder)], [*pip, PACKAGE]):
                subprocess.run(argv, check=True, capture_output=True, text=True, timeout=INSTALL_SECONDS)
        except subprocess.CalledProcessError as error:
            last = (error.stderr or error.stdout).strip().splitlines()[-1:]
            raise Unavailable(f"{PACKAGE} cannot be installed: {''.join(last)}") from None
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unavailable(f"{PACKAGE} cannot be installed: {error}") from None
    return folder


class LangGraph:
    """Its server with a graph of two nodes. The response to a request is the result of the run."""

    name = "LangGraph"
    waits = True
    jobs: Sequence[str] = (TWO,)
    resume_seconds = 0.2

    def __init__(self, stack: Stack, environment: Path) -> None:
        """Start it from the environment that `installed` returns. Raises Unavailable if it does not start."""
        program = environment / "bin" / "langgraph"
        folder = shutil.copytree(GRAPH, stack.home.root / "langgraph")  # it writes its state there
        self.port = free_port()
        quiet = {"LANGSMITH_TRACING": "false", "LANGSMITH_API_KEY": "", "LANGGRAPH_CLI_NO_ANALYTICS": "1"}
        argv = [str(program), "dev", "--no-browser", "--no-reload", "--host", "127.0.0.1", "--port", str(self.port)]
        command = Command(
            "langgraph", [*argv, "--server-log-level", "error"], env={**quiet, "LOG_LEVEL": "error"}, cwd=folder
        )
        self._child = Child(command, stack.home.records, stack.output)
        try:
            self._child.start()
            until_ready(lambda: responds(self.port, "/ok"), self._child, seconds=READY_SECONDS)
            self._check()
        except (StackError, httpx.HTTPError, KeyError, ValueError) as error:
            self.close()
            raise Unavailable(f"the server does not work: {error!r}") from None
        except BaseException:
            self.close()
            raise

    def request(self, job: str) -> Request:
        assert job == TWO
        return Request("/runs/wait", json.dumps(BODY).encode())

    def begin(self, job: str) -> None:
        """Nothing is to prepare."""

    def completed(self, runs: int, seconds: float) -> float:
        raise NotImplementedError("the responses are the ends of the runs")

    def cpu(self) -> dict[str, float]:
        return cpu.by_kind({"server": [self._child.pid]})

    def roles(self) -> Sequence[int]:
        return [self._child.pid]

    def close(self) -> None:
        """End it. Safe to repeat."""
        self._child.kill()

    def _check(self) -> None:
        """Raise ValueError if a run has no reply of the second node."""
        url = f"http://127.0.0.1:{self.port}/runs/wait"
        with httpx.Client(trust_env=False, timeout=30) as client:
            response = client.post(url, json=BODY)
        if "b" not in response.raise_for_status().json():
            raise ValueError(f"a run has no reply: {response.text[:200]}")
