"""Numbers and texts that the database and the Python code share."""

import re
from typing import get_args

import psycopg

from pixelbloom.agents import registry
from pixelbloom.agents.base import Writes
from pixelbloom.agents.knowledge.scoring import HOT_FROM
from pixelbloom.database.migrations import read_all


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
