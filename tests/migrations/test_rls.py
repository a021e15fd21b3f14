"""Row level security: who reaches which rows, table by table, with the roles that PostgREST takes on."""

import json
from collections.abc import Iterator
from uuid import uuid4

import psycopg
import pytest
from psycopg import sql
from psycopg.errors import CheckViolation, InsufficientPrivilege

from tests.migrations.rows import acting, count, insert

OWNER, OTHER, ADMIN, PROMOTED, CAMPAIGN = uuid4(), uuid4(), uuid4(), uuid4(), uuid4()

#: One row of the owner's in each table that belongs to somebody.
OWNED = {
    "leads": {"name": "Ada"},
    "conversations": {"title": "Hello"},
    "service_recommendations": {"service": "Web"},
    "generated_content": {"kind": "post", "body": json.dumps({})},
    "user_subscriptions": {"status": "active", "final_price": 10},
    "invoices": {"status": "paid", "currency": "usd", "amount_due": 10},
    "refunds": {"currency": "usd", "amount": 10, "refunded_at": "2026-01-01"},
    "notifications": {"notification_type": "run", "title": "Done", "message": "It is done"},
    "runs": {
        "id": str(uuid4()),
        "kind": "agent",
        "agent_type": "chat_agent",
        "caller": "service",
        "user_queue": "x",
        "input": json.dumps({}),
    },
    "schedules": {
        "caller": "x",
        "kind": "agent",
        "target": "chat_agent",
        "cron": "* * * * *",
        "next_run_at": "2030-01-01",
    },
}

#: One row in each table that only administrators may read.
ADMIN_ONLY = {
    "agent_logs": {"agent_type": "chat_agent", "event": "ran"},
    "broadcasts": {"notification": json.dumps({})},
    "model_metrics": {"agent_type": "chat_agent", "provider": "ollama", "outcome": "ok", "latency_ms": 1},
    "pricing_campaigns": {
        "id": str(CAMPAIGN),
        "code": f"CODE{uuid4().hex[:8]}",
        "discount_type": "percentage",
        "discount_value": 10,
    },
    "campaign_redemptions": {"campaign_id": str(CAMPAIGN), "redemption_key": "k"},
}


@pytest.fixture
def rows(db: psycopg.Connection) -> Iterator[psycopg.Connection]:
    with db.transaction(force_rollback=True):
        for table in ("runs", *OWNED, *ADMIN_ONLY):
            db.execute(sql.SQL("truncate public.{} cascade").format(sql.Identifier(table)))
        for table, row in OWNED.items():
            insert(db, table, {"user_id": str(OWNER), **row})
        for table, row in ADMIN_ONLY.items():
            insert(db, table, dict(row))
        db.execute("insert into public.user_profiles (user_id, role) values (%s, 'admin')", (str(PROMOTED),))
        db.execute(
            "insert into public.run_steps (run_id, key, agent_type, user_queue, input) "
            "values (%s, 'a', 'a', 'x', '{}')",
            (OWNED["runs"]["id"],),
        )
        yield db


@pytest.mark.parametrize("table", [*OWNED, "run_steps"])
def test_rows_are_seen_by_their_owner_and_administrators_only(rows: psycopg.Connection, table: str) -> None:
    with acting(rows, "authenticated", OWNER):
        assert count(rows, table) == 1
    with acting(rows, "authenticated", OTHER):
        assert count(rows, table) == 0
    with acting(rows, "authenticated", ADMIN, app_metadata={"role": "admin"}):
        assert count(rows, table) == 1
    with acting(rows, "authenticated", PROMOTED):
        assert count(rows, table) == 1
    with acting(rows, "service_role"):
        assert count(rows, table) == 1
    with acting(rows, "anon"), pytest.raises(InsufficientPrivilege):
        count(rows, table)


