"""Completion webhooks: signed, retried, listed, and refused for a forbidden URL."""

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import httpx
import psycopg
import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from pixelbloom.database.gateway import Gateway
from pixelbloom.webhooks import sender as sending
from pixelbloom.webhooks.secrets import own_secret
from pixelbloom.webhooks.sender import Sender, payload
from pixelbloom.webhooks.store import WebhookStore
from tests.integration.http import Api, is_error
from tests.integration.webhooks.deliveries import SECRET
from tests.servers.receiver import Receiver, Reply
from tests.stack import Stack, stop_all
from tests.waiting import SECONDS, until

PATH = "/api/agents/webhooks"


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as server:
        yield server


@pytest.fixture(scope="module")
def web(stack: Stack) -> Iterator[Api]:
    env = {"WEBHOOK_SECRET": SECRET, "WEBHOOK_ALLOW_PRIVATE": "true"}
    started = [stack.start(role, env=env) for role in ("agents", "webhooks", "maintenance", "beat", "web")]
    yield Api(started[-1].url, None, stack.settings)
    stop_all(started)


@pytest.fixture
def user(web: Api) -> Api:
    return web.as_user()


def submit(user: Api, url: str, **more: Any) -> str:
    body = {"agent_type": "chat_agent", "input": {"message": "Hello"}, "webhook_url": f"{url}?a=1", **more}
    response = user.invoke(body)
    assert response.status_code == 200, response.text
    return str(response.json()["request_id"])


def deliveries(user: Api, run_id: str) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = user.get(f"{PATH}?run_id={run_id}").json()["items"]
    return items


def hurry(db: psycopg.Connection, run_id: str) -> None:
    """As if the backoff were over."""
    db.execute(
        "update public.webhook_deliveries set next_attempt_at = now()"
        " where run_id = %s and status = 'pending' and attempts > 0",
        [run_id],
    )


# Whole


def test_the_end_of_a_run_is_delivered_signed_and_listed(user: Api, receiver: Receiver) -> None:
    run_id = submit(user, receiver.url)
    [sent] = until(lambda: receiver.received)
    event = Webhook(SECRET).verify(sent.body, sent.headers)
    assert event["type"] == "run.completed"
    assert (event["data"]["request_id"], event["data"]["status"]) == (run_id, "completed")
    assert event["data"]["result"]["reply"]
    assert event["data"] == user.get(f"/api/agents/runs/{run_id}").json()
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(sent.body.replace(b"completed", b"cancelled", 1), sent.headers)
    [delivery] = until(lambda: [d for d in deliveries(user, run_id) if d["status"] == "delivered"])
    assert (delivery["attempts"], delivery["last_status_code"], delivery["event"]) == (1, 204, "run.completed")
    assert sent.headers["webhook-id"] == f"msg_{UUID(delivery['delivery_id']).hex}"
    assert deliveries(user.as_user(), run_id) == []


def test_a_delivery_is_retried_with_the_same_id_until_it_is_accepted(
    user: Api, receiver: Receiver, db: psycopg.Connection
) -> None:
    receiver.replies = [Reply(500), Reply(302, {"Location": receiver.url}), Reply(429), Reply(200)]
    run_id = submit(user, receiver.url)

    def done() -> bool:
        hurry(db, run_id)
        return any(d["status"] == "delivered" for d in deliveries(user, run_id))

    until(done)
    [delivery] = deliveries(user, run_id)
    assert [outcome["status_code"] for outcome in delivery["outcomes"]] == [500, 302, 429, 200]
    assert delivery["outcomes"][1]["error"] == "The receiver returned 302."  # and was not followed
    assert len(receiver.received) == 4
    assert len({sent.headers["webhook-id"] for sent in receiver.received}) == 1


