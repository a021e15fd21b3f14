"""The SQL functions for agents and models, compared with the same figures in Python from generated rows."""

import math
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.integration.analytics.figures import (
    GENERATED,
    Row,
    asked,
    counted,
    filled,
    mean,
    now_and_before,
    rate,
    rated,
    seen,
)
from tests.servers.agency import PEOPLE, Agency, works
from tests.servers.days import Days, days

Case = tuple[Days, Agency, UUID | None]
#: Outcomes of calls with a used reply; truncated prose is used as far as it goes.
USED = ("ok", "truncated")
WORKS = days().flatmap(lambda of: st.tuples(st.just(of), works(of), st.sampled_from(PEOPLE)))


@pytest.fixture
def empty(db: psycopg.Connection) -> Iterator[psycopg.Connection]:
    """Hide the rows of other tests; they are restored afterwards."""
    with db.transaction(force_rollback=True):
        db.execute("truncate public.runs, public.model_metrics, public.agent_logs cascade")
        yield db


def executions(agency: Agency, who: UUID | None) -> list[Row]:
    """Return steps of agents, with the creation time of their run."""
    made = {row["id"]: row["created_at"] for row in seen(agency["runs"], who)}
    return [
        {**row, "created_at": made[row["run_id"]]}
        for row in agency["run_steps"]
        if row["kind"] == "agent" and row["run_id"] in made
    ]


def took(row: Row) -> int:
    return round((row["finished_at"] - row["started_at"]).total_seconds() * 1000)


def tokens(rows: list[Row]) -> int:
    return sum(row["prompt_tokens"] + row["completion_tokens"] for row in rows)


def p95(values: list[int]) -> int | None:
    """Return the smallest value that is not less than 95 percent of them."""
    return sorted(values)[math.ceil(0.95 * len(values)) - 1] if values else None


def of_status(rows: list[Row], *statuses: str) -> list[Row]:
    return [row for row in rows if row["status"] in statuses]


def success(rows: list[Row]) -> float | None:
    return rate(len(of_status(rows, "completed")), len(of_status(rows, "completed", "failed")))


def by_rules(rows: list[Row]) -> float | None:
    done = of_status(rows, "completed")
    return rate(sum(row["provider"] == "fallback" for row in done), len(done))


@GENERATED
@given(case=WORKS)
def test_figures_of_agents_match_the_rows(empty: psycopg.Connection, case: Case) -> None:
    of, agency, who = case
    with filled(empty, agency) as db:
        said = asked(db, "agent_summary", who, of.start, of.end, of.zone)

    now, before = now_and_before(of, executions(agency, who))
    assert said["executions"] == counted(len(now), len(before))
    assert said["success_rate"] == rated(success(now), success(before))
    assert said["fallback_rate"] == rated(by_rules(now), by_rules(before))
    assert said["tokens"] == counted(tokens(now), tokens(before))
    assert said["average_duration_ms"] == counted(
        *(mean(took(row) for row in of_status(rows, "completed")) for rows in (now, before))
    )
    assert {entry.pop("agent_type"): entry for entry in said["by_agent"]} == {
        agent_type: {
            "executions": len(rows),
            **{status: len(of_status(rows, status)) for status in ("completed", "failed", "cancelled")},
            "success_rate": success(rows),
            "fallback_rate": by_rules(rows),
            "average_duration_ms": mean(took(row) for row in of_status(rows, "completed")),
            "p95_duration_ms": p95([took(row) for row in of_status(rows, "completed")]),
            "tokens": tokens(rows),
        }
        for agent_type in {row["agent_type"] for row in now}
        for rows in [[row for row in now if row["agent_type"] == agent_type]]
    }


@GENERATED
@given(case=WORKS, agent_type=st.sampled_from([None, "chat_agent"]))
def test_figures_of_agents_over_time_match_the_rows(
    empty: psycopg.Connection, case: Case, agent_type: str | None
) -> None:
    of, agency, who = case
    with filled(empty, agency) as db:
        said = asked(db, "agent_trends", who, of.start, of.end, of.aggregation, of.zone, agent_type)

    wanted = [row for row in executions(agency, who) if agent_type in (None, row["agent_type"])]
    periods = {
        first: [row for row in wanted if of.has(row["created_at"]) and of.period(of.day(row["created_at"])) == first]
        for first in of.periods()
    }
    assert said == [
        {
            "date": first.isoformat(),
            "value": len(rows),
            "completed": len(of_status(rows, "completed")),
            "failed": len(of_status(rows, "failed")),
            "average_duration_ms": mean(took(row) for row in of_status(rows, "completed")),
        }
        for first, rows in periods.items()
    ]


