"""Numbers, texts and lists of values that the database and the Python code share."""

import re
from typing import get_args

import psycopg

from pixelbloom.agents import registry
from pixelbloom.agents.base import Writes
from pixelbloom.agents.knowledge.scoring import HOT_FROM
from pixelbloom.core import statuses
from pixelbloom.database.migrations import read_all
from pixelbloom.models.request import Role
from pixelbloom.payments.stripe_state import INVOICE_STATUSES, REFUND_STATUSES
from pixelbloom.runs.status import RunStatus

#: The values of columns, as Python has them.
COLUMNS: dict[str, set[str]] = {
    "leads.status": set(get_args(statuses.LeadStatus)),
    "conversations.status": set(get_args(statuses.ConversationStatus)),
    "messages.role": set(get_args(Role)),
    "agent_logs.level": set(get_args(statuses.LogLevel)),
    "notifications.severity": set(get_args(statuses.Severity)),
    "broadcasts.status": set(get_args(statuses.BroadcastStatus)),
    "runs.kind": set(get_args(statuses.RunKind)),
    "runs.status": set(get_args(statuses.RunStatusName)),
    "schedules.kind": set(get_args(statuses.RunKind)),
    "run_steps.kind": set(get_args(statuses.StepKind)),
    "run_steps.status": set(get_args(statuses.StepStatus)),
    "run_steps.on_error": set(get_args(statuses.OnError)),
    "run_steps.writes": set(get_args(Writes)),
    "webhook_deliveries.status": set(get_args(statuses.DeliveryStatus)),
    "webhook_deliveries.event": {f"run.{status}" for status in RunStatus if status.terminal},
    "pricing_packages.billing_interval": set(get_args(statuses.PackageInterval)),
    "pricing_campaigns.duration": set(get_args(statuses.DiscountDuration)),
    "user_subscriptions.billing_interval": set(get_args(statuses.BillingInterval)),
    "user_subscriptions.status": set(get_args(statuses.SubscriptionStatus)),
    # `refunded` is derived, and Stripe spells `cancelled` with one l.
    "invoices.status": {*INVOICE_STATUSES, "refunded"},
    "refunds.status": {status.replace("canceled", "cancelled") for status in REFUND_STATUSES},
    "stripe_events.status": set(get_args(statuses.StripeEventStatus)),
}
#: Lists that Python does not have: names of tables, kinds of objects, roles.
OTHERS = {
    "pricing_campaigns.discount_type",
    "refunds.kind",
    "row_quotas.table_name",
    "stripe_objects.kind",
    "user_profiles.role",
}
LISTS = r"""
    select c.conrelid::regclass || '.' || a.attname, pg_get_constraintdef(c.oid)
    from pg_constraint as c
    inner join pg_attribute as a on a.attrelid = c.conrelid and c.conkey = array[a.attnum]
    where c.contype = 'c' and c.connamespace = 'public'::regnamespace
        and pg_get_constraintdef(c.oid) ~ '^CHECK \(\(\w+ = ANY \(ARRAY\[[^]]*\]\)\)\)$'
"""


def test_python_and_the_database_have_the_same_states(db: psycopg.Connection) -> None:
    stored = {column: set(re.findall("'([^']*)'", check)) for column, check in db.execute(LISTS).fetchall()}
    assert {column: stored.get(column) for column in COLUMNS} == COLUMNS
    assert stored.keys() - COLUMNS.keys() == OTHERS


def test_the_two_lists_of_the_states_of_a_run_are_the_same() -> None:
    assert set(get_args(statuses.RunStatusName)) == set(RunStatus)


def test_the_database_and_the_agent_call_the_same_leads_hot(db: psycopg.Connection) -> None:
    assert db.execute("select value from internal.thresholds where name = 'hot_lead_score'").fetchall() == [(HOT_FROM,)]


def test_every_text_of_a_notification_can_be_filled(db: psycopg.Connection) -> None:
    rows = db.execute(
        "select event, format(title, variadic v), format(message, variadic v), format(action_url, variadic v)"
        " from internal.notification_texts cross join (select array['%1$s', '%s', 'c'] as v)"
    ).fetchall()
    assert {event.partition(".")[0] for event, *_ in rows} >= {"run", "approval", "lead", "trial", "invoice", "charge"}
    assert [event for event, title, message, url in rows if not (title and message and url.startswith("/"))] == []


def test_no_migration_names_an_agent() -> None:
    names = "|".join(agent.agent_type for agent in registry.all())
    assert {one.name: found for one in read_all() if (found := re.findall(names, one.sql))} == {}


def test_each_agent_declares_what_its_result_is_stored_as() -> None:
    declared = {agent.agent_type: agent.writes for agent in registry.all() if agent.writes}
    assert declared == {
        "lead_agent": "lead_analysis",
        "chat_agent": "reply",
        "recommendation_agent": "recommendations",
        "content_agent": "content",
        "brand_design_agent": "content",
        "digital_marketing_agent": "content",
    }
    assert set(declared.values()) == set(get_args(Writes))
