"""`pixelbloom seed`: a demo agency that is the same each time and whole, and many rows to measure on."""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest
import typer
from psycopg import sql
from typer.testing import CliRunner, Result

from pixelbloom.cli import seed
from pixelbloom.database import migrations
from pixelbloom.database.bootstrap import bootstrap
from pixelbloom.errors import ConfigurationError
from pixelbloom.local.seed import fill
from pixelbloom.local.seed.plan import Plan
from tests.stack import Stack

OWNER = UUID("6f0a9f5e-3b1d-4c52-9d0e-0d5b7c1a2e11")
UNTIL = date(2026, 1, 31)
PLAN = Plan(7, UNTIL, OWNER)
LATER = datetime(2030, 1, 1, tzinfo=UTC)
SMALL = {"leads": 400, "messages": 1000, "subscriptions": 100}


@pytest.fixture(scope="module")
def url(stack: Stack) -> Iterator[str]:
    """A database of its own, migrated."""
    name = f"seed_{uuid4().hex}"
    with psycopg.connect(stack.database_url, autocommit=True) as db:
        db.execute(sql.SQL("create database {}").format(sql.Identifier(name)))
        address = stack.database_url.replace("/postgres?", f"/{name}?")
        with psycopg.connect(address, autocommit=True) as own:
            bootstrap(own)
            migrations.migrate(own)
        yield address
        db.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


@pytest.fixture
def bare(url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "truncate public.leads, public.conversations, public.runs, public.user_subscriptions, public.invoices,"
            " public.refunds, public.pricing_packages, public.pricing_campaigns, public.model_metrics,"
            " public.agent_logs, public.notifications, public.service_recommendations, public.event_outbox cascade"
        )
        yield connection


def digest(db: psycopg.Connection) -> dict[str, str]:
    """Summarize the tables, without generated ids and times."""
    found = {}
    for table in ("leads", "conversations", "messages", "user_subscriptions", "invoices", "runs", "agent_logs"):
        rows = db.execute(f"select to_jsonb(t) - 'updated_at' from public.{table} as t").fetchall()  # noqa: S608
        lines = sorted(json.dumps(row, sort_keys=True, default=str) for (row,) in rows)
        found[table] = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    return found


def orphans(db: psycopg.Connection) -> list[str]:
    """Foreign keys that lead nowhere: nobody checked them while the rows were added."""
    keys = db.execute(
        """
        select c.conrelid::regclass::text, c.confrelid::regclass::text, a.attname, b.attname
        from pg_constraint as c
        inner join pg_attribute as a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
        inner join pg_attribute as b on b.attrelid = c.confrelid and b.attnum = c.confkey[1]
        where c.contype = 'f' and c.connamespace = 'public'::regnamespace
        """
    ).fetchall()
    assert len(keys) > 5
    return [
        f"{table}.{column}"
        for table, other, column, key in keys
        if db.execute(
            f"select 1 from {table} as t where t.{column} is not null"  # noqa: S608
            f" and not exists (select 1 from {other} as o where o.{key} = t.{column}) limit 1"
        ).fetchone()
    ]


def figures(db: psycopg.Connection, function: str, who: UUID | None) -> Any:
    row = db.execute(
        f"select public.{function}(%s, %s, %s, 'UTC')",
        (who, UNTIL - timedelta(days=29), UNTIL),
    ).fetchone()
    assert row is not None
    return row[0]


def test_the_demo_is_the_same_for_the_same_number_day_and_owner(bare: psycopg.Connection) -> None:
    fill.demo(bare, PLAN, LATER)
    first = digest(bare)
    assert not any(fill.demo(bare, PLAN, LATER).values())
    assert digest(bare) == first

    fill.demo(bare, Plan(8, UNTIL, OWNER), LATER)
    assert digest(bare)["leads"] != first["leads"]


def test_the_demo_is_whole_and_raises_no_events(bare: psycopg.Connection) -> None:
    added = fill.demo(bare, PLAN, LATER)

    assert all(added.values()), added
    assert orphans(bare) == []
    assert bare.execute("select count(*) from public.event_outbox").fetchone() == (0,)
    late = bare.execute("select count(*) from public.messages where created_at > %s", (PLAN.end + timedelta(days=1),))
    assert late.fetchone() == (0,)


def test_the_demo_dashboards_have_data(bare: psycopg.Connection) -> None:
    fill.demo(bare, PLAN, LATER)

    overview = figures(bare, "analytics_overview", OWNER)
    assert all(figure["value"] > 0 for figure in overview.values()), overview
    assert overview["total_leads"]["value"] >= 30
    assert sum(entry["value"] > 0 for entry in figures(bare, "lead_summary", OWNER)["by_status"]) >= 4
    agents = figures(bare, "agent_summary", None)["by_agent"]
    assert {entry["agent_type"] for entry in agents} == {"lead_agent", "recommendation_agent", "chat_agent"}
    revenue = figures(bare, "revenue_summary", None)
    for name in ("mrr", "revenue", "active_subscriptions", "new_subscriptions", "churn_rate"):
        assert revenue[name]["value"] > 0, name
    assert {entry["currency"] for entry in revenue["mrr"]["by_currency"]} == {"usd", "eur"}


