"""Numbers and texts that the database and the Python code share."""

import psycopg

from pixelbloom.agents.knowledge.scoring import HOT_FROM


def test_the_database_and_the_agent_call_the_same_leads_hot(db: psycopg.Connection) -> None:
    assert db.execute("select value from internal.thresholds where name = 'hot_lead_score'").fetchall() == [(HOT_FROM,)]


def test_every_text_of_a_notification_can_be_filled(db: psycopg.Connection) -> None:
    rows = db.execute(
        "select event, format(title, variadic v), format(message, variadic v), format(action_url, variadic v)"
        " from internal.notification_texts cross join (select array['%1$s', '%s', 'c'] as v)"
    ).fetchall()
    assert {event.partition(".")[0] for event, *_ in rows} >= {"run", "approval", "lead", "trial", "invoice", "charge"}
    assert [event for event, title, message, url in rows if not (title and message and url.startswith("/"))] == []