def test_a_receiver_that_is_gone_is_called_again_only_by_hand(user: Api, receiver: Receiver) -> None:
    receiver.replies = [Reply(410), Reply(200)]
    run_id = submit(user, receiver.url)
    [delivery] = until(lambda: [d for d in deliveries(user, run_id) if d["status"] == "failed"])
    assert (delivery["attempts"], delivery["last_status_code"]) == (1, 410)
    path = f"{PATH}/{delivery['delivery_id']}/redeliver"
    is_error(user.as_user().request("POST", path), 404, "NOT_FOUND")
    is_error(user.request("POST", f"{PATH}/{uuid4()}/redeliver"), 404, "NOT_FOUND")
    again = user.request("POST", path)
    assert (again.status_code, again.json()["status"]) == (200, "pending")
    until(lambda: deliveries(user, run_id)[0]["status"] == "delivered")


def test_a_cancelled_workflow_run_is_delivered(user: Api, receiver: Receiver) -> None:
    workflow = {"workflow_id": "campaign_launch", "webhook_url": receiver.url, "async": True}
    inputs = {"company": "Northwind", "product": "An app", "monthly_budget": 10}
    response = user.request("POST", "/api/agents/workflows/execute", json={**workflow, "inputs": inputs})
    run_id = response.json()["workflow_run_id"]
    user.request("POST", f"/api/agents/workflows/runs/{run_id}/cancel")
    [sent] = until(lambda: receiver.received)
    event = json.loads(sent.body)
    assert (event["type"], event["data"]["workflow_run_id"]) == ("run.cancelled", run_id)


def test_a_delivery_is_given_up_after_a_day(user: Api, db: psycopg.Connection) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
    run_id = submit(user, url)
    until(lambda: deliveries(user, run_id) and deliveries(user, run_id)[0]["attempts"])
    db.execute("update public.webhook_deliveries set expires_at = now() where run_id = %s", [run_id])
    hurry(db, run_id)
    [delivery] = until(lambda: [d for d in deliveries(user, run_id) if d["status"] == "failed"])
    assert "The connection failed" in delivery["last_error"]


