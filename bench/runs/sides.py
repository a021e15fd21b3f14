"""The compared systems: PixelBloom on the local stack, and the bare app on the same Redis."""

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

import httpx
import psycopg
import redis

from bench.runs import cpu
from bench.runs.load import Request
from bench.runs.report import JOBS, ONE, TWO
from pixelbloom.auth.mint import mint_service
from pixelbloom.core.queues import QUEUES
from pixelbloom.local.child import Child, Command
from pixelbloom.local.postgrest import free_port
from pixelbloom.local.probes import responds
from pixelbloom.local.wait import until as until_ready
from tests.stack import Stack

BARE = Path(__file__).parents[1] / "peer"
MESSAGE = "How long does a landing page take?"
READY_SECONDS = 60.0
TOKEN_SECONDS = 7200
#: Between two looks at the end of the runs.
LOOK_SECONDS = 0.1


class Side(Protocol):
    """A system under load. Its processes are stopped by signal while the other one is measured."""

    name: str
    port: int
    #: Whether the response to a request is the end of its run.
    waits: bool
    #: The kinds of runs that it has.
    jobs: Sequence[str]
    #: Seconds for its stopped processes to do what became due meanwhile, once they continue.
    resume_seconds: float

    def request(self, job: str) -> Request:
        """Return the request that submits a run of this kind."""

    def begin(self, job: str) -> None:
        """Prepare a round of runs of this kind."""

    def completed(self, runs: int, seconds: float) -> float:
        """Wait until all runs since `begin` are completed, and return the Unix time of the last one's end.

        Raises RuntimeError if not all are completed, TimeoutError after `seconds`.
        """

    def cpu(self) -> dict[str, float]:
        """Return the CPU seconds by kind of process so far."""

    def roles(self) -> Sequence[int]:
        """Return the processes to stop by signal while the other system is measured."""


