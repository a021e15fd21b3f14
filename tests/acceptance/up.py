"""`pixelbloom up` as a user runs it: a process of its own, in a home of its own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import requests

from pixelbloom.auth.mint import mint_service, mint_user
from pixelbloom.config import Settings
from pixelbloom.local import envfile
from pixelbloom.local.postgrest import free_port
from tests import ROOT
from tests.waiting import until

READY_SECONDS = 240.0


class RunningStack:
    """A stack and its supervisor: its home, its output and its processes."""

    def __init__(self, home: Path, **env: str) -> None:
        self.home = home
        self.port, self.flower_port = free_port(), free_port()
        self.user_id = uuid4()
        blank = {name.upper(): "" for name in Settings.model_fields}  # ignore the machine's own settings
        self._env = {
            **os.environ,
            **blank,
            "PIXELBLOOM_HOME": str(home),
            "PORT": str(self.port),
            "FLOWER_PORT": str(self.flower_port),
            "OLLAMA_HOST": "http://127.0.0.1:9",
            "PYTHONPATH": str(ROOT),
            **env,
        }
        self._process: subprocess.Popen[str] | None = None
        self._lines: list[str] = []
        self._sessions = threading.local()

    @property
    def environment(self) -> dict[str, str]:
        """The environment it was started with."""
        return dict(self._env)

    # Its life

    def start(self, *command: str) -> None:
        """Start it, by another command than that of this Python if one is given; does not wait."""
        home = self.home.parent
        home.mkdir(parents=True, exist_ok=True)
        self._lines = []
        self._process = subprocess.Popen(
            command or [sys.executable, "-m", "pixelbloom", "up"],
            env=self._env,
            cwd=home,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            start_new_session=True,
        )
        threading.Thread(target=self._read, args=(self._process,), daemon=True).start()

    def wait_ready(self) -> None:
        """Wait until it prints that it is ready; fails if it ends before."""
        self.wait_for(lambda: "PixelBloom is ready" in self.output or self.exit_code() is not None)
        assert self.exit_code() is None, self.output[-3000:]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Stop it as an operator does. Returns its exit code."""
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(number)
        return self._process.wait(READY_SECONDS)

    def kill(self) -> None:
        """Kill only the supervisor with SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._process.wait(READY_SECONDS)

    def exit_code(self) -> int | None:
        assert self._process is not None
        return self._process.poll()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def output(self) -> str:
        return "".join(self._lines)

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with process.stdout as stream:
            for line in stream:
                self._lines.append(line)

    # Its processes

    def processes(self, words: str = "") -> list[psutil.Process]:
        """Return its live processes with these words in the command line: all recorded ones and all descendants."""
        found: dict[int, psutil.Process] = {}
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.status() == psutil.STATUS_ZOMBIE or process.pid == self.pid:
                    continue
                if process.environ().get("PIXELBLOOM_HOME") == str(self.home) and words in " ".join(process.cmdline()):
                    found[process.pid] = process
        return list(found.values())

    def kill_process(self, words: str) -> None:
        """Kill every process of the stack with these words in its command line with SIGKILL."""
        found = self.processes(words)
        assert found, f"no process {words}"
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    # What it serves

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def settings(self) -> Settings:
        """The settings of the running stack, read from its files."""
        files = (self.home / "secrets.env", self.home / "stack.env")
        values = {k.lower(): v for file in files for k, v in envfile.read(file).items()}
        known = {name: value for name, value in values.items() if name in Settings.model_fields}
        return Settings(_env_file=None, **known)  # type: ignore[call-arg, arg-type]

    @property
    def database_url(self) -> str:
        return self.settings.require("database_url")

    def post(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        return self._json(self._session.post(f"{self.url}{path}", json=body, timeout=60))

    def post_as_service(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Post with a service token."""
        return self._json(requests.post(f"{self.url}{path}", json=body, headers=self._as_service(), timeout=60))

    def get_as_service(self, path: str) -> dict[str, Any]:
        """Get with a service token."""
        return self._json(requests.get(f"{self.url}{path}", headers=self._as_service(), timeout=60))

    def _as_service(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {mint_service(self.settings, expires_in=3600)}"}

    def get(self, path: str) -> dict[str, Any]:
        return self._json(self._session.get(f"{self.url}{path}", timeout=60))

    @property
    def _session(self) -> requests.Session:
        if not hasattr(self._sessions, "session"):
            session = requests.Session()
            token = mint_user(self.settings, self.user_id, expires_in=3600)
            session.headers["Authorization"] = f"Bearer {token}"
            self._sessions.session = session
        session = self._sessions.session
        assert isinstance(session, requests.Session)
        return session

    @staticmethod
    def _json(response: requests.Response) -> dict[str, Any]:
        assert response.ok, response.text
        found = json.loads(response.text)
        assert isinstance(found, dict)
        return found

    def wait_for(self, happened: Any, seconds: float = READY_SECONDS) -> None:
        """Wait until the condition is true."""
        until(happened, seconds, saw=lambda: self.output[-3000:], pause=0.1)


@contextlib.contextmanager
def start_stack(home: Path, **env: str) -> Iterator[RunningStack]:
    """A stack that is ready; all of it is removed afterwards."""
    stack = RunningStack(home, **env)
    stack.start()
    try:
        stack.wait_ready()
        yield stack
    finally:
        end(stack)


def end(stack: RunningStack) -> None:
    """Stop a stack, and kill its remaining processes."""
    if stack.exit_code() is None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            stack.stop()
    if stack.exit_code() is None:
        stack.kill()
    for process in stack.processes():
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
