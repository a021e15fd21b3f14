"""What of an event goes to Sentry."""

import logging
from collections.abc import Iterator

import pytest
import structlog

from pixelbloom.logs import REDACTED, Redactor
from pixelbloom.telemetry.sentry import Scrubber


@pytest.fixture(autouse=True)
def _no_context() -> Iterator[None]:
    structlog.contextvars.clear_contextvars()
    yield
    structlog.contextvars.clear_contextvars()


def test_an_event_has_the_ids_of_its_thread_as_tags() -> None:
    structlog.contextvars.bind_contextvars(request_id="r1", run_id="u1", other="x")

    event = Scrubber(Redactor(), "agents")({"level": "error"}, {})

    assert event["tags"] == {"request_id": "r1", "run_id": "u1", "role": "agents"}


def test_an_event_of_a_log_line_is_named_by_it_and_grouped_with_its_like() -> None:
    fields = {"event": "step_crashed", "agent_type": "chat_agent", "api_key": "secret-of-somebody"}
    record = logging.LogRecord("pixelbloom.runs", logging.ERROR, "x.py", 1, fields, None, None)

    event = Scrubber(Redactor(), "agents")({"logentry": {"message": str(fields)}}, {"log_record": record})

    assert event["logentry"] == {"message": "step_crashed"}
    assert event["fingerprint"] == ["pixelbloom.runs", "step_crashed", "{{ default }}"]
    assert event["extra"] == {**fields, "api_key": REDACTED}


def test_no_part_of_an_event_has_a_configured_secret() -> None:
    secret = "the-secret-of-these-tests"
    frame = {"filename": "x.py", "context_line": f"call('{secret}')"}
    event = Scrubber(Redactor((secret,)), "web")(
        {
            "exception": {"values": [{"value": f"failed: {secret}", "stacktrace": {"frames": [frame]}}]},
            "request": {"url": "https://api/x", "query_string": f"token={secret}", "headers": {"Cookie": "a=b"}},
            "breadcrumbs": {"values": [{"message": f"Bearer {secret}"}]},
        },
        {},
    )

    assert secret not in repr(event)
    assert event["request"]["headers"] == {"Cookie": REDACTED}
    [shown] = event["exception"]["values"]
    assert shown["value"] == f"failed: {REDACTED}"
    assert shown["stacktrace"]["frames"][0]["filename"] == "x.py"
