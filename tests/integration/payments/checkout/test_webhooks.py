"""Stripe's webhooks: signatures, and events that are stored, published, ignored and replayed."""

import json
import os
import subprocess
import sys
import time
from typing import Any
from uuid import uuid4

import psycopg
import pytest
import stripe
from websockets.sync.client import connect

from pixelbloom.auth.mint import mint_user
from pixelbloom.local.stripe.server import SECRET, StripeServer
from tests import ROOT
from tests.integration.http import Api, is_error, raw
from tests.integration.payments.checkouts import (
    checkout,
    control,
    event,
    one,
    posted,
)
from tests.servers.stripe import WEBHOOK, History
from tests.stack import Stack
from tests.waiting import SECONDS, until


def test_webhooks_signed_with_any_secret_are_stored_once(web: Api, db: psycopg.Connection) -> None:
    status = "select array_agg(status) from stripe_events where id = %s"
    for secret in (SECRET, "whsec_next"):
        other = event("product.created")
        assert posted(web, other, secret).json() == {"received": True}
        assert posted(web, other, secret).json() == {"received": True}
        assert one(db, status, other["id"]) == ["ignored"]
    malformed = event("invoice.paid", data={"object": {"id": "in_1"}})
    assert posted(web, malformed).status_code == 200
    assert one(db, status, malformed["id"]) == ["failed"]
    reason = one(db, "select error from stripe_events where id = %s", malformed["id"])
    assert reason == "Malformed Stripe object: expected invoice.paid."
    db.execute("delete from stripe_events where id = %s", [malformed["id"]])


def stored(db: psycopg.Connection, content: bytes) -> int:
    """The number of stored events with the id in `content`."""
    return int(one(db, "select count(*) from stripe_events where id = %s", json.loads(content)["id"]))


def test_webhooks_with_invalid_signatures_are_refused_and_not_stored(web: Api, db: psycopg.Connection) -> None:
    good = json.dumps(event()).encode()
    changed = good.replace(b"invoice.paid", b"invoice.paiD")
    old = int(time.time()) - 400
    for response in (
        posted(web, good, "whsec_other"),
        posted(web, good, at=old),
        posted(web, good, sent=changed),
        posted(web, good, sent=good + b" "),
        web.request("POST", WEBHOOK, content=good),
        web.request("POST", WEBHOOK, content=good, headers={"Stripe-Signature": "t=x,v1=y"}),
        web.request("POST", WEBHOOK, content=good, headers={"Stripe-Signature": f"t={int(time.time())}"}),
    ):
        is_error(response, 400, "BAD_REQUEST")
    assert not stored(db, good)


@pytest.mark.parametrize(
    "content",
    [b"not json", b"[]", event(id=None), event(created="now"), event("a\x00b")],
    ids=["text", "list", "id", "created", "type"],
)
def test_signed_webhooks_that_are_no_event_are_refused(web: Api, content: bytes | dict[str, Any]) -> None:
    is_error(posted(web, content), 400, "BAD_REQUEST")


def test_webhooks_with_malformed_signature_headers_are_refused_and_not_stored(web: Api, db: psycopg.Connection) -> None:
    good = json.dumps(event()).encode()
    now = int(time.time())
    signature = stripe.WebhookSignature.generate_signature_header(good.decode(), SECRET, now)
    for header in (
        *(
            "t=1,v1=é",
            f"{signature}é",
            f"t={now},v1=é",
            f"t={'9' * 13},v1=0",
            f"t={'9' * 5000},v1=0",
            "",
            ",",
            "=",
        ),
        *(f"{signature},t={now}", f"{signature},{signature}", f"t={now},{'v1=0,' * 400}v1=0"),
    ):
        sent = {"Stripe-Signature": header.encode()}
        is_error(web.request("POST", WEBHOOK, content=good, headers=sent), 400, "BAD_REQUEST")  # type: ignore[arg-type]
    lines = (b"Content-Length: %d\r\n" % len(good)) + b"Connection: close\r\n"
    for repeated in (signature.encode(), b"t=1,v1=0"):
        again = b"Stripe-Signature: %s\r\nStripe-Signature: %s\r\n" % (signature.encode(), repeated)
        head = b"POST /api/payments/webhook HTTP/1.1\r\nHost: x\r\n" + lines + again
        assert raw(web.url, head + b"\r\n" + good)[0] == 400
    for odd in (b"\x01", b"\x00", b"\x7f"):
        head = b"POST /api/payments/webhook HTTP/1.1\r\nHost: x\r\n" + lines
        assert raw(web.url, head + b"Stripe-Signature: t=1,v1=" + odd + b"\r\n\r\n" + good)[0] == 400
    bytes_only = (
        b"POST /api/payments/webhook HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nStripe-Signature: t=1,v1=\xff\r\n"
    )
    assert raw(web.url, bytes_only + b"Connection: close\r\n\r\n\xff\xff")[0] == 400
    assert not stored(db, good)


def test_a_webhook_that_is_too_large_is_refused(web: Api) -> None:
    is_error(posted(web, b" " * (1024 * 1024 + 1)), 413, "PAYLOAD_TOO_LARGE")


def test_the_changes_of_an_event_reach_the_sockets_without_beat(
    user: Api, web: Api, shop: StripeServer, running: Stack
) -> None:
    running.start("events")
    token = mint_user(running.settings, user.user_id)
    with connect(f"{web.url.replace('http', 'ws')}/api/ws/analytics?token={token}", proxy=None) as socket:
        session = checkout(user, price_id="price_growth")
        control(shop, "pay_session", session=session["id"])
        until(lambda: json.loads(socket.recv(timeout=SECONDS))["type"] == "subscription_created", pause=0)


