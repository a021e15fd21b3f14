"""One trace follows a request through the broker and the database to the model and the last event."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from websockets.sync.client import connect

from tests.integration.http import CHAT, Api
from tests.servers.ollama import OllamaServer
from tests.servers.otlp import Collector, Span
from tests.servers.script import Script
from tests.servers.sentry import SentryServer
from tests.stack import Stack, stop_all
from tests.waiting import SECONDS, until

STEP = "run/pixelbloom.run_step"
PUBLISH = "apply_async/pixelbloom.run_step"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with Collector() as server:
        yield server


@pytest.fixture(scope="module")
def ollama() -> Iterator[OllamaServer]:
    with OllamaServer() as server:
        yield server


@pytest.fixture(scope="module")
def sentry() -> Iterator[SentryServer]:
    with SentryServer() as server:
        yield server


@pytest.fixture(scope="module")
def api(stack: Stack, collector: Collector, sentry: SentryServer, ollama: OllamaServer) -> Iterator[Api]:
    env = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "200",
        "SENTRY_DSN": sentry.dsn,  # beside the traces: both wrap the application
        "OLLAMA_HOST": ollama.url,
        "USER_CONCURRENCY": "1",
    }
    started = [stack.start(role, env=env) for role in ("web", "agents")]
    yield Api(started[0].url, None, stack.settings)
    stop_all(started)


def ended(api: Api, db: psycopg.Connection, *run_ids: str) -> None:
    def all_ended() -> bool:
        row = db.execute(
            "select count(*) from runs where id = any(%s::uuid[]) and finished_at is not null", [list(run_ids)]
        ).fetchone()
        return row == (len(run_ids),)

    until(all_ended)


def whole(collector: Collector, trace: str, steps: int) -> list[Span]:
    """Return the spans of a trace, once the spans of its steps and of its request have arrived."""

    def arrived() -> list[Span]:
        spans = collector.of(trace)
        complete = len(named(spans, STEP)) == steps and any(span.kind == "server" for span in spans)
        return spans if complete else []

    return until(arrived, saw=lambda: [(span.kind, span.name, span.trace) for span in collector.spans])


def named(spans: list[Span], name: str) -> list[Span]:
    return [span for span in spans if span.name == name]


def ancestors(span: Span, spans: list[Span]) -> Iterator[Span]:
    by_id = {each.id: each for each in spans}
    while (parent := by_id.get(span.parent)) is not None:
        yield parent
        span = parent


def test_one_trace_leads_from_the_request_to_the_model_and_the_publish(
    api: Api, collector: Collector, db: psycopg.Connection
) -> None:
    trace, request_id = uuid4().hex, f"request-{uuid4().hex}"
    response = api.as_service().invoke(CHAT, X_Request_ID=request_id, traceparent=f"00-{trace}-00f067aa0ba902b7-01")
    run_id = response.json()["request_id"]
    ended(api, db, run_id)

    spans = whole(collector, trace, steps=1)

    (server,) = [span for span in spans if span.kind == "server"]
    (step,) = named(spans, STEP)
    assert (server.service, step.service) == ("pixelbloom-web", "pixelbloom-agents")
    assert server.parent == "00f067aa0ba902b7"
    assert [span.name for span in ancestors(step, spans)] == [PUBLISH, server.name]
    for span in (server, step):
        assert span.attributes["run_id"] == run_id
        assert span.attributes["request_id"] == request_id
    below = [span for span in spans if step in ancestors(span, spans)]
    calls = {span.attributes.get("db.system") or span.attributes.get("http.url", "") for span in below}
    assert {"postgresql", "redis"} <= calls
    assert any(call.endswith("/api/chat") for call in calls), calls
    assert all(span.attributes["run_id"] == run_id for span in below)
    inserts = [s for s in spans if "create_runs" in str(s.attributes.get("db.statement"))]
    assert [span.name for insert in inserts for span in ancestors(insert, spans)][-1] == server.name


def test_a_step_that_another_run_admits_stays_in_the_trace_of_its_own_request(
    api: Api, collector: Collector, ollama: OllamaServer, db: psycopg.Connection
) -> None:
    user = api.as_user()
    ollama.play(Script(first_delay=5.0))
    traces = [uuid4().hex for _ in range(3)]
    runs = [user.invoke(CHAT, traceparent=f"00-{trace}-00f067aa0ba902b7-01").json()["request_id"] for trace in traces]
    row = db.execute("select count(*) from run_steps where published_at is null and run_id = any(%s::uuid[])", [runs])
    assert row.fetchone() == (2,)  # of USER_CONCURRENCY=1, the others wait for the first
    ended(api, db, *runs)

    for trace, run_id in zip(traces, runs, strict=True):
        spans = whole(collector, trace, steps=1)
        (step,) = named(spans, STEP)
        assert step.attributes["run_id"] == run_id
        (published,) = named(spans, PUBLISH)
        assert step.parent == published.id
    assert published.service == "pixelbloom-agents"


def test_the_steps_of_a_workflow_share_the_trace(api: Api, collector: Collector, db: psycopg.Connection) -> None:
    trace = uuid4().hex
    lead = {"name": "Ada Example", "email": "ada@example.com", "company": "Example", "message": "A shop, 5000 EUR."}
    response = api.as_service().request(
        "POST",
        "/api/agents/workflows/execute",
        json={"workflow_id": "support_triage", "inputs": {"message": "My invoice is wrong.", **lead}},
        headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"},
    )
    assert response.status_code in (200, 202), response.text
    run_id = response.json()["workflow_run_id"]
    ended(api, db, run_id)
    row = db.execute("select count(*) from run_steps where run_id = %s and attempt > 0", [run_id]).fetchone()
    assert row is not None
    assert row[0] > 1

    spans = whole(collector, trace, steps=row[0])

    assert {span.attributes["run_id"] for span in named(spans, STEP)} == {run_id}


def test_a_trace_begins_with_a_request_or_a_task_and_probes_have_none(api: Api, collector: Collector) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        api.as_service().get(path)
    api.as_service().get("/api/agents")
    until(lambda: any(span.name == "GET /api/agents" for span in collector.spans))

    roots = [span for span in collector.spans if not span.parent]
    assert roots
    assert {span.kind for span in roots} <= {"server", "consumer"}
    assert not [span.name for span in collector.spans if span.name in ("GET /healthz", "GET /readyz", "GET /metrics")]


def test_no_span_has_a_token(api: Api, collector: Collector, stack: Stack) -> None:
    token = api.as_user().token
    assert token is not None
    api.get(f"/api/agents?token={token}&marker=of-this-test")
    found: list[Any] = until(lambda: [span for span in collector.spans if "of-this-test" in span.text])

    assert "token=[redacted]" in found[0].text
    sent = "".join(span.text for span in collector.spans)
    for secret in (token, stack.env["SUPABASE_SERVICE_ROLE_KEY"], stack.env["API_JWT_SECRET"]):
        assert secret not in sent


def test_a_socket_works_with_telemetry_and_its_token_is_not_sent(
    api: Api, collector: Collector, sentry: SentryServer
) -> None:
    user = api.as_user()
    assert user.token is not None
    topic = f"user:{user.user_id}"
    url = f"{api.url.replace('http', 'ws', 1)}/api/ws/notifications?token={user.token}"
    with connect(url, proxy=None) as socket:
        socket.send(json.dumps({"type": "subscribe", "topic": topic}))
        frames = [json.loads(socket.recv(timeout=SECONDS))]
        while frames[-1]["type"] != "subscribed":
            frames.append(json.loads(socket.recv(timeout=SECONDS)))
        (opened,) = until(lambda: [span for span in collector.spans if span.name == "GET /api/ws/notifications"])

    assert "[redacted]" in opened.text
    assert user.token not in opened.text
    assert sentry.events == []
