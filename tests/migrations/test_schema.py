"""What the migrations leave behind: names, row level security, privileges."""

import psycopg
import pytest

from pixelbloom.events import domain
from tests import ROOT

MIGRATIONS = ROOT / "supabase" / "migrations"

SPEC_FILES = [
    "20250126000000_ai_features_schema.sql",
    "20250126000001_add_helper_functions.sql",
    "20250126000002_add_analytics_functions.sql",
    "20250126000003_add_model_metrics.sql",
    "20250126000004_add_pricing.sql",
    "20250126000005_add_user_roles.sql",
    "20250126000006_add_revenue_analytics.sql",
    "20250126000007_add_trends_functions.sql",
    "20250126000008_add_workflow_tables.sql",
    "20250126000009_add_notifications.sql",
]

TABLES = {
    "leads",
    "conversations",
    "messages",
    "agent_logs",
    "service_recommendations",
    "generated_content",
    "runs",
    "run_steps",
    "workflows",
    "schedules",
    "webhook_deliveries",
    "notifications",
    "broadcasts",
    "model_metrics",
    "pricing_packages",
    "pricing_campaigns",
    "campaign_redemptions",
    "user_subscriptions",
    "invoices",
    "refunds",
    "invoice_parts",
    "stripe_events",
    "user_profiles",
    "event_outbox",
}

#: What a role may do with whole tables. Everything else must be refused.
TABLE_GRANTS = {
    "anon": {("pricing_packages", "SELECT")},
    "authenticated": {
        *((table, "SELECT") for table in TABLES - {"event_outbox", "stripe_events"}),
        ("leads", "DELETE"),
        ("conversations", "DELETE"),
        ("messages", "DELETE"),
        ("generated_content", "DELETE"),
        ("notifications", "DELETE"),
    },
}

#: Functions that somebody beside the backend may call.
CALLABLE = {("authenticated", name) for name in ("is_admin", "has_scope", "has_any_scope")}


def test_the_ten_files_of_the_spec_exist() -> None:
    names = sorted(path.name for path in MIGRATIONS.glob("*.sql"))
    assert names[: len(SPEC_FILES)] == SPEC_FILES


def test_no_migration_raises_a_serialization_failure() -> None:
    # PostgREST retries SQLSTATE 40001 for ever.
    for path in MIGRATIONS.glob("*.sql"):
        text = path.read_text().lower()
        assert "40001" not in text, path.name
        assert "serialization_failure" not in text, path.name


def test_every_table_has_row_level_security(db: psycopg.Connection) -> None:
    rows = db.execute(
        "select relname, relrowsecurity from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r'"
    ).fetchall()
    assert {name for name, _ in rows} >= TABLES
    assert [name for name, secured in rows if not secured] == []


def test_the_page_about_the_data_names_every_table_and_event(db: psycopg.Connection) -> None:
    tables = db.execute("select tablename from pg_tables where schemaname = 'public'").fetchall()
    page = (MIGRATIONS.parents[1] / "docs" / "data-model.md").read_text()

    assert [name for (name,) in tables if f"| `{name}` |" not in page] == []
    assert [name for name in domain.TYPES if f"`{name}`" not in page] == []


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_each_role_of_the_api_has_exactly_its_grants(db: psycopg.Connection, role: str) -> None:
    rows = db.execute(
        """
        select c.relname, p.privilege
        from pg_class as c
        cross join unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER'])
            as p (privilege)
        where c.relnamespace = any(array['public', 'internal']::regnamespace[]) and c.relkind in ('r', 'v', 'm')
            and has_table_privilege(%s, c.oid, p.privilege)
        """,
        (role,),
    ).fetchall()
    assert set(rows) == TABLE_GRANTS[role]


def test_only_the_backend_may_call_the_functions(db: psycopg.Connection) -> None:
    rows = db.execute(
        """
        select r.role, p.proname
        from pg_proc as p
        cross join unnest(array['anon', 'authenticated']) as r (role)
        where p.pronamespace = any(array['public', 'internal']::regnamespace[])
            and has_function_privilege(r.role, p.oid, 'EXECUTE')
        """
    ).fetchall()
    assert set(rows) == CALLABLE


def test_only_the_backend_reaches_the_internal_functions(db: psycopg.Connection) -> None:
    rows = db.execute(
        """
        select role from unnest(array['anon', 'authenticated', 'authenticator', 'service_role']) as r (role)
        where has_schema_privilege(role, 'internal', 'usage')
        """
    ).fetchall()
    assert rows == [("service_role",)]


def test_no_trigger_function_is_exposed(db: psycopg.Connection) -> None:
    rows = db.execute(
        "select proname from pg_proc where pronamespace = 'public'::regnamespace and prorettype = 'trigger'::regtype"
    ).fetchall()
    assert rows == []


def test_every_function_pins_its_search_path(db: psycopg.Connection) -> None:
    rows = db.execute(
        """
        select proname from pg_proc
        where pronamespace = any(array['public', 'internal']::regnamespace[])
            and not coalesce(proconfig, '{}') @> array['search_path=""']
            -- The names in a body of standard SQL are resolved when the function is created.
            and not (pronamespace = 'internal'::regnamespace and prosqlbody is not null)
        """
    ).fetchall()
    assert rows == []


def test_every_foreign_key_has_an_index(db: psycopg.Connection) -> None:
    rows = db.execute(
        """
        select c.conrelid::regclass::text, c.conname
        from pg_constraint as c
        where c.contype = 'f' and c.connamespace = 'public'::regnamespace
            and not exists (
                select 1 from pg_index as i
                where i.indrelid = c.conrelid and (i.indkey::int2[])[0:cardinality(c.conkey) - 1] @> c.conkey
            )
        """
    ).fetchall()
    # Packages and campaigns are never deleted in bulk; workflows' versions never at all.
    assert {name for _, name in rows} <= {
        "runs_workflow_id_workflow_version_fkey",
        "user_subscriptions_campaign_id_fkey",
    }