def refunded_elsewhere() -> dict[str, Any]:
    """An event about a charge of no known user, which is processed by asking Stripe and then ignored."""
    refund = {
        "id": f"ch_{uuid4().hex}",
        "currency": "usd",
        "amount": 100,
        "amount_refunded": 100,
        "refunded": True,
        "payment_intent": f"pi_{uuid4().hex}",
    }
    return event("charge.refunded", data={"object": refund})


def test_an_event_that_cannot_be_processed_waits_and_can_be_replayed(
    web: Api, shop: StripeServer, stack: Stack, db: psycopg.Connection
) -> None:
    posted_event = refunded_elsewhere()
    db.execute("delete from stripe_events where status = 'failed'")  # those of other tests
    # Events of earlier tests may still make requests of their own.
    fails = [{"status": 500, "path": "invoice_payments"}] * 3
    shop.failures.extend(fails)
    assert posted(web, posted_event).status_code == 200
    find = "select {} from stripe_events where id = %s"
    stack.wait_for(lambda: one(db, find.format("error"), posted_event["id"]) is not None)
    shop.failures.clear()
    assert one(db, find.format("status"), posted_event["id"]) == "received"
    assert one(db, find.format("next_attempt_at > now()"), posted_event["id"])
    db.execute("update stripe_events set attempts = 11, next_attempt_at = now() where id = %s", [posted_event["id"]])
    shop.failures.extend(fails)
    beat = stack.start("beat")
    try:
        stack.wait_for(lambda: one(db, find.format("status"), posted_event["id"]) == "failed")
        shop.failures.clear()
        listed = command(stack, "payments", "events", "--status", "failed")
        assert [row["id"] for row in json.loads(listed.stdout)] == [posted_event["id"]]
        assert json.loads(command(stack, "payments", "replay", "--failed").stdout) == [posted_event["id"]]
        stack.wait_for(lambda: one(db, find.format("status"), posted_event["id"]) == "ignored")
    finally:
        beat.stop()
    assert (
        one(db, find.format("error"), posted_event["id"]),
        one(db, find.format("attempts"), posted_event["id"]),
    ) == (None, 1)


def test_administrators_and_services_list_and_replay_events(web: Api, stack: Stack, db: psycopg.Connection) -> None:
    posted_event = refunded_elsewhere()
    assert posted(web, posted_event).status_code == 200
    stack.wait_for(lambda: one(db, "select status from stripe_events where id = %s", posted_event["id"]) == "ignored")
    admin, service = web.as_user(admin=True), web.as_service()
    for caller in (admin, service):
        items = caller.get("/api/payments/events", params={"status": "ignored", "limit": 200}).json()["items"]
        [item] = [item for item in items if item["id"] == posted_event["id"]]
        assert (item["type"], item["error"], item["attempts"]) == ("charge.refunded", None, 1)
    again = admin.request("POST", f"/api/payments/events/{posted_event['id']}/replay")
    assert (again.status_code, again.json()) == (202, {"id": posted_event["id"], "status_before": "ignored"})
    is_error(admin.request("POST", "/api/payments/events/evt_none/replay"), 404, "NOT_FOUND")


def test_users_neither_list_nor_replay_events(user: Api, web: Api) -> None:
    posted_event = event("product.created")
    assert posted(web, posted_event).status_code == 200
    is_error(user.get("/api/payments/events"), 403, "FORBIDDEN")
    is_error(user.request("POST", f"/api/payments/events/{posted_event['id']}/replay"), 403, "FORBIDDEN")
    is_error(web.get("/api/payments/events"), 401, "UNAUTHORIZED")


@pytest.mark.parametrize("invalid", ["replay", "replay evt_none", "events --status lost", "events --limit 0"])
def test_an_invalid_command_about_events_is_refused(stack: Stack, invalid: str) -> None:
    found = command(stack, "payments", *invalid.split())
    assert found.returncode == 2, found.stderr
    assert "Traceback" not in found.stderr


def command(stack: Stack, *args: str) -> subprocess.CompletedProcess[str]:
    env = {**stack.env, "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "pixelbloom", *args], env=env, capture_output=True, text=True, timeout=300, check=False
    )


def test_events_of_a_subscription_made_elsewhere_are_stored_and_ignored(web: Api, db: psycopg.Connection) -> None:
    history = History(None)
    foreign = [one for one in history.at(int(time.time()), apart=0) if one["type"].startswith("customer.")]
    assert [posted(web, posted_event).status_code for posted_event in foreign * 2] == [200, 200]
    status = "select status from stripe_events where id = %s"
    until(lambda: one(db, status, foreign[0]["id"]) == "ignored")
    made = "select count(*) from user_subscriptions where stripe_subscription_id = %s"
    assert one(db, made, history.subscription_id) == 0


def test_a_checkout_of_an_unknown_address_has_no_user_until_the_address_is_known(
    web: Api, stack: Stack, db: psycopg.Connection
) -> None:
    known = uuid4()
    email = f"{known.hex}@example.com"
    history = History(None)
    history.session["customer_details"]["email"] = email.upper()
    history.book.emit("checkout.session.completed", history.session)
    events = [event for event in history.at(int(time.time()), apart=0) if event["type"].startswith("checkout.")]
    find = "select {} from user_subscriptions where stripe_subscription_id = %s"
    assert posted(web, events[0]).status_code == 200
    stack.wait_for(lambda: one(db, find.format("status"), history.subscription_id) == "active")
    assert one(db, find.format("user_id"), history.subscription_id) is None
    db.execute("insert into auth.users (id, email, email_confirmed_at) values (%s, %s, now())", [known, email])
    assert posted(web, {**events[1], "created": events[1]["created"] + 1}).status_code == 200
    stack.wait_for(lambda: one(db, find.format("user_id"), history.subscription_id) == known)
