"""Row level security, all of it: what each role can do to a row of somebody's, in every table there is."""

import json
from collections.abc import Iterator
from uuid import UUID, uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import InsufficientPrivilege

from pixelbloom.auth.principal import SCOPES
from tests.migrations.rows import acting, insert

OWNER, OTHER, ADMIN = uuid4(), uuid4(), uuid4()
RUN, CONVERSATION, CAMPAIGN, PACKAGE, INVOICE = (str(uuid4()) for _ in range(5))

#: A row of the owner's in every table, or of nobody's where rows have no owner, in an order in which they can be added.
ROWS: dict[str, dict[str, object]] = {
    "leads": {"name": "Ada"},
    "conversations": {"id": CONVERSATION},
    "messages": {"conversation_id": CONVERSATION, "role": "user", "content": "Hello"},
    "service_recommendations": {"service": "Web"},
    "generated_content": {"kind": "post", "body": "{}"},
    "notifications": {"notification_type": "news", "title": "Done", "message": "It is done"},
    "user_subscriptions": {"status": "active", "final_price": 10},
    "invoices": {"id": INVOICE, "status": "paid", "currency": "usd", "amount_due": 10},
    "refunds": {"currency": "usd", "amount": 10, "refunded_at": "2026-01-01"},
    "user_profiles": {"display_name": "Ada"},
    "runs": {"id": RUN, "kind": "agent", "agent_type": "a", "caller": "service", "user_queue": "x", "input": "{}"},
    "run_steps": {"run_id": RUN, "key": "a", "agent_type": "a", "user_queue": "x", "input": "{}"},
    "schedules": {
        "caller": "x",
        "kind": "agent",
        "target": "chat_agent",
        "cron": "* * * * *",
        "next_run_at": "2030-01-01",
    },
    "webhook_deliveries": {"run_id": RUN, "url": "https://example.com", "event": "run.completed"},
    "agent_logs": {"agent_type": "chat_agent", "event": "ran"},
    "event_outbox": {"type": "lead_created", "topic": "admins", "payload": "{}"},
    "workflows": {"workflow_id": "w", "version": 1, "definition": "{}"},
    "model_metrics": {"agent_type": "chat_agent", "provider": "ollama", "outcome": "ok", "latency_ms": 1},
    "pricing_packages": {"id": PACKAGE, "name": "Starter", "price": 49},
    "pricing_campaigns": {"id": CAMPAIGN, "code": "CODE", "discount_type": "percentage", "discount_value": 10},
    "campaign_redemptions": {"campaign_id": CAMPAIGN, "redemption_key": "k"},
    "package_prices": {"stripe_price_id": "price_1", "package_id": PACKAGE},
    "invoice_parts": {"invoice_id": INVOICE, "received_at": "2026-01-01", "amount": 1},
    "checkouts": {"request_key": "k", "request_hash": "0" * 64},
    "broadcasts": {"notification": "{}"},
    "stripe_events": {"id": "evt_1", "type": "invoice.paid", "payload": "{}", "occurred_at": "2026-01-01"},
    "stripe_objects": {
        "id": "sub_1",
        "kind": "subscription",
        "body": "{}",
        "event_at": "2026-01-01",
        "event_rank": 0,
        "event_id": "evt_1",
    },
    "system_state": {},
    "periodic_tasks": {"name": "a", "due_at": "2030-01-01"},
    "webhook_hosts": {"host": "example.com"},
    "row_quotas": {"table_name": "leads", "rows_per_user": 10},
    "agent_workers": {"worker": "a", "slots": 1},
}
#: These have no user_id.
OWNERLESS = {
    *("run_steps", "workflows", "model_metrics", "pricing_packages", "pricing_campaigns", "broadcasts"),
    *("stripe_events", "stripe_objects", "system_state", "periodic_tasks", "webhook_hosts", "checkouts"),
    *("row_quotas", "agent_workers", "package_prices", "invoice_parts"),
}
#: What a user can do to own rows: read, update, delete.
OWN = {
    "leads": "rud",
    "conversations": "rud",
    "messages": "rd",
    "service_recommendations": "r",
    "generated_content": "rd",
    "notifications": "rud",
    "user_subscriptions": "r",
    "invoices": "r",
    "refunds": "r",
    "invoice_parts": "r",
    "user_profiles": "ru",
    "runs": "r",
    "run_steps": "r",
    "schedules": "r",
    "webhook_deliveries": "r",
    "workflows": "r",
    "pricing_packages": "r",
}
#: What anybody who is signed in, and anybody at all, can read.
SIGNED_IN = {"workflows": "r", "pricing_packages": "r"}
PUBLIC = {"pricing_packages": "r"}
#: Nobody but the backend.
BACKEND = {
    *("event_outbox", "stripe_events", "stripe_objects", "system_state", "periodic_tasks", "webhook_hosts"),
    *("checkouts", "row_quotas", "agent_workers", "package_prices"),
}
#: Administrators read all of these; they write through the API.
ADMINS = {**{table: "r" for table in ROWS if table not in BACKEND}}
WHO = {
    "anon": (PUBLIC, "anon", None, {}),
    "user": (OWN, "authenticated", OWNER, {}),
    "other": (SIGNED_IN, "authenticated", OTHER, {}),
    "admin": (ADMINS, "authenticated", ADMIN, {"app_metadata": {"role": "admin"}}),
    "service": (dict.fromkeys(ROWS, "rud"), "service_role", None, {}),
}