@GENERATED
@given(case=WORKS)
def test_figures_of_model_calls_match_the_rows(empty: psycopg.Connection, case: Case) -> None:
    of, agency, who = case
    with filled(empty, agency) as db:
        said = asked(db, "model_summary", who, of.start, of.end, of.aggregation, of.zone)

    run_ids = {row["id"] for row in seen(agency["runs"], who)}
    calls = [row for row in agency["model_metrics"] if who is None or row["run_id"] in run_ids]
    now, before = now_and_before(of, calls)
    ok, ok_before = ([row for row in rows if row["outcome"] in USED] for rows in (now, before))
    assert said["calls"] == counted(len(now), len(before))
    assert said["success_rate"] == rated(rate(len(ok), len(now)), rate(len(ok_before), len(before)))
    assert said["tokens"] == counted(tokens(now), tokens(before))
    assert said["average_latency_ms"] == counted(*(mean(row["latency_ms"] for row in rows) for rows in (ok, ok_before)))
    assert {entry["outcome"]: entry["value"] for entry in said["by_outcome"]} == Counter(r["outcome"] for r in now)
    assert {(entry.pop("provider"), entry.pop("model")): entry for entry in said["by_model"]} == {
        (provider, model): {
            "calls": len(rows),
            "ok": len(good),
            "success_rate": rate(len(good), len(rows)),
            "average_latency_ms": mean(row["latency_ms"] for row in good),
            "p95_latency_ms": p95([row["latency_ms"] for row in good]),
            "prompt_tokens": sum(row["prompt_tokens"] for row in rows),
            "completion_tokens": sum(row["completion_tokens"] for row in rows),
        }
        for provider, model in {(row["provider"], row["model"]) for row in now}
        for rows in [[row for row in now if (row["provider"], row["model"]) == (provider, model)]]
        for good in [[row for row in rows if row["outcome"] in USED]]
    }
    every = of.series(row["created_at"] for row in calls)
    failed = of.series(row["created_at"] for row in calls if row["outcome"] not in USED)
    assert [(point["date"], point["value"], point["failed"]) for point in said["trend"]] == [
        (one["date"], one["value"], other["value"]) for one, other in zip(every, failed, strict=True)
    ]
    assert sum(point["tokens"] for point in said["trend"]) == tokens(now)


@GENERATED
@given(case=WORKS)
def test_the_log_is_newest_first_and_filtered_by_agent_and_level(empty: psycopg.Connection, case: Case) -> None:
    of, agency, who = case
    with filled(empty, agency) as db:
        said = asked(db, "agent_log_list", who, of.start, of.end, of.zone, None, None, 1000, None, None)
        some = asked(db, "agent_log_list", who, of.start, of.end, of.zone, "chat_agent", "error", 1000, None, None)

    now, _ = now_and_before(of, seen(agency["agent_logs"], who))
    newest_first = sorted(now, key=lambda row: (row["created_at"], str(row["id"])), reverse=True)
    assert [entry["id"] for entry in said] == [str(row["id"]) for row in newest_first]
    assert [entry["id"] for entry in some] == [
        str(row["id"]) for row in newest_first if (row["agent_type"], row["level"]) == ("chat_agent", "error")
    ]


def test_the_95th_percentile_of_executions_and_calls(empty: psycopg.Connection) -> None:
    begun = datetime(2026, 1, 15, tzinfo=UTC)
    shape = {"kind": "agent", "agent_type": "chat_agent", "user_queue": "x", "input": "{}"}
    run = {"id": UUID(int=1), "created_at": begun, "caller": "service", "status": "queued", **shape}
    steps = [
        {
            "run_id": run["id"],
            "key": f"step{number}",
            "status": "completed",
            "output": "{}",
            **shape,
            "started_at": begun,
            "finished_at": begun + timedelta(milliseconds=number),
        }
        for number in range(1, 101)
    ]
    calls = [
        {"agent_type": "chat_agent", "provider": "ollama", "outcome": "ok", "latency_ms": number, "created_at": begun}
        for number in range(1, 101)
    ]
    of = (None, date(2026, 1, 1), date(2026, 1, 31))
    with filled(empty, Agency({"runs": [run], "run_steps": steps, "model_metrics": calls})) as db:
        agents = asked(db, "agent_summary", *of, "UTC")["by_agent"]
        models = asked(db, "model_summary", *of, "daily", "UTC")["by_model"]

    assert [(entry["p95_duration_ms"], entry["average_duration_ms"]) for entry in agents] == [(95, 51)]
    assert [(entry["p95_latency_ms"], entry["average_latency_ms"]) for entry in models] == [(95, 51)]


def test_truncated_prose_that_is_used_is_not_a_failure(empty: psycopg.Connection) -> None:
    begun = datetime(2026, 1, 15, tzinfo=UTC)
    calls = [
        {"agent_type": "x", "provider": "ollama", "outcome": outcome, "latency_ms": 7, "created_at": begun}
        for outcome in ("ok", "truncated", "invalid", "timeout")
    ]
    of = (None, date(2026, 1, 15), date(2026, 1, 15))
    with filled(empty, Agency({"model_metrics": calls})) as db:
        models = asked(db, "model_summary", *of, "daily", "UTC")

    assert models["success_rate"]["value"] == 50
    assert [(entry["calls"], entry["ok"], entry["success_rate"]) for entry in models["by_model"]] == [(4, 2, 50)]
    assert [(entry["value"], entry["failed"]) for entry in models["trend"]] == [(4, 2)]
    assert {entry["outcome"] for entry in models["by_outcome"]} == {"ok", "truncated", "invalid", "timeout"}
