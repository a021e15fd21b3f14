"""Errors reach Sentry with their ids and without secrets."""

import json

import psycopg

from tests.servers.sentry import SentryServer
from tests.stack import Stack
from tests.waiting import until

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"


def test_a_logged_error_reaches_sentry_by_its_name_and_without_its_secrets(
    stack: Stack, db: psycopg.Connection
) -> None:
    with SentryServer() as sentry:
        events = stack.start("events", env={"SENTRY_DSN": sentry.dsn})
        db.execute(
            "insert into event_outbox (type, topic, payload, visible_at) values (%s, 't', '{}', now())",
            [f"?token={TOKEN}"],
        )
        beat = stack.start("beat")
        # Two relays that read the row at once both log it.
        event, *repeats = until(lambda: sentry.named("event_not_understood"), saw=lambda: sentry.bodies)
        beat.stop()
        events.stop()

    assert {repeat["extra"]["id"] for repeat in repeats} <= {event["extra"]["id"]}
    assert event["level"] == "error"
    assert event["tags"]["role"] == "events"
    assert event["release"].startswith("pixelbloom@")
    assert event["extra"]["type"] == "?token=[redacted]"
    assert event["fingerprint"][:2] == ["pixelbloom.events.outbox", "event_not_understood"]
    assert TOKEN not in "".join(sentry.bodies)
    assert stack.env["SUPABASE_SERVICE_ROLE_KEY"] not in json.dumps(sentry.bodies)