#: What a token with a scope can do: nothing but see what is public and its own profile where the scope is empty.
EVERYBODYS = {"pricing_packages": "r"}
IDENTITY = {**EVERYBODYS, "user_profiles": "r"}
RUNS = ("runs", "run_steps", "schedules", "webhook_deliveries", "service_recommendations")
OWN_RUNS = {**dict.fromkeys(RUNS, "r"), "generated_content": "rd", "workflows": "r"}
CHIEF = {"app_metadata": {"role": "admin"}}
SCOPED: dict[str, tuple[dict[str, str], UUID, dict[str, object]]] = {
    "user, nothing": (IDENTITY, OWNER, {"scope": []}),
    "user, an empty text": (IDENTITY, OWNER, {"scope": " "}),
    "user, null": (IDENTITY, OWNER, {"scope": None}),
    "user, something else": ({**IDENTITY, **OWN_RUNS}, OWNER, {"scope": ["other:read"]}),
    "user, leads to read": ({**IDENTITY, **OWN_RUNS, "leads": "r"}, OWNER, {"scope": "other:read leads:read"}),
    "user, the spec's": (
        {**IDENTITY, **OWN_RUNS, "notifications": "rud"},
        OWNER,
        {"scope": ["analytics:read", "notifications:read"]},
    ),
    "user, all": (OWN, OWNER, {"scope": list(SCOPES)}),
    "user, all as a text": (OWN, OWNER, {"scope": " ".join(SCOPES)}),
    "admin, nothing": (EVERYBODYS, ADMIN, {"scope": [], **CHIEF}),
    "admin, analytics": (
        {**EVERYBODYS, "agent_logs": "r", "model_metrics": "r", "workflows": "r"},
        ADMIN,
        {"scope": ["analytics:read"], **CHIEF},
    ),
    "admin, runs": (
        {**EVERYBODYS, **dict.fromkeys(OWN_RUNS, "r")},
        ADMIN,
        {"scope": ["runs:read"], **CHIEF},
    ),
    "admin, all": (ADMINS, ADMIN, {"scope": list(SCOPES), **CHIEF}),
}


@pytest.fixture(scope="module")
def rows(stack) -> Iterator[psycopg.Connection]:
    with psycopg.connect(stack.database_url, autocommit=True) as db, db.transaction(force_rollback=True):
        for table in ROWS:
            db.execute(sql.SQL("truncate public.{} cascade").format(sql.Identifier(table)))
        for table, row in ROWS.items():
            own = {} if table in OWNERLESS else {"user_id": str(OWNER)}
            db.execute(sql.SQL("delete from public.{}").format(sql.Identifier(table)))
            insert(db, table, {**own, **row} or {"only_row": True})
        yield db