@pytest.mark.parametrize("table", ADMIN_ONLY)
def test_some_rows_are_seen_by_administrators_only(rows: psycopg.Connection, table: str) -> None:
    with acting(rows, "authenticated", OWNER):
        assert count(rows, table) == 0
    with acting(rows, "authenticated", ADMIN, app_metadata={"role": "admin"}):
        assert count(rows, table) == 1
    with acting(rows, "anon"), pytest.raises(InsufficientPrivilege):
        count(rows, table)


def test_users_own_metadata_do_not_grant_administration(rows: psycopg.Connection) -> None:
    with acting(rows, "authenticated", OTHER, user_metadata={"role": "admin"}):
        assert count(rows, "leads") == 0


@pytest.mark.parametrize("table", ["event_outbox", "stripe_events", "system_state", "periodic_tasks"])
def test_the_backends_tables_are_closed_to_all_others(rows: psycopg.Connection, table: str) -> None:
    for role in ("anon", "authenticated"):
        with acting(rows, role, ADMIN, app_metadata={"role": "admin"}), pytest.raises(InsufficientPrivilege):
            count(rows, table)


def test_a_user_may_not_write_for_another_user(rows: psycopg.Connection) -> None:
    with acting(rows, "authenticated", OTHER), pytest.raises(InsufficientPrivilege):
        insert(rows, "leads", {"user_id": str(OWNER), "name": "Eve"})


def test_a_user_may_write_own_leads_but_not_their_score(rows: psycopg.Connection) -> None:
    with acting(rows, "authenticated", OTHER):
        insert(rows, "leads", {"user_id": str(OTHER), "name": "Bob"})
        rows.execute("update public.leads set name = 'Bobby' where user_id = %s", (str(OTHER),))
        assert count(rows, "leads") == 1
    with acting(rows, "authenticated", OTHER), pytest.raises(InsufficientPrivilege):
        rows.execute("update public.leads set score = 100")


def test_a_user_cannot_change_another_users_rows(rows: psycopg.Connection) -> None:
    with acting(rows, "authenticated", OTHER):
        assert rows.execute("update public.leads set name = 'Mine'").rowcount == 0
        assert rows.execute("delete from public.leads").rowcount == 0
        assert rows.execute("update public.notifications set read = true").rowcount == 0


def test_a_user_cannot_change_the_role_of_a_profile(rows: psycopg.Connection) -> None:
    with acting(rows, "authenticated", OTHER):
        insert(rows, "user_profiles", {"user_id": str(OTHER), "display_name": "Bob"})
    for query in (
        "insert into public.user_profiles (user_id, role) values (%s, 'admin')",
        "update public.user_profiles set role = 'admin' where user_id = %s",
    ):
        with acting(rows, "authenticated", OTHER), pytest.raises(InsufficientPrivilege):
            rows.execute(query, (str(OTHER),))


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "//evil.example/a.png", "https://", "https://a b"]
)
def test_a_picture_is_a_web_address_and_not_a_script(rows: psycopg.Connection, url: str) -> None:
    with acting(rows, "authenticated", OTHER), rows.transaction(force_rollback=True):
        insert(rows, "user_profiles", {"user_id": str(OTHER), "avatar_url": "https://example.com/a.png"})
    with acting(rows, "authenticated", OTHER), pytest.raises(CheckViolation):
        insert(rows, "user_profiles", {"user_id": str(OTHER), "avatar_url": url})


@pytest.mark.parametrize("url", ["javascript:alert(1)", "//evil.example", "/\\evil.example", "page", "/a b", ""])
def test_a_notification_links_to_a_path_or_a_web_address(rows: psycopg.Connection, url: str) -> None:
    fields = {"user_id": str(OTHER), "notification_type": "x", "title": "x", "message": "x"}
    for good in ("/", "/runs/1?x=1", "https://example.com/x"):
        insert(rows, "notifications", {**fields, "action_url": good})
    with pytest.raises(CheckViolation):
        insert(rows, "notifications", {**fields, "action_url": url})


