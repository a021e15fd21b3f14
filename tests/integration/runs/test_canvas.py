"""The broker messages of published steps."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
import redis as redis_client
from celery import Celery

from pixelbloom.celery_app import broker_address
from pixelbloom.runs.dispatcher import STEP_TASK, canvas
from pixelbloom.runs.status import BROKER_PRIORITY, Priority, broker_list
from tests.stack import Stack

RUN = "5c1c7a52-2f5e-4d55-9a70-0d3b8a3c6a01"
AT = "2026-01-31T12:00:00Z"


@pytest.fixture
def app(stack: Stack) -> Iterator[Celery]:
    transport = {"priority_steps": sorted(BROKER_PRIORITY.values())}
    with Celery(broker=broker_address(stack.redis_url), set_as_current=False) as app:
        app.conf.update(broker_transport_options=transport, task_ignore_result=True)
        yield app


def sent(app: Celery, redis: redis_client.Redis, priority: Priority, *following: str) -> dict[str, Any]:
    """Publish step a. Returns the one message in the broker."""
    publication = {"run_id": RUN, "key": "a", "priority": priority.number, "published_at": AT, "chain": following}
    canvas(app, publication).apply_async(retry=False)
    [message] = redis.lrange(broker_list(priority), 0, -1)
    found: dict[str, Any] = json.loads(message)
    found["body"] = json.loads(base64.b64decode(found["body"]))
    return found


def test_a_linear_segment_is_one_message_with_the_rest_as_a_chain(app: Celery, redis: redis_client.Redis) -> None:
    message = sent(app, redis, Priority.INTERACTIVE, "b", "c")
    arguments, _, embedded = message["body"]
    assert arguments == [RUN, "a"]
    assert message["headers"]["task"] == STEP_TASK
    assert message["headers"]["published_at"] == AT
    following = [(link["task"], link["args"], link["immutable"]) for link in reversed(embedded["chain"])]
    assert following == [(STEP_TASK, [RUN, "b"], True), (STEP_TASK, [RUN, "c"], True)]
    # The timestamp of the first is not that of later ones.
    assert all("headers" not in link["options"] for link in embedded["chain"])


@pytest.mark.parametrize("priority", list(Priority))
def test_a_single_step_is_one_message_in_the_list_of_its_priority(
    app: Celery, redis: redis_client.Redis, priority: Priority
) -> None:
    message = sent(app, redis, priority)
    assert not message["body"][2]["chain"]
    assert message["properties"]["priority"] == BROKER_PRIORITY[priority]
    assert redis.llen(broker_list(priority)) == 1
