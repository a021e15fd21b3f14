"""What a request may cost: the size of its body by operation, and its rate limit, which counts before it is read."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from tests.integration.http import CHAT, Api, is_error

KIB = 1024
NARROW = 3
HOSTILE = b'{"agent_type": "chat_agent", "input": {"message": [' + b"[[]]," * 200_000 + b"1]}}"


@pytest.fixture(scope="module")
def web(stack: Any) -> Iterator[Api]:
    handle = stack.start("web")
    yield Api(handle.url, None, stack.settings)
    handle.kill()


@pytest.fixture(scope="module")
def narrow(stack: Any) -> Iterator[Api]:
    """The API with a rate limit of 3 submissions a user."""
    limits = {"RUN_RATE_LIMIT": f"{NARROW}/hour", "QUOTE_RATE_LIMIT": f"{NARROW}/hour", "VISITOR_LEAD_LIMIT": "3/hour"}
    handle = stack.start("web", env={**limits, "VISITOR_MESSAGE_LIMIT": "3/hour"})
    yield Api(handle.url, None, stack.settings)
    handle.kill()


def posted(api: Api, path: str, body: bytes) -> Any:
    return api.request("POST", path, content=body, headers={"Content-Type": "application/json"})


@pytest.mark.parametrize(
    ("path", "kib", "signed_in"),
    [
        ("/api/agents/invoke", 1024, True),
        ("/api/agents/workflows/execute", 1024, True),
        ("/api/leads", 64, True),
        ("/api/conversations", 64, True),
        ("/api/agents/runs/retry", 64, True),
        ("/api/payments/create-checkout-session", 64, True),
        ("/api/pricing/quote", 8, False),
    ],
)
def test_a_body_has_the_size_that_its_operation_needs(web: Api, path: str, kib: int, signed_in: bool) -> None:
    caller = web.as_user() if signed_in else web
    largest = b'{"nothing": "' + b"a" * (kib * KIB - 15) + b'"}'
    assert len(largest) == kib * KIB

    assert "PAYLOAD_TOO_LARGE" not in posted(caller, path, largest).text
    error = is_error(posted(caller, path, largest + b" "), 413, "PAYLOAD_TOO_LARGE")
    assert error["error"] == f"The body is larger than {kib} KiB; send less."


def test_a_mebibyte_of_lists_is_refused(web: Api) -> None:
    error = is_error(posted(web.as_user(), "/api/agents/invoke", HOSTILE), 400, "BAD_REQUEST")

    assert "20000 values" in error["error"]


@pytest.mark.parametrize(
    "path",
    [
        "/api/agents/invoke",
        "/api/agents/workflows/execute",
        "/api/agents/runs/retry",
        "/api/agents/workflows/runs/retry",
    ],
)
def test_a_request_is_counted_before_its_body_is_read(narrow: Api, path: str) -> None:
    user = narrow.as_user()

    assert [posted(user, path, b"{nonsense").status_code for _ in range(NARROW + 1)] == [400] * NARROW + [429]
    is_error(posted(user, path, HOSTILE[: 60 * KIB]), 429, "RATE_LIMITED")


def test_a_quote_is_counted_before_its_body_is_read(narrow: Api) -> None:
    user = narrow.as_user()

    responses = [posted(user, "/api/pricing/quote", b"{nonsense").status_code for _ in range(NARROW + 1)]

    assert responses == [400] * NARROW + [429]


@pytest.mark.parametrize("path", ["/api/leads", "/api/conversations"])
def test_a_visitors_request_is_counted_before_its_body_is_read(narrow: Api, path: str) -> None:
    visitor = narrow.with_token(narrow.request("POST", "/api/visitors/sessions").json()["token"])

    assert [posted(visitor, path, b"{nonsense").status_code for _ in range(4)] == [400] * 3 + [429]


def failed_run(user: Api, db: psycopg.Connection) -> str:
    run_id: str = user.invoke().json()["request_id"]
    with db.transaction():
        db.execute("update public.run_steps set status = 'failed', finished_at = now() where run_id = %s", [run_id])
        db.execute(
            "update public.runs set status = 'failed', error = 'it broke', error_code = 'BROKEN', finished_at = now() "
            "where id = %s",
            [run_id],
        )
    return run_id


def test_each_retry_counts_against_the_rate_limit(web: Api, narrow: Api, db: psycopg.Connection) -> None:
    user_id = uuid4()
    run_ids = [failed_run(web.as_user(user_id), db) for _ in range(NARROW + 1)]
    user = narrow.as_user(user_id)

    responses = [user.request("POST", f"/api/agents/runs/{run_id}/retry").status_code for run_id in run_ids]

    assert responses == [200] * NARROW + [429]


@pytest.mark.parametrize(("failed", "expected"), [(NARROW, 200), (NARROW + 1, 429)])
def test_each_run_of_a_bulk_retry_counts_against_the_rate_limit(
    web: Api, narrow: Api, db: psycopg.Connection, failed: int, expected: int
) -> None:
    user_id = uuid4()
    for _ in range(failed):
        failed_run(web.as_user(user_id), db)
    user = narrow.as_user(user_id)

    response = posted(user, "/api/agents/runs/retry", json.dumps({"agent_type": CHAT["agent_type"]}).encode())

    assert response.status_code == expected, response.text
    waiting = db.execute(
        "select count(*) from public.runs where user_id = %s and status = 'failed'", [user_id]
    ).fetchone()
    assert waiting == ((0,) if expected == 200 else (failed,))
    assert user.invoke().status_code == (429 if expected == 200 else 200)
