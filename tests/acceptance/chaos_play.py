"""One seed of chaos: submits runs, kills processes and servers, and checks what is left."""

import random
import shutil
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import psutil
import psycopg
import redis
import requests

from pixelbloom.auth.mint import mint_service
from pixelbloom.config import Settings
from tests.acceptance.chaos_workload import AUDIT, EXPECTED, WORKFLOWS
from tests.acceptance.up import RunningStack
from tests.servers import freezing

END_SECONDS = 240.0
#: Between two kills.
MEAN_PAUSE_SECONDS = 1.3

#: What is killed, by words of its command line. Redis is listed twice: with its data and without.
TARGETS = {
    "web": "gunicorn",
    "agents": "workers.agents",
    "events": "workers.events",
    "maintenance": "workers.maintenance worker",
    "beat": "workers.clock beat",
    "redis": "redis-server",
    "redis and its data": "redis-server",
    "postgrest": "postgrest",
    "postgres": "bin/postgres -D",
}


@dataclass
class Report:
    """The report of one seed."""

    seed: int
    kills: Counter[str] = field(default_factory=Counter)
    runs: int = 0
    steps: int = 0
    redeliveries: int = 0
    second_attempts: int = 0
    duplicates_dropped: int = 0
    seconds: float = 0.0
    errors: list[str] = field(default_factory=list)

    def line(self) -> str:
        verdict = "ok" if not self.errors else "; ".join(self.errors)
        return (
            f"seed {self.seed}: {sum(self.kills.values())} kills, {self.runs} runs, {self.steps} steps, "
            f"{self.redeliveries} redeliveries, {self.second_attempts} further attempts, "
            f"{self.duplicates_dropped} duplicates dropped, {self.seconds:.0f} s: {verdict}"
        )


