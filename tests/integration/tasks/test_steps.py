"""Steps in real workers: the life of a run, and how it ends after failures."""

from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
import requests
from celery import Celery

from pixelbloom.celery_app import broker_address
from pixelbloom.database.gateway import Gateway
from pixelbloom.runs.dispatcher import Dispatcher
from pixelbloom.runs.model import Run
from pixelbloom.runs.store import RunStore
from tests.servers.ollama import OllamaServer
from tests.servers.script import Script
from tests.stack import Stack, StartedProcess, stop_all
from tests.waiting import SECONDS

LEASE_SECONDS = 250


@pytest.fixture(scope="module")
def ollama() -> Iterator[OllamaServer]:
    with OllamaServer() as server:
        yield server


@pytest.fixture(scope="module")
def worker_env(ollama: OllamaServer) -> dict[str, str]:
    # Neither a lease nor a reply of the model runs out because the machine is slow.
    return {
        "OLLAMA_HOST": ollama.url,
        "LEASE_SECONDS": str(LEASE_SECONDS),
        "MODEL_TIMEOUT": "250",
        "AGENT_CONCURRENCY": "4",
    }


@pytest.fixture(scope="module")
def tiers(stack: Stack, worker_env: dict[str, str]) -> Iterator[dict[str, StartedProcess]]:
    started = {role: stack.start(role, env=worker_env) for role in ("agents", "events", "maintenance", "beat")}
    yield started
    stop_all(started.values())


@pytest.fixture
def store(stack: Stack) -> Iterator[RunStore]:
    gateway = Gateway(stack.settings)
    yield RunStore(gateway, user_queue_limit=100, lease_seconds=LEASE_SECONDS)
    gateway.close()


@pytest.fixture
def submit(stack: Stack, store: RunStore, ollama: OllamaServer) -> Iterator[Callable[..., UUID]]:
    """Store a run and publish it to the broker, as the web tier does."""
    ollama.reset()
    app = Celery(broker=broker_address(stack.redis_url), set_as_current=False)
    dispatcher = Dispatcher(app, lambda _: None)

    def send(agent_type: str = "chat_agent", input: dict[str, Any] | None = None, **step: Any) -> UUID:
        body = input or {"message": "How much is a website?"}
        response = store.create(
            {
                "id": str(uuid4()),
                "kind": "agent",
                "agent_type": agent_type,
                "caller": "service",
                "user_queue": "service",
                "correlation_id": "the-request",
                "input": body,
                "steps": [{"key": agent_type, "agent_type": agent_type, "input": body, **step}],
            }
        )
        dispatcher.publish(response["publish"])
        return UUID(response["id"])

    yield send
    app.close()


@pytest.fixture
def ended(stack: Stack, store: RunStore) -> Callable[[UUID], Run]:
    """The run, once it has ended."""

    def wait(run_id: UUID) -> Run:
        stack.wait_for(lambda: Run.from_row(store.get(run_id)).status.terminal)
        return Run.from_row(store.get(run_id))

    return wait


Submit, Ended = Callable[..., UUID], Callable[[UUID], Run]


@pytest.mark.usefixtures("tiers")
def test_a_run_gets_the_models_reply_and_its_cost_is_recorded(
    submit: Submit, ended: Ended, db: psycopg.Connection
) -> None:
    run_id = submit()
    run = ended(run_id)
    assert (run.status, run.provider, run.model, run.progress) == ("completed", "ollama", "llama3.1:8b", 1)
    assert run.result["reply"]
    step = run.steps[0]
    assert (step.status, step.attempt, step.provider) == ("completed", 1, "ollama")
    assert step.prompt_tokens > 0
    assert step.completion_tokens > 0
    assert db.execute(
        "select provider, outcome, completion_tokens from public.model_metrics where run_id = %s", (run_id,)
    ).fetchall() == [("ollama", "ok", step.completion_tokens)]


@pytest.mark.usefixtures("tiers")
def test_the_rules_are_used_when_no_model_replies_and_the_run_says_so(
    submit: Submit, ended: Ended, ollama: OllamaServer, db: psycopg.Connection
) -> None:
    ollama.play(Script(status=500), Script(status=500), Script(status=500))
    run_id = submit()
    run = ended(run_id)
    assert (run.status, run.provider, run.model) == ("completed", "fallback", None)
    outcomes = db.execute("select outcome from public.model_metrics where run_id = %s", (run_id,)).fetchall()
    assert outcomes
    assert ("ok",) not in outcomes


@pytest.mark.usefixtures("tiers")
def test_a_step_that_cannot_succeed_fails_at_once_with_its_reason(submit: Submit, ended: Ended) -> None:
    run = ended(submit(agent_type="no_such_agent"))
    assert (run.status, run.attempts, run.error_code) == ("failed", 1, "BAD_REQUEST")
    assert "no agent of that agent_type" in str(run.error)