def _unix(text: str) -> float:
    moment = datetime.fromisoformat(text)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _until(ended: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not ended():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not all runs ended in {seconds:.0f} s")
        time.sleep(LOOK_SECONDS)


class PixelBloom:
    """All processes of PixelBloom but Flower, without a model, as a caller with a service token sees them."""

    name = "PixelBloom"
    waits = False
    jobs: Sequence[str] = JOBS
    resume_seconds = 2.0

    def __init__(self, stack: Stack, token: str | None = None) -> None:
        """Start the processes. Runs are submitted with the token; by default with that of a service."""
        self._stack = stack
        # Their temporary files end with the stack's folder: its processes are killed in the end.
        with stack.values_with(LOG_LEVEL="warning", TMPDIR=str(stack.home.root)):
            started = {role: stack.start(role) for role in (*QUEUES, "beat", "web")}
        self.port = started["web"].port
        pids = {role: [process.pid] for role, process in started.items()}
        self._roles = [process.pid for process in started.values()]
        self._kinds = {
            "agents worker": pids["agents"],
            "other workers": [pid for role in QUEUES if role != "agents" for pid in pids[role]],
            "web": pids["web"],
            "beat": pids["beat"],
            **{child.name: [child.pid] for child in stack.servers},
        }
        self._service = mint_service(stack.settings, expires_in=TOKEN_SECONDS)
        self._token = token or self._service
        self._database = psycopg.connect(stack.database_url, autocommit=True)
        self._bodies: Mapping[str, tuple[str, Mapping[str, Any]]] = {
            ONE: ("/api/agents/invoke", {"agent_type": "chat_agent", "input": {"message": MESSAGE}}),
            TWO: (
                "/api/agents/workflows/execute",
                {"workflow_id": "bench_chain", "inputs": {"message": MESSAGE}, "async": True},
            ),
        }
        self._began: Any = None
        self._define()

    def request(self, job: str) -> Request:
        path, body = self._bodies[job]
        return Request(path, json.dumps(body).encode(), self._token)

    def begin(self, job: str) -> None:  # noqa: ARG002  (the protocol's signature)
        self._began = self._database.execute("select clock_timestamp()").fetchone()

    def completed(self, runs: int, seconds: float) -> float:
        open_runs = "select exists (select from public.runs where status in ('queued', 'running'))"

        def ended() -> bool:
            row = self._database.execute(open_runs).fetchone()
            return row == (False,)

        _until(ended, seconds, self.name)
        row = self._database.execute(
            "select count(*), extract(epoch from max(finished_at))::float8 from public.runs"
            " where created_at >= %s and status = 'completed'",
            self._began,
        ).fetchone()
        if row is None or row[0] != runs:
            raise RuntimeError(f"{self.name}: {row and row[0]} of {runs} runs are completed")
        return float(row[1])

    def rate(self) -> float:
        """Return the ends of runs a second since `begin`, between the first and the last of them."""
        row = self._database.execute(
            "select count(*) - 1, extract(epoch from max(finished_at) - min(finished_at))::float8 from public.runs"
            " where created_at >= %s and finished_at is not null",
            self._began,
        ).fetchone()
        assert row is not None
        ends, seconds = row
        return float(ends / max(seconds, 1e-9))

    def provided_by(self, provider: str) -> int:
        """Return the number of runs since `begin` whose result came from this provider."""
        row = self._database.execute(
            "select count(*) from public.runs where created_at >= %s and provider = %s", [self._began, provider]
        ).fetchone()
        assert row is not None
        return int(row[0])

    @property
    def agents(self) -> int:
        """The process id of the agents worker."""
        return self._kinds["agents worker"][0]

    def cpu(self) -> dict[str, float]:
        return cpu.by_kind(self._kinds)

    def roles(self) -> Sequence[int]:
        return self._roles

    def close(self) -> None:
        """Close the connection that counts runs; the processes end with the stack."""
        self._database.close()

    def _define(self) -> None:
        """Create the workflow of two steps, the second of which reads the output of the first."""
        first = {"key": "a", "agent": "chat_agent", "input": {"message": "inputs.message"}}
        second = {"key": "b", "agent": "chat_agent", "needs": ["a"], "input": {"message": "outputs.a.reply"}}
        response = httpx.post(
            f"http://127.0.0.1:{self.port}/api/agents/workflows",
            json={"workflow_id": "bench_chain", "steps": [first, second]},
            headers={"Authorization": f"Bearer {self._service}"},
            timeout=30,
            trust_env=False,
        )
        response.raise_for_status()


class Bare:
    """Flask under gunicorn's gevent worker, and a Celery worker of as many threads as ours, on Redis alone."""

    name = "bare"
    waits = False
    jobs: Sequence[str] = JOBS
    resume_seconds = 0.2

    def __init__(self, stack: Stack) -> None:
        path = urlsplit(stack.redis_url).path
        self.port = free_port()
        self._redis = redis.Redis(unix_socket_path=path, db=1)
        env = {"REDIS_SOCKET": quote(path), "GUNICORN_CMD_ARGS": "", "PYTHONUNBUFFERED": "1"}
        threads = str(stack.settings.agent_concurrency)
        python = sys.executable
        address = f"127.0.0.1:{self.port}"
        gunicorn = ["-m", "gunicorn", "--no-control-socket", "-k", "gevent", "-w", "1", "-b", address, "bare:web"]
        celery = ["-m", "celery", "--quiet", "-A", "bare:app", "worker", "-P", "threads", "-c", threads]
        self._children: list[Child] = []
        self._results_a_run = 1
        try:
            for name, argv in (
                ("bare-worker", [*celery, "-n", f"bare-{os.getpid()}@%h", "--without-mingle", "--loglevel=WARNING"]),
                ("bare-web", gunicorn),
            ):
                child = Child(Command(name, [python, *argv], env=env, cwd=BARE), stack.home.records, stack.output)
                self._children.append(child)
                child.start()
            until_ready(lambda: responds(self.port, "/healthz"), self._children[-1], seconds=READY_SECONDS)
            until_ready(self._consumes, self._children[0], seconds=READY_SECONDS)
        except BaseException:
            self.close()
            raise
        (server,) = (child for child in stack.servers if child.name == "redis")
        self._kinds = {
            "agents worker": [self._children[0].pid],
            "web": [self._children[1].pid],
            "redis": [server.pid],
        }

    def request(self, job: str) -> Request:
        path = {ONE: "/steps", TWO: "/chains"}[job]
        return Request(path, json.dumps({"message": MESSAGE}).encode())

    def begin(self, job: str) -> None:
        results = self._results()
        if results:
            self._redis.delete(*results)
        self._results_a_run = {ONE: 1, TWO: 2}[job]

    def completed(self, runs: int, seconds: float) -> float:
        wanted = runs * self._results_a_run
        ended: list[str] = []

        def all_ended() -> bool:
            if self._redis.dbsize() < wanted:
                return False
            values = self._redis.mget(self._results())
            states = [json.loads(value) for value in values if value]
            ended[:] = [state["date_done"] for state in states if state["status"] == "SUCCESS"]
            return len(ended) >= wanted

        _until(all_ended, seconds, self.name)
        return max(_unix(text) for text in ended)

    def cpu(self) -> dict[str, float]:
        return cpu.by_kind(self._kinds)

    def roles(self) -> Sequence[int]:
        return [child.pid for child in self._children]

    def close(self) -> None:
        """End its processes. Safe to repeat."""
        for child in self._children:
            child.kill()
        self._redis.close()

    def _results(self) -> list[bytes]:
        return list(self._redis.scan_iter("celery-task-meta-*", count=5_000))

    def _consumes(self) -> bool:
        return bool(self._redis.exists("_kombu.binding.celery"))