class Chaos:
    """One seed on one stack."""

    def __init__(self, stack: RunningStack, *, seed: int, runs: int, kills: int) -> None:
        self.stack = stack
        self.random = random.Random(seed)
        self.report = Report(seed)
        self.runs = runs
        self.kills = kills
        self.settings: Settings = stack.settings
        self.accepted: dict[str, str] = {}
        self.stop = threading.Event()

    def play(self) -> Report:
        began = time.monotonic()
        with psycopg.connect(self.settings.require("database_url"), autocommit=True) as db:
            db.execute("truncate public.runs cascade")
            db.execute(AUDIT)
            db.execute("truncate public.chaos_audit")
        self.define()
        watcher = threading.Thread(target=self.watch_progress, daemon=True)
        watcher.start()
        submitter = threading.Thread(target=self.submit_all, daemon=True)
        submitter.start()
        for _ in range(self.kills):
            time.sleep(self.random.uniform(0.2, 2 * MEAN_PAUSE_SECONDS))
            self.kill(self.random.choice(sorted(TARGETS)))
        submitter.join(END_SECONDS)
        self.wait_until_ended()
        self.stop.set()
        watcher.join(10)
        self.check()
        self.report.seconds = time.monotonic() - began
        return self.report

    # What callers do

    def define(self) -> None:
        for workflow_id, steps in WORKFLOWS.items():
            self.insist("POST", "/api/agents/workflows", {"workflow_id": workflow_id, "steps": steps})

    def submit_all(self) -> None:
        pace = random.Random(self.report.seed)
        for n in range(self.runs):
            workflow_id = self.random_of(n, [*WORKFLOWS, "agent"])
            key = {"Idempotency-Key": f"{self.report.seed}-{n}-{uuid4().hex}"}
            if workflow_id == "agent":
                body = {"agent_type": "chat_agent", "input": {"message": f"Hello {n}"}}
                run_id = self.insist("POST", "/api/agents/invoke", body, key)["request_id"]
            else:
                inputs = {"message": f"Hello {n}", "items": [f"item {i}" for i in range(n % 6)], "left": n % 2 == 0}
                body = {"workflow_id": workflow_id, "inputs": inputs, "async": True}
                run_id = self.insist("POST", "/api/agents/workflows/execute", body, key)["workflow_run_id"]
            self.accepted[run_id] = workflow_id
            # So that there is work in hand whenever something is killed.
            time.sleep(pace.uniform(0, 2 * self.kills * MEAN_PAUSE_SECONDS / self.runs))

    def random_of(self, n: int, names: list[str]) -> str:
        return random.Random(f"{self.report.seed}-{n}").choice(names)

    def insist(self, method: str, path: str, body: Any, headers: dict[str, str] | None = None) -> Any:
        """Submit with retries and the same key until it is accepted."""
        give_up = time.monotonic() + END_SECONDS
        while True:
            try:
                response = requests.request(
                    method,
                    f"{self.stack.url}{path}",
                    json=body,
                    headers={"Authorization": f"Bearer {mint_service(self.settings)}", **(headers or {})},
                    timeout=10,
                )
                if response.status_code < 300:
                    return response.json()
                assert response.status_code in (500, 502, 503), f"{response.status_code} {response.text}"
            except requests.RequestException:
                pass
            assert time.monotonic() < give_up, f"{path} is not accepted"
            time.sleep(0.2)

    # What the world does

    def kill(self, target: str) -> None:
        try:
            if target == "redis and its data":
                supervisor = psutil.Process(self.stack.pid)
                freezing.freeze([supervisor])
                try:
                    self.stack.kill_process(TARGETS[target])
                    shutil.rmtree(self.stack.home / "redis", ignore_errors=True)
                finally:
                    freezing.thaw([supervisor])
            else:
                self.stack.kill_process(TARGETS[target])
        except AssertionError:
            return  # it is down already, and not up again yet
        self.report.kills[target] += 1

    # Invariants

    def report_error(self, text: str) -> None:
        if len(self.report.errors) < 20:
            self.report.errors.append(text)

    def watch_progress(self) -> None:
        """Progress and revision never go backwards."""
        seen: dict[str, tuple[float, int]] = {}
        while not self.stop.is_set():
            try:
                with psycopg.connect(self.settings.require("database_url"), connect_timeout=2) as db:
                    rows = db.execute("select id::text, progress, rev from public.runs").fetchall()
            except psycopg.Error:
                time.sleep(0.2)
                continue
            for run_id, progress, rev in rows:
                before = seen.get(run_id, (0.0, 0))
                if progress < before[0] - 1e-9 or rev < before[1]:
                    self.report_error(f"run {run_id} went back from {before} to {(progress, rev)}")
                seen[run_id] = (progress, rev)
            time.sleep(0.1)

    def wait_until_ended(self) -> None:
        """Wait until every run has ended and everything is up again."""
        give_up = time.monotonic() + END_SECONDS
        while time.monotonic() < give_up:
            try:
                with psycopg.connect(self.settings.require("database_url"), connect_timeout=2) as db:
                    row = db.execute(
                        "select (select count(*) from public.runs where finished_at is null),"
                        " (select count(*) from public.event_outbox)"
                    ).fetchone()
                if row == (0, 0) and requests.get(f"{self.stack.url}/readyz", timeout=5).status_code == 200:
                    return
            except (psycopg.Error, requests.RequestException):
                pass
            time.sleep(0.3)

    def check(self) -> None:
        with psycopg.connect(self.settings.require("database_url")) as db:
            self.check_runs(db)
            self.check_steps(db)
        self.check_redis()

    def check_runs(self, db: psycopg.Connection) -> None:
        rows = {row[0]: row[1:] for row in db.execute("select id::text, status, error from public.runs").fetchall()}
        self.report.runs = len(self.accepted)
        if len(self.accepted) != self.runs:
            self.report_error(f"{len(self.accepted)} of {self.runs} runs were accepted")
        if missing := self.accepted.keys() - rows.keys():
            self.report_error(f"accepted and lost: {sorted(missing)}")
        for run_id, workflow_id in self.accepted.items():
            status, error = rows.get(run_id, ("missing", None))
            if status != EXPECTED.get(workflow_id, "completed"):
                self.report_error(f"{workflow_id} run {run_id} is {status}: {error}")

    def check_steps(self, db: psycopg.Connection) -> None:
        def one(query: str) -> int:
            row = db.execute(query).fetchone()
            assert row is not None
            return int(row[0] or 0)

        self.report.steps = one("select count(*) from public.run_steps")
        self.report.redeliveries = one("select sum(greatest(publications - 1, 0)) from public.run_steps")
        self.report.second_attempts = one("select sum(greatest(attempt - 1, 0)) from public.run_steps")
        logs = "".join(path.read_text(errors="replace") for path in (self.stack.home / "logs").glob("agents*"))
        self.report.duplicates_dropped = logs.count("step_lost")
        for problem, query in {
            "steps recorded twice": (
                "select count(*) from (select 1 from public.chaos_audit group by run_id, key having count(*) > 1) as t"
            ),
            "steps that completed without being recorded": (
                "select count(*) from public.run_steps as s where status = 'completed' and not exists"
                " (select 1 from public.chaos_audit as a where a.run_id = s.run_id and a.key = s.key)"
            ),
            "completed steps without an output": (
                "select count(*) from public.run_steps where status = 'completed' and output is null"
            ),
            "open steps": ("select count(*) from public.run_steps where status in ('pending', 'running', 'waiting')"),
            "leases": "select count(*) from public.run_steps where lease_expires_at is not null",
            "outbox rows": "select count(*) from public.event_outbox",
        }.items():
            if left := one(query):
                self.report_error(f"{left} {problem}")

    def check_redis(self) -> None:
        """Check that the queues are empty, and that remaining keys are the broker's or expire."""
        client = redis.Redis.from_url(self.settings.require("redis_url"), decode_responses=True)
        give_up = time.monotonic() + 60
        while (queued := self.queued(client)) and time.monotonic() < give_up:
            time.sleep(0.5)
        if queued:
            self.report_error(f"messages left in queues: {queued}")
        lasting = [key for key in client.scan_iter(count=1000) if client.ttl(key) == -1]
        known = ("_kombu.", "unacked", "pb:epoch", "agents", "events", "maintenance", "webhooks")
        if strange := [key for key in lasting if not key.startswith(known) and "pidbox" not in key]:
            self.report_error(f"keys left for ever: {sorted(strange)[:10]}")
        client.close()

    def queued(self, client: redis.Redis) -> dict[str, int]:
        # Beat's own messages come and go; those of steps must be gone.
        found = {name: int(client.llen(name)) for name in ("agents", "agents\x06\x165")}  # type: ignore[arg-type]
        return {name: count for name, count in found.items() if count}