@pytest.mark.usefixtures("tiers")
def test_a_step_past_its_deadline_ends_although_the_model_hangs(
    submit: Submit, ended: Ended, ollama: OllamaServer
) -> None:
    ollama.play(*[Script(hang=True)] * 4)
    run = ended(submit(timeout_seconds=1.0, max_attempts=1))
    assert run.status in ("failed", "completed")
    if run.status == "failed":
        assert run.error_code == "TIMEOUT"
    else:
        assert run.provider == "fallback"


@pytest.mark.usefixtures("tiers")
def test_a_cancelled_run_stops_while_the_model_is_streaming(
    submit: Submit, ended: Ended, ollama: OllamaServer, stack: Stack, store: RunStore, db: psycopg.Connection
) -> None:
    ollama.play(Script(hang_after=2))
    run_id = submit()
    stack.wait_for(lambda: store.get(run_id)["status"] == "running")
    stack.wait_for(lambda: ollama.requests)
    db.execute("select public.cancel_run(%s, 10)", (run_id,))
    run = ended(run_id)
    assert (run.status, run.result, run.steps[0].status) == ("cancelled", None, "cancelled")


@pytest.mark.usefixtures("tiers")
def test_a_worker_that_is_stopped_hands_its_step_to_another(
    submit: Submit,
    ended: Ended,
    ollama: OllamaServer,
    stack: Stack,
    store: RunStore,
    tiers: dict[str, StartedProcess],
    worker_env: dict[str, str],
) -> None:
    ollama.play(Script(hang_after=2))
    run_id = submit()
    stack.wait_for(lambda: ollama.requests)
    tiers["agents"].stop()
    tiers["agents"] = stack.start("agents", env=worker_env)
    run = ended(run_id)
    assert (run.status, run.provider, run.attempts) == ("completed", "ollama", 1)


@pytest.mark.usefixtures("tiers")
def test_a_killed_workers_step_goes_to_another_once_its_lease_ran_out(
    submit: Submit,
    ended: Ended,
    ollama: OllamaServer,
    stack: Stack,
    tiers: dict[str, StartedProcess],
    worker_env: dict[str, str],
    db: psycopg.Connection,
) -> None:
    ollama.play(Script(hang_after=2))
    run_id = submit()
    stack.wait_for(lambda: ollama.requests)
    tiers["agents"].kill()
    tiers["agents"] = stack.start("agents", env=worker_env)
    db.execute("update public.run_steps set lease_expires_at = now() - interval '1 hour' where run_id = %s", (run_id,))
    run = ended(run_id)
    assert (run.status, run.attempts) == ("completed", 1)
    (errors,) = db.execute("select errors from public.run_steps where run_id = %s", (run_id,)).fetchone() or ([],)
    assert [error["code"] for error in errors] == ["WORKER_LOST"]


@pytest.mark.usefixtures("tiers")
def test_the_outbox_is_emptied(submit: Submit, ended: Ended, stack: Stack, db: psycopg.Connection) -> None:
    ended(submit())
    stack.wait_for(lambda: db.execute("select count(*) from public.event_outbox").fetchone() == (0,))


@pytest.mark.usefixtures("tiers")
def test_workers_log_the_request_and_the_run_and_no_key(
    submit: Submit, ended: Ended, tiers: dict[str, StartedProcess], stack: Stack
) -> None:
    run_id = submit()
    ended(run_id)
    stack.wait_for(lambda: str(run_id) in tiers["agents"].output)
    said = tiers["agents"].output
    assert '"request_id": "the-request"' in said
    for secret in ("api_jwt_secret", "supabase_jwt_secret", "supabase_service_role_key"):
        assert stack.settings.require(secret) not in said


def test_flower_shows_workers_and_tasks_with_their_run(
    running: Stack, tiers: dict[str, StartedProcess], submit: Submit, ended: Ended
) -> None:
    flower = running.start("flower")
    user, _, password = running.env["FLOWER_BASIC_AUTH"].partition(":")
    auth = (user, password)

    def names() -> list[str]:
        workers = requests.get(f"{flower.url}/api/workers", params={"refresh": "1"}, auth=auth, timeout=SECONDS).json()
        return [name for name in workers if name.startswith("agents")]

    running.wait_for(names)
    running.wait_for(lambda: "enabled by remote" in tiers["agents"].output)  # Flower asks the workers for events
    run_id = submit()
    ended(run_id)

    def shown() -> list[dict[str, Any]]:
        tasks = requests.get(f"{flower.url}/api/tasks", auth=auth, timeout=SECONDS).json()
        return [task for task in tasks.values() if str(run_id) in (task["args"] or "")]

    running.wait_for(shown)
    assert shown()[0]["name"] == "pixelbloom.run_step"