def test_two_takers_never_have_the_same_delivery(stack: Stack, db: psycopg.Connection) -> None:
    run_id = uuid4()
    db.execute(
        "insert into public.runs (id, kind, agent_type, caller, user_queue, input)"
        " values (%s, 'agent', 'chat_agent', 'x', 'x', '{}')",
        [run_id],
    )
    db.execute(
        "insert into public.webhook_deliveries (run_id, url, event)"
        " select %s, 'https://example.com', 'run.completed' from generate_series(1, 60)",
        [run_id],
    )
    gateways = [Gateway(stack.settings) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        taken = list(
            pool.map(lambda gateway: WebhookStore(gateway, user_limit=60, host_limit=60).take(20, 60), gateways)
        )
    mine = [row["id"] for rows in taken for row in rows]
    assert mine  # the worker beside us may have taken some
    assert len(mine) == len(set(mine))
    late = WebhookStore(gateways[0])
    ending = {"delivered": True, "final": False, "status_code": 200, "error": None, "duration_ms": 1, "responded": True}
    row = next(rows[0] for rows in taken if rows)
    assert late.finish(UUID(row["id"]), row["token"] - 1, {**ending, "retry_seconds": 5}) is None
    assert late.finish(UUID(row["id"]), row["token"], {**ending, "retry_seconds": 5}) == "delivered"
    db.execute("delete from public.runs where id = %s", [run_id])
    for gateway in gateways:
        gateway.close()


def test_a_submission_with_a_forbidden_url_is_refused(web: Api, stack: Stack) -> None:
    strict = stack.start("web", env={"WEBHOOK_SECRET": SECRET})
    bare = stack.start("web", env={"WEBHOOK_SECRET": ""})
    try:
        body = {"agent_type": "chat_agent", "input": {"message": "Hello"}, "webhook_url": "https://127.0.0.1/"}
        refused = Api(strict.url, None, stack.settings).as_user().invoke(body)
        assert is_error(refused, 400, "BAD_REQUEST")["details"][0]["field"] == "webhook_url"
        assert (
            Api(strict.url, None, stack.settings)
            .as_user()
            .invoke({**body, "webhook_url": "https://example.com/hook"})
            .status_code
            == 200
        )
        unset = Api(bare.url, None, stack.settings).as_user().invoke({**body, "webhook_url": "https://example.com/"})
        assert "WEBHOOK_SECRET" in is_error(unset, 503, "UNAVAILABLE")["error"]
    finally:
        strict.kill()
        bare.kill()


# One attempt


def test_with_two_secrets_both_sign(receiver: Receiver) -> None:
    other = "whsec_c2Vjb25kIHNlY3JldCB0aGF0IGlzIGxvbmcgZW5vdWdo"
    outcome = Sender([SECRET, other], allow_private=True).send(uuid4(), receiver.url, b'{"a": 1}')
    assert outcome.delivered
    [sent] = receiver.received
    for secret in (SECRET, other):
        assert Webhook(secret).verify(sent.body, sent.headers) == {"a": 1}


def test_a_message_of_another_user_is_not_validly_signed_for_mine(receiver: Receiver) -> None:
    mine, other_user = uuid4(), uuid4()
    other = "whsec_c2Vjb25kIHNlY3JldCB0aGF0IGlzIGxvbmcgZW5vdWdo"
    assert Sender([SECRET, other], allow_private=True).send(uuid4(), receiver.url, b'{"a": 1}', other_user).delivered
    [sent] = receiver.received
    for secret in (SECRET, other):
        assert Webhook(secret).verify(sent.body, sent.headers) == {"a": 1}
        assert Webhook(own_secret(secret, other_user)).verify(sent.body, sent.headers) == {"a": 1}
        with pytest.raises(WebhookVerificationError):
            Webhook(own_secret(secret, mine)).verify(sent.body, sent.headers)


def test_a_user_reads_the_secret_that_signs_own_deliveries(web: Api, receiver: Receiver) -> None:
    user, other = web.as_user(), web.as_user()
    response = user.get(f"{PATH}/secret")
    assert response.headers["Cache-Control"] == "no-store"
    secret = response.json()["secret"]
    assert secret not in (SECRET, other.get(f"{PATH}/secret").json()["secret"])
    submit(user, receiver.url)
    [sent] = until(lambda: receiver.received)
    assert Webhook(secret).verify(sent.body, sent.headers)["type"] == "run.completed"
    assert Webhook(SECRET).verify(sent.body, sent.headers)["data"]["user_id"] == str(user.user_id)
    is_error(web.as_service().get(f"{PATH}/secret"), 403, "FORBIDDEN")


def test_a_receiver_that_drips_is_cut_off(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "TOTAL_SECONDS", 0.5)
    receiver.replies = [Reply(drip=True)]
    outcome = Sender([SECRET], allow_private=True).send(uuid4(), receiver.url, b"{}")
    assert (outcome.delivered, outcome.error) == (False, "The receiver timed out.")


def test_the_backoff_doubles_is_bounded_and_follows_retry_after(receiver: Receiver) -> None:
    receiver.replies = [Reply(503, {"Retry-After": "600"})]
    outcome = Sender([SECRET], allow_private=True).send(uuid4(), receiver.url, b"{}")
    assert outcome.retry_after == 600
    assert outcome.retry_seconds(0) == 600
    assert 5 * 2**8 * 0.5 <= outcome.retry_seconds(8) <= 5 * 2**8
    assert outcome.retry_seconds(50) <= 2 * 3600


def test_a_run_that_is_too_large_is_delivered_without_its_results() -> None:
    small = json.loads(payload("run.completed", {"request_id": "r", "result": {"a": 1}, "steps": []}))
    assert small["data"]["result"] == {"a": 1}
    large = json.loads(payload("run.completed", {"request_id": "r", "result": "x" * 300_000, "steps": []}))
    assert (large["truncated"], large["data"]) == (True, {"request_id": "r"})


def test_rows_of_others_are_not_read_through_supabase(stack: Stack, user: Api, receiver: Receiver) -> None:
    run_id = submit(user, receiver.url)
    until(lambda: deliveries(user, run_id))

    def rows(api: Api) -> Any:
        headers = {"Authorization": f"Bearer {api.token}"}
        url = f"{stack.rest_url}/webhook_deliveries?run_id=eq.{run_id}"
        return httpx.get(url, headers=headers, trust_env=False, timeout=SECONDS).json()

    assert len(rows(user)) == 1
    assert rows(user.as_user()) == []