def tables(db: psycopg.Connection) -> dict[str, bool]:
    found = db.execute(
        "select relname, relrowsecurity from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'"
    )
    return dict(found.fetchall())


def possible(db: psycopg.Connection, table: str, role: str) -> str:
    """Of r, u and d, what the present role can do to the table's row."""
    named = sql.Identifier(table)
    columns = db.execute(
        "select attname from pg_attribute where attrelid = %s::regclass and attnum > 0 and not attisdropped"
        " and attgenerated = '' and attidentity = '' and has_column_privilege(%s, attrelid, attnum, 'UPDATE') limit 1",
        [f"public.{table}", role],
    ).fetchone()
    queries = {
        "r": sql.SQL("select * from public.{}").format(named),
        "d": sql.SQL("delete from public.{}").format(named),
    }
    if columns:
        column = sql.Identifier(columns[0])
        queries["u"] = sql.SQL("update public.{} set {} = {}").format(named, column, column)
    done = ""
    for letter in "rud":
        if letter not in queries:
            continue
        try:
            with db.transaction(force_rollback=True):
                done += letter if db.execute(queries[letter]).rowcount else ""
        except InsufficientPrivilege:
            pass
    return done


def test_every_table_is_protected_and_tested_here(rows: psycopg.Connection) -> None:
    assert tables(rows) == dict.fromkeys(ROWS, True)


@pytest.mark.parametrize("who", WHO)
@pytest.mark.parametrize("table", ROWS)
def test_each_role_can_access_a_row_only_as_permitted(rows: psycopg.Connection, table: str, who: str) -> None:
    allowed, role, user, claims = WHO[who]
    with acting(rows, role, user, **claims):
        assert possible(rows, table, role) == allowed.get(table, "")


@pytest.mark.parametrize("who", SCOPED)
@pytest.mark.parametrize("table", ROWS)
def test_a_scope_limits_a_token_at_every_table(rows: psycopg.Connection, table: str, who: str) -> None:
    allowed, user, claims = SCOPED[who]
    with acting(rows, "authenticated", user, **claims):
        assert possible(rows, table, "authenticated") == allowed.get(table, "")


@pytest.mark.parametrize(
    ("table", "scope"),
    [("leads", "leads:write"), ("conversations", "conversations:write"), ("messages", "conversations:write")],
)
def test_a_row_is_added_only_by_a_token_with_the_scope(rows: psycopg.Connection, table: str, scope: str) -> None:
    row = {"user_id": str(OWNER), **ROWS[table], "id": str(uuid4())}
    readable = ["conversations:read", "leads:read"]
    with acting(rows, "authenticated", OWNER, scope=[scope, *readable]):
        insert(rows, table, row)
    others = [name for name in SCOPES if name != scope]
    with acting(rows, "authenticated", OWNER, scope=others), pytest.raises(InsufficientPrivilege):
        insert(rows, table, row)


def test_every_table_readable_by_users_requires_a_scope(rows: psycopg.Connection) -> None:
    found = rows.execute(
        """
        select c.relname from pg_class as c
        where c.relnamespace = 'public'::regnamespace and c.relkind = 'r'
            and has_table_privilege('authenticated', c.oid, 'select')
            and not exists (
                select from pg_policies as p
                where p.schemaname = 'public' and p.tablename = c.relname and p.permissive = 'RESTRICTIVE'
                    and p.cmd in ('SELECT', 'ALL') and p.qual like '%scope%'
            )
        """
    ).fetchall()
    assert found == []


@pytest.mark.parametrize("who", [who for who in WHO if who not in ("service", "user")])
@pytest.mark.parametrize("table", ROWS)
def test_no_user_can_add_a_row_for_another_user(rows: psycopg.Connection, table: str, who: str) -> None:
    _, role, user, claims = WHO[who]
    own = {} if table in OWNERLESS else {"user_id": str(OWNER)}
    row = {**own, **ROWS[table]} or {"only_row": True}
    fresh = {
        name: str(uuid4()) if name == "id" and not table.startswith("stripe_") else value for name, value in row.items()
    }
    with acting(rows, role, user, **claims), pytest.raises(InsufficientPrivilege):
        insert(rows, table, json.loads(json.dumps(fresh)))
