"""Rows of an agency as hypothesis makes them up, and their insertion: what the tests of analytics count by hand."""

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import psycopg
from hypothesis import strategies as st
from psycopg import sql

from tests.servers.days import Days, moments

ADA, BEN = UUID(int=1), UUID(int=2)
PEOPLE = (ADA, BEN, None)
PACKAGES = {UUID(int=11): "Starter", UUID(int=12): "Growth"}


@dataclass
class Agency:
    """Rows by table."""

    tables: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def __getitem__(self, table: str) -> list[dict[str, Any]]:
        return self.tables.get(table, [])

    def insert(self, db: psycopg.Connection) -> None:
        for table, rows in self.tables.items():
            if rows:
                query = sql.SQL("insert into public.{} ({}) values ({})").format(
                    sql.Identifier(table),
                    sql.SQL(", ").join(map(sql.Identifier, rows[0])),
                    sql.SQL(", ").join(sql.Placeholder(name) for name in rows[0]),
                )
                with db.cursor() as cursor:
                    cursor.executemany(query, rows)


def ids() -> st.SearchStrategy[UUID]:
    return st.uuids(version=4)


def people() -> st.SearchStrategy[UUID | None]:
    return st.sampled_from(PEOPLE)


def money() -> st.SearchStrategy[Decimal]:
    return st.decimals(0, 5000, places=2)


@st.composite
def talks(draw: st.DrawFn, of: Days) -> Agency:
    """Leads, conversations with messages, and recommendations."""
    when = moments(of)
    gone = st.none() | st.none() | when
    lead = {
        "id": ids(),
        "user_id": people(),
        "name": st.just("Ada"),
        "status": st.sampled_from(["new", "contacted", "qualified", "unqualified", "converted", "lost"]),
        "source": st.sampled_from(["api", "website", "event"]),
        "score": st.none() | st.integers(0, 100),
        "budget": st.none() | money(),
        "currency": st.sampled_from(["usd", "eur"]),
        "created_at": when,
        "deleted_at": gone,
    }
    conversation = {
        "id": ids(),
        "user_id": people(),
        "status": st.sampled_from(["active", "closed"]),
        "created_at": when,
        "deleted_at": gone,
    }
    message = {
        "role": st.sampled_from(["user", "assistant", "system"]),
        "content": st.just("Hello"),
        "created_at": when,
    }
    recommendation = {
        "user_id": people(),
        "service": st.sampled_from(["seo", "ecommerce"]),
        "confidence": st.none() | st.decimals(0, 1, places=3),
        "created_at": when,
    }
    conversations = draw(rows(conversation, 8))
    return Agency(
        {
            "leads": draw(rows(lead, 12)),
            "conversations": conversations,
            "messages": [
                {"conversation_id": parent["id"], "user_id": parent["user_id"], **child}
                for parent in conversations
                for child in draw(rows(message, 4))
            ],
            "service_recommendations": draw(rows(recommendation, 6)),
        }
    )


@st.composite
def ledgers(draw: st.DrawFn, of: Days) -> Agency:
    """Subscriptions, single purchases, invoices and refunds."""
    when = moments(of)
    subscription = {
        "id": ids(),
        "user_id": people(),
        "package_id": st.sampled_from([None, *PACKAGES]),
        "status": st.sampled_from(["active", "cancelled", "cancelled", "past_due", "incomplete", "trialing", "unpaid"]),
        "start_date": when,
        "end_date": when | when | st.none(),
        "currency": st.sampled_from(["usd", "usd", "eur"]),
        "final_price": money(),
        "billing_interval": st.sampled_from(["month", "month", "year", "once", "week", "day"]),
        "billing_interval_count": st.sampled_from([1, 1, 2, 3, 6, 12]),
        "billed_from": st.none() | when,
        "amount_paid": st.just(Decimal(0)) | money(),
        "paid_at": st.none() | when,
    }
    refund = {
        "kind": st.sampled_from(["refund", "refund", "dispute"]),
        "status": st.sampled_from(["succeeded", "succeeded", "pending", "requires_action", "failed", "cancelled"]),
        "amount": money(),
        "refunded_at": when,
    }
    invoice = {
        "status": st.sampled_from(["paid", "paid", "open", "refunded", "draft", "void", "uncollectible"]),
        "amount_due": money(),
        "amount_paid": money(),
        "paid_at": st.none() | when,
    }
    subscriptions = draw(rows(subscription, 10))
    return Agency(
        {
            "pricing_packages": [{"id": package, "name": name, "price": 49} for package, name in PACKAGES.items()],
            "user_subscriptions": subscriptions,
            "invoices": [
                {
                    "subscription_id": parent["id"],
                    "user_id": parent["user_id"],
                    "currency": parent["currency"],
                    **child,
                }
                for parent in subscriptions
                for child in draw(rows(invoice, 3))
            ],
            "refunds": [
                {
                    "subscription_id": parent["id"],
                    "user_id": parent["user_id"],
                    "currency": parent["currency"],
                    **child,
                }
                for parent in subscriptions
                for child in draw(rows(refund, 2))
            ],
        }
    )


