"""All processes on a broker of the test's own, supervised as in production, with a model that writes slowly."""

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg

from pixelbloom.client import RunEnded, RunText, RunWatcher
from tests import ROOT
from tests.integration.cli.commands import run as command
from tests.integration.http import Api
from tests.servers.ollama import OllamaServer
from tests.servers.script import Script
from tests.servers.workers import Supervisor, WorkerProcess
from tests.stack import Stack
from tests.waiting import until, within

ROLES = ("agents", "events", "maintenance", "webhooks")
INTAKE = {"workflow_id": "lead_intake", "inputs": {"message": "We need a website with a shop."}, "async": True}


class Tiers:
    """The API, and the workers and the model behind it."""

    def __init__(self, api: Api, workers: Supervisor, model: OllamaServer, env: dict[str, str]) -> None:
        self.api = api
        self.model = model
        self.workers = workers
        self.env = env
        self.user = api.as_user()

    def invoke(self, runs: int) -> list[UUID]:
        """Submit runs of an agent that take a second or more."""
        responses = [self.user.invoke() for _ in range(runs)]
        return [UUID(response.json()["request_id"]) for response in responses]

    def watch(self, run_id: UUID) -> list[Any]:
        """Return what a socket receives of a run until its end. A held reply goes on once its text is seen."""
        seen: list[Any] = []

        def follow() -> None:
            for event in watcher:
                seen.append(event)
                if isinstance(event, RunText):
                    self.model.going_on.set()

        with RunWatcher(self.api.url, self.user.token or "", run_id) as watcher:
            within(follow, saw=lambda: (seen[-3:], self.output))
        return seen

    def doctor(self, **env: str) -> tuple[dict[str, Any], str]:
        """Return the checks of `pixelbloom doctor` by their names, and all that it printed."""
        own = {"API_URL": self.api.url, "PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]}
        done = command({**self.env, **own, **env}, "doctor", "--json")
        checks = json.loads(done.stdout)["checks"]
        return {check["name"]: check for check in checks}, done.stdout + done.stderr

    def wait_for_doctor(self, *names: str) -> dict[str, Any]:
        """Wait until doctor reports these parts as ok: on a busy machine, workers reply late. Return its checks."""
        found: dict[str, Any] = {}

        def succeeds() -> bool:
            found.update(self.doctor()[0])
            return all(found[name]["state"] == "ok" for name in names)

        until(succeeds, saw=lambda: [found[name] for name in names])
        return found

    @property
    def output(self) -> str:
        """Return the newest output of the workers."""
        return "\n".join(worker.output[-1500:] for worker in self.workers.running.values())

    def name_of(self, role: str) -> str:
        """Return the name by which a worker replies."""
        return f"{self.workers.running[role].name}@{socket.gethostname()}"

    def wait_for_running(self, db: psycopg.Connection, steps: int) -> None:
        self.wait_for(db, "select count(*) >= %s from public.run_steps where status = 'running'", steps)

    def wait_for_completed(self, db: psycopg.Connection, runs: list[UUID]) -> None:
        """Wait until the runs have ended well. None of them used up an attempt."""
        completed = "select count(*) = %s from public.runs where id = any(%s) and status = 'completed'"
        self.wait_for(db, completed, len(runs), runs)
        attempts = db.execute("select distinct attempts from public.runs where id = any(%s)", [runs]).fetchall()
        assert attempts == [(1,)]

    def wait_for(self, db: psycopg.Connection, query: str, *values: Any) -> None:
        until(lambda: self.workers.look() or db.execute(query, values).fetchone() == (True,), saw=lambda: self.output)

    def check_workers(self) -> None:
        """Check that each worker lived on or exited with the documented code, without a traceback."""
        for role, code, output in self.workers.ended:
            assert code == 70, f"{role} ended with {code}:\n{output}"
        for output in [*self.workers.outputs, self.output]:
            assert "Traceback" not in output, output


@contextmanager
def tiers(stack: Stack, folder: Path, **env: str) -> Iterator[Tiers]:
    """Start everything, with these settings beside those of the stack."""
    with OllamaServer(delay=0.1) as ollama:
        own = {"OLLAMA_HOST": ollama.url, "LEASE_SECONDS": "5", "MODEL_TIMEOUT": "250", "AGENT_CONCURRENCY": "4"}
        changes = {**own, **env}
        values = {**stack.env, **changes}
        workers = Supervisor(values, folder, ROLES, "--broker-patience=10")
        beat = WorkerProcess("beat", values, folder)
        try:
            web = stack.start("web", env=changes)
            yield Tiers(Api(web.url, None, stack.settings), workers, ollama, values)
            web.kill()
            assert "Traceback" not in web.output, web.output
        finally:
            workers.close()
            beat.end()


def runs_complete_and_are_watched(tiers: Tiers, db: psycopg.Connection) -> None:
    """Have an agent and a workflow run, and follow the agent's run on a socket."""
    tiers.model.going_on.clear()
    tiers.model.play(Script(hold_after=5))
    [run_id] = tiers.invoke(1)
    events = tiers.watch(run_id)
    assert any(isinstance(event, RunText) for event in events), events
    assert isinstance(events[-1], RunEnded)
    assert events[-1].completed
    accepted = tiers.user.request("POST", "/api/agents/workflows/execute", json=INTAKE)
    assert accepted.status_code == 200, accepted.text
    tiers.wait_for_completed(db, [run_id, UUID(accepted.json()["workflow_run_id"])])


def everything_is_ready(tiers: Tiers) -> dict[str, Any]:
    """Wait until `/readyz` warns of nothing: a worker takes from each queue, and gave a pulse. Return its checks."""

    body: dict[str, Any] = {}

    def ready() -> bool:
        tiers.workers.look()
        body.update(tiers.api.get("/readyz").json())
        return bool(body["warnings"] == [])

    until(ready, pause=0.5, saw=lambda: (body, tiers.output))
    checks: dict[str, Any] = body["checks"]
    return checks