def test_later_seeds_add_the_following_days(bare: psycopg.Connection) -> None:
    noon = PLAN.end - timedelta(days=20)
    early = fill.demo(bare, PLAN, noon)
    row = bare.execute("select max(created_at) from public.leads").fetchone()
    assert row is not None
    assert row[0] <= noon
    rest = fill.demo(bare, PLAN, LATER)
    whole = digest(bare)

    bare.execute("truncate public.leads, public.conversations, public.runs cascade")
    bare.execute("truncate public.user_subscriptions, public.invoices, public.agent_logs, public.model_metrics cascade")
    at_once = fill.demo(bare, PLAN, LATER)
    assert digest(bare) == whole
    for table in ("leads", "messages", "runs", "model_metrics", "invoices"):
        assert 0 < early[table] < at_once[table] == early[table] + rest[table], table


def test_rows_at_scale_have_the_requested_number_and_are_reproducible(bare: psycopg.Connection) -> None:
    plan = Plan(3, UNTIL, OWNER)
    added = fill.scale(bare, plan, **SMALL)
    assert (added["leads"], added["messages"], added["user_subscriptions"]) == (400, 1000, 100)
    assert (added["invoices"] > 100, added["refunds"] > 0) == (True, True)
    assert orphans(bare) == []
    assert bare.execute("select count(*) from public.event_outbox").fetchone() == (0,)
    first = digest(bare)
    with pytest.raises(ConfigurationError, match="--seed 3 are there already"):
        fill.scale(bare, plan, **SMALL)
    assert digest(bare) == first

    bare.execute("truncate public.leads, public.conversations, public.runs cascade")
    bare.execute("truncate public.user_subscriptions, public.invoices, public.agent_logs cascade")
    fill.scale(bare, plan, **SMALL)
    assert digest(bare) == first


def command(monkeypatch: pytest.MonkeyPatch, url: str, *arguments: str, said: str = "") -> Result:
    monkeypatch.setenv("DATABASE_URL", url)
    app = typer.Typer()
    seed.register(app)
    found = CliRunner().invoke(app, arguments, input=said)
    assert found.exception is None or isinstance(found.exception, SystemExit), found.exception
    return found


def test_the_command_prints_what_it_added_and_asks_where_others_have_leads(
    bare: psycopg.Connection, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = ("--user-id", str(OWNER), "--until", "2026-01-31", "--seed", "2")
    first = command(monkeypatch, url, *mine)
    assert first.exit_code == 0, first.stderr
    assert json.loads(first.stdout)["leads"] > 100
    assert str(OWNER) in first.stderr

    again = command(monkeypatch, url, *mine)
    assert (set(json.loads(again.stdout).values()), again.stderr) == ({0}, "nothing to add\n")

    other = ("--user-id", str(uuid4()), "--until", "2026-01-31")
    asked = command(monkeypatch, url, *other, said="n\n")
    assert asked.exit_code == 2
    assert "leads of other users" in asked.stderr
    assert command(monkeypatch, url, *other, "--yes").exit_code == 0
    scale = ("--scale", "--leads", "10", "--messages", "20", "--subscriptions", "5", "--yes")
    assert json.loads(command(monkeypatch, url, *scale).stdout)["messages"] == 20


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--until", "soon"), "--until 'soon' is not a date like 2026-01-31"),
        (("--user-id", "me"), "--user-id 'me' is not a UUID, like 00000000-0000-4000-8000-00000000d0e5"),
        (("--seed", "-1"), "--seed -1 is not a number from 0 on"),
    ],
)
def test_an_invalid_option_is_named(monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], said: str) -> None:
    found = command(monkeypatch, "postgresql://postgres@127.0.0.1:9/postgres", *arguments)

    assert (found.exit_code, found.stderr.strip()) == (2, said)


def test_an_unreachable_or_empty_database_is_reported_on_one_line(
    stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    bare = command(monkeypatch, stack.database_url.replace("/postgres?", "/template1?"), "--yes")
    away = command(monkeypatch, "postgresql://postgres@127.0.0.1:9/postgres", "--yes")

    assert bare.exit_code == 2
    assert bare.stderr == "DATABASE_URL: the database has no PixelBloom tables; run `pixelbloom migrate` first\n"
    assert away.exit_code == 3
    assert away.stderr == "DATABASE_URL: the database is unreachable; start it, or correct the address\n"