@st.composite
def works(draw: st.DrawFn, of: Days) -> Agency:
    """Runs with their steps, calls to models, and the agents' log."""
    when = moments(of)
    took = st.integers(0, 90_000).map(lambda number: timedelta(milliseconds=number))
    run = {"id": ids(), "user_id": people(), "created_at": when}
    step = {
        "kind": st.sampled_from(["agent", "agent", "map"]),
        "agent_type": st.sampled_from(["chat_agent", "lead_agent"]),
        "status": st.sampled_from(["pending", "completed", "completed", "failed", "cancelled"]),
        "provider": st.sampled_from([None, "ollama", "fallback"]),
        "prompt_tokens": st.integers(0, 999),
        "completion_tokens": st.integers(0, 999),
        "took": took,
    }
    call = {
        "agent_type": st.just("chat_agent"),
        "provider": st.sampled_from(["ollama", "huggingface"]),
        "model": st.sampled_from([None, "llama3"]),
        "outcome": st.sampled_from(["ok", "ok", "truncated", "timeout"]),
        "latency_ms": st.integers(0, 60_000),
        "prompt_tokens": st.integers(0, 999),
        "completion_tokens": st.integers(0, 999),
        "created_at": when,
    }
    line = {
        "id": ids(),
        "user_id": people(),
        "agent_type": st.sampled_from(["chat_agent", "lead_agent"]),
        "level": st.sampled_from(["info", "error"]),
        "event": st.just("step_completed"),
        "created_at": when,
    }
    runs = draw(rows(run, 8))
    steps = [
        {"run_id": parent["id"], "key": f"step{number}", **child}
        for parent in runs
        for number, child in enumerate(draw(rows(step, 3)))
    ]
    begun = {parent["id"]: parent["created_at"] + timedelta(seconds=1) for parent in runs}
    return Agency(
        {
            "runs": [
                {
                    **parent,
                    "kind": "agent",
                    "agent_type": "chat_agent",
                    "caller": "service",
                    "user_queue": "x",
                    "input": "{}",
                    "status": "queued",
                }
                for parent in runs
            ],
            "run_steps": [
                {
                    **{name: value for name, value in child.items() if name != "took"},
                    "user_queue": "x",
                    "input": "{}",
                    "output": "{}" if child["status"] == "completed" else None,
                    "started_at": begun[child["run_id"]] if child["status"] != "pending" else None,
                    "finished_at": begun[child["run_id"]] + child["took"] if child["status"] != "pending" else None,
                }
                for child in steps
            ],
            "model_metrics": [
                {"run_id": draw(st.sampled_from([None, *begun])), **child} for child in draw(rows(call, 8))
            ],
            "agent_logs": draw(rows(line, 8)),
        }
    )


def rows(shape: dict[str, st.SearchStrategy[Any]], most: int) -> st.SearchStrategy[list[dict[str, Any]]]:
    # As often many as few: hypothesis itself likes short lists.
    one = st.fixed_dictionaries(shape)
    return st.integers(0, most).flatmap(lambda size: st.lists(one, min_size=size, max_size=size))