def test_a_user_adds_messages_only_to_own_conversations_and_as_user(rows: psycopg.Connection) -> None:
    conversation = rows.execute("select id from public.conversations").fetchone()
    assert conversation is not None
    say = "insert into public.messages (conversation_id, user_id, role, content) values (%s, %s, %s, 'Hi')"
    with acting(rows, "authenticated", OWNER):
        rows.execute(say, (conversation[0], str(OWNER), "user"))
    for user, role in ((OWNER, "assistant"), (OTHER, "user")):
        with acting(rows, "authenticated", user), pytest.raises(InsufficientPrivilege):
            rows.execute(say, (conversation[0], str(user), role))


def test_a_conversation_refers_only_to_own_leads(rows: psycopg.Connection) -> None:
    lead = rows.execute("select id from public.leads").fetchone()
    assert lead is not None
    with acting(rows, "authenticated", OTHER), pytest.raises(InsufficientPrivilege):
        insert(rows, "conversations", {"user_id": str(OTHER), "lead_id": lead[0]})


def test_prices_on_offer_are_public_and_others_are_not(rows: psycopg.Connection) -> None:
    rows.execute("delete from public.pricing_packages")
    insert(rows, "pricing_packages", {"name": "Starter", "price": 49})
    insert(rows, "pricing_packages", {"name": "Old", "price": 9, "active": False})
    with acting(rows, "anon"):
        assert count(rows, "pricing_packages") == 1
    with acting(rows, "authenticated", ADMIN, app_metadata={"role": "admin"}):
        assert count(rows, "pricing_packages") == 2


def test_the_roles_of_the_api_cannot_call_the_run_functions(rows: psycopg.Connection) -> None:
    for role in ("anon", "authenticated"):
        with acting(rows, role, OWNER), pytest.raises(InsufficientPrivilege):
            rows.execute("select public.finish_steps('[]', 1)")


def test_a_row_inserted_by_a_browser_belongs_to_its_user(rows: psycopg.Connection) -> None:
    newcomer = uuid4()
    with acting(rows, "authenticated", newcomer):
        conversation = uuid4()
        insert(rows, "leads", {"name": "Ada"})
        insert(rows, "conversations", {"id": conversation, "title": "Hello"})
        insert(rows, "messages", {"conversation_id": conversation, "role": "user", "content": "Hi"})
        insert(rows, "user_profiles", {"display_name": "Ada"})
        for table in ("leads", "conversations", "messages", "user_profiles"):
            query = sql.SQL("select array_agg(user_id) from public.{}").format(sql.Identifier(table))
            assert rows.execute(query).fetchone() == ([newcomer],)
        for somebody in (None, OWNER):
            with pytest.raises(InsufficientPrivilege), rows.transaction():
                insert(rows, "leads", {"name": "Ada", "user_id": somebody})
    with acting(rows, "anon"), pytest.raises(InsufficientPrivilege):
        insert(rows, "leads", {"name": "Ada"})
    with acting(rows, "service_role"):
        found = rows.execute("insert into public.leads (name) values ('Ada') returning user_id").fetchone()
        assert found == (None,)


def test_every_writable_owner_column_defaults_to_the_browsers_user(db: psycopg.Connection) -> None:
    """Whatever a later migration grants, too."""
    columns = db.execute(
        """
        select c.table_name, c.column_default
        from information_schema.columns as c
        inner join information_schema.column_privileges as p
            on p.table_schema = c.table_schema and p.table_name = c.table_name and p.column_name = c.column_name
        where
            c.table_schema = 'public' and c.column_name = 'user_id'
            and p.grantee = 'authenticated' and p.privilege_type = 'INSERT'
        """
    ).fetchall()
    assert {"leads", "conversations", "messages", "user_profiles"} <= {table for table, _ in columns}
    assert {default for _, default in columns} == {"auth.uid()"}
