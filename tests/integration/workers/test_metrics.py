"""The metrics of workers: what a run, a sweep and a webhook count, in a pool of threads and in one of processes."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from celery import Celery

from pixelbloom.celery_app import broker_address
from pixelbloom.local.postgrest import free_port
from pixelbloom.runs.dispatcher import Dispatcher
from pixelbloom.runs.store import RunStore
from tests import ROOT
from tests.scrapes import once
from tests.servers.ollama import OllamaServer
from tests.servers.workers import WorkerProcess
from tests.stack import Stack
from tests.waiting import until


@pytest.fixture
def submit(stack: Stack, gateway: Any) -> Iterator[Callable[..., UUID]]:
    """Store a run and publish it to the broker, as the web tier does."""
    store = RunStore(gateway, user_queue_limit=100, lease_seconds=15)
    app = Celery(broker=broker_address(stack.redis_url), set_as_current=False)
    dispatcher = Dispatcher(app, lambda _: None)

    def send(message: str = "How much is a website?") -> UUID:
        body = {"message": message}
        step = {"key": "chat_agent", "agent_type": "chat_agent", "input": body, "max_attempts": 1}
        run = {"id": str(uuid4()), "kind": "agent", "agent_type": "chat_agent", "caller": "service"}
        created = store.create({**run, "user_queue": "service", "input": body, "steps": [step]})
        dispatcher.publish(created["publish"])
        return UUID(created["id"])

    yield send
    app.close()


@contextmanager
def worker(
    stack: Stack, folder: Path, *options: str, role: str = "agents", **env: str
) -> Iterator[tuple[WorkerProcess, str]]:
    """A worker with metrics, and the address of its metrics."""
    port = free_port()
    temporary = folder / "temporary"
    temporary.mkdir()
    values = {**os.environ, **stack.env, "METRICS_PORT": str(port), "TMPDIR": str(temporary), **env}
    process = WorkerProcess(role, values, folder, *options)
    try:
        until(lambda: "metrics_served" in process.output, saw=lambda: process.output)
        yield process, f"http://127.0.0.1:{port}/metrics"
    finally:
        process.end()


def test_a_run_is_counted_by_agent_model_and_outcome(stack: Stack, tmp_path: Path, submit: Callable[..., UUID]) -> None:
    with OllamaServer() as ollama, worker(stack, tmp_path, OLLAMA_HOST=ollama.url) as (process, url):
        submit()
        found = once(url, lambda found: found.of("tasks_total", task="pixelbloom.run_step", state="SUCCESS") == 1)

        agent = {"agent_type": "chat_agent"}
        assert found.of("step_attempts_total", **agent, attempt="1") == 1
        assert found.of("steps_total", **agent, outcome="completed") == 1
        assert found.of("step_duration_seconds_count", **agent) == 1
        assert found.of("step_results_total", **agent, provider="ollama") == 1
        assert found.of("model_calls_total", provider="ollama", outcome="ok") == 1
        assert found.of("model_call_duration_seconds_count", provider="ollama") == 1
        assert found.of("model_tokens_total", provider="ollama", kind="prompt") > 0
        assert found.of("model_tokens_total", provider="ollama", kind="completion") > 0
        assert found.has("model_breaker_open", provider="ollama")
        assert found.of("model_breaker_open", provider="ollama") == 0
        process.stop()
        assert list((tmp_path / "temporary").glob("pixelbloom-metrics-*")) == []


def test_rules_that_replace_the_model_are_counted_and_its_breaker_is_shown(
    stack: Stack, tmp_path: Path, submit: Callable[..., UUID]
) -> None:
    with worker(stack, tmp_path, OLLAMA_HOST="http://127.0.0.1:9", AGENT_CONCURRENCY="1") as (_, url):
        for _ in range(6):
            submit()
        found = once(url, lambda found: found.of("steps_total", agent_type="chat_agent", outcome="completed") == 6)
        assert found.of("step_results_total", agent_type="chat_agent", provider="fallback") == 6
        assert found.of("model_calls_total", provider="ollama", outcome="refused") == 5
        assert found.of("model_breaker_open", provider="ollama") == 1


def test_the_processes_of_a_pool_add_up(stack: Stack, tmp_path: Path, submit: Callable[..., UUID]) -> None:
    with worker(stack, tmp_path, "--pool=processes", "--concurrency=2") as (process, url):
        for _ in range(8):
            submit()
        found = once(url, lambda found: found.of("steps_total", agent_type="chat_agent", outcome="completed") == 8)
        assert found.of("step_duration_seconds_count", agent_type="chat_agent") == 8
        folder = next((tmp_path / "temporary").glob("pixelbloom-metrics-*"))
        counting = {path.stem for path in folder.glob("counter_*.db") if path.stat().st_size}
        assert len(counting) >= 2, process.output


def test_the_sweep_counts_what_it_recovers(
    stack: Stack, tmp_path: Path, submit: Callable[..., UUID], gateway: Any, db: Any
) -> None:
    with worker(stack, tmp_path, role="maintenance") as (_, url):
        found = once(url, lambda found: found.has("leases_expired_total"))
        assert found.of("leases_expired_total") == found.of("steps_lost_total") == 0
        run_id = submit()
        RunStore(gateway, user_queue_limit=1, lease_seconds=15).claim(run_id, "chat_agent", "dead#1", uuid4().hex)
        db.execute("update run_steps set lease_expires_at = now() - interval '1 minute' where status = 'running'")
        db.execute("update system_state set next_sweep_at = '-infinity', last_sweep_at = now()")
        with Celery(broker=broker_address(stack.redis_url), set_as_current=False) as app:
            app.send_task("pixelbloom.sweep_runs", queue="maintenance", ignore_result=True)
        found = once(url, lambda found: found.of("tasks_total", task="pixelbloom.sweep_runs", state="SUCCESS") == 1)
        assert found.of("leases_expired_total") == 1
        assert found.of("stripe_events_handled_total", status="failed") == 0
        assert found.has("webhook_attempts_total", outcome="failed")


def test_a_metrics_port_in_use_stops_no_work(
    stack: Stack, tmp_path: Path, submit: Callable[..., UUID], db: Any
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        process = WorkerProcess("agents", {**os.environ, **stack.env, "METRICS_PORT": port}, tmp_path)
        try:
            run_id = submit()
            until(
                lambda: db.execute("select status from runs where id = %s", [run_id]).fetchone() == ("completed",),
                saw=lambda: process.output,
            )
            assert "metrics_not_served" in process.output
        finally:
            process.end()


def test_without_the_setting_a_worker_imports_and_counts_nothing(stack: Stack) -> None:
    code = (
        "import sys, workers.agents\n"
        "from celery.signals import task_postrun\n"
        "from pixelbloom.tasks.container import services\n"
        "services().executor\n"
        "from pixelbloom.telemetry.recorder import DISCARD\n"
        "assert services().metrics is DISCARD\n"
        "assert not task_postrun.receivers, task_postrun.receivers\n"
        "heavy = ('prometheus_client', 'pixelbloom.telemetry.otlp', 'opentelemetry.exporter', 'sentry_sdk')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **stack.env, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
