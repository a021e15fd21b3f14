"""The schemas of figures of agents and models in the OpenAPI document."""

from typing import Any

from pydantic import Field

from pixelbloom.core.statuses import LogLevel
from pixelbloom.web.analytics.figures import AT, RANGE, Figure, Percent, Point, Ranged, figure
from pixelbloom.web.http.rendering import Body, JsonObject, Page, Time, Uuid
from pixelbloom.web.http.schemas import RUN_ID, USER_ID, example

AGENTS: dict[str, Any] = {
    "range": RANGE,
    "executions": figure(240, 20),
    "success_rate": figure(97.5, 0.4),
    "fallback_rate": figure(3.4, -1.1),
    "average_duration_ms": figure(3360, -4.2),
    "tokens": figure(51000, 18.3),
    "by_agent": [
        {
            "agent_type": "chat_agent",
            "executions": 240,
            "completed": 234,
            "failed": 6,
            "cancelled": 0,
            "success_rate": 97.5,
            "fallback_rate": 3.4,
            "average_duration_ms": 3360,
            "p95_duration_ms": 7800,
            "tokens": 51000,
        }
    ],
}

AGENT_TREND: dict[str, Any] = {
    "range": RANGE,
    "data": [
        {"date": "2026-01-30", "value": 0, "completed": 0, "failed": 0, "average_duration_ms": None},
        {"date": "2026-01-31", "value": 12, "completed": 11, "failed": 1, "average_duration_ms": 3410},
    ],
}

LOG: dict[str, Any] = {
    "id": "e4d6c7a8-2f3b-4f63-8d6e-0f5f3c8b7a21",
    "run_id": RUN_ID,
    "user_id": USER_ID,
    "agent_type": "chat_agent",
    "level": "warning",
    "event": "step_retried",
    "detail": {"step": "chat_agent", "attempt": 1, "error": "No model responded in time."},
    "created_at": AT,
}

MODELS: dict[str, Any] = {
    "range": RANGE,
    "calls": figure(250, 19),
    "success_rate": figure(94, 1.2),
    "average_latency_ms": figure(2950, -3.1),
    "tokens": figure(51000, 18.3),
    "by_model": [
        {
            "provider": "ollama",
            "model": "llama3",
            "calls": 250,
            "ok": 235,
            "success_rate": 94,
            "average_latency_ms": 2950,
            "p95_latency_ms": 7200,
            "prompt_tokens": 21000,
            "completion_tokens": 30000,
        }
    ],
    "by_outcome": [{"outcome": "ok", "value": 235}, {"outcome": "timeout", "value": 15}],
    "trend": [{"date": "2026-01-31", "value": 130, "failed": 7, "tokens": 26500}],
}


class AgentFigures(Body):
    """The executions of one agent."""

    agent_type: str
    executions: int
    completed: int
    failed: int
    cancelled: int
    success_rate: Percent
    fallback_rate: Percent
    average_duration_ms: int | None
    p95_duration_ms: int | None
    tokens: int


class AgentSummaryBody(Ranged):
    """The executions of agents, in agent runs and as steps of workflows."""

    model_config = example(AGENTS)

    executions: Figure
    success_rate: Figure = Field(description="Of those that completed or failed.")
    fallback_rate: Figure = Field(description="The share with a result of the agent's own rules.")
    average_duration_ms: Figure
    tokens: Figure
    by_agent: list[AgentFigures]


class AgentPoint(Point):
    """Executions of a period, and how they ended."""

    completed: int
    failed: int
    average_duration_ms: int | None


class AgentTrendBody(Ranged):
    """Agents over time."""

    model_config = example(AGENT_TREND)

    data: list[AgentPoint]


class LogItem(Body):
    """A log entry of an agent."""

    model_config = example(LOG)

    id: Uuid
    run_id: Uuid | None
    user_id: Uuid | None
    agent_type: str
    level: LogLevel
    event: str
    detail: JsonObject
    created_at: Time


class LogPage(Page[LogItem]):
    """The log, newest first."""


class ModelFigures(Body):
    """Calls to one model."""

    provider: str
    model: str | None
    calls: int
    ok: int
    success_rate: Percent
    average_latency_ms: int | None = Field(description="Of those with a response.")
    p95_latency_ms: int | None
    prompt_tokens: int
    completion_tokens: int


class OutcomeCount(Body):
    """The number of calls with an outcome."""

    outcome: str
    value: int


class ModelPoint(Point):
    """Calls of a period."""

    failed: int
    tokens: int


class ModelMetricsBody(Ranged):
    """Calls to model providers."""

    model_config = example(MODELS)

    calls: Figure
    success_rate: Figure
    average_latency_ms: Figure
    tokens: Figure
    by_model: list[ModelFigures]
    by_outcome: list[OutcomeCount]
    trend: list[ModelPoint]
