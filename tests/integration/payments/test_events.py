"""Attempts at events of Stripe: a failure uses up its attempts, and delays no other event."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from pixelbloom.errors import PixelBloomError
from pixelbloom.local.stripe.server import API_KEY, StripeServer
from pixelbloom.payments import stripe_state
from pixelbloom.payments.events import MAX_ATTEMPTS
from pixelbloom.payments.gateway import StripeGateway
from pixelbloom.payments.store import PaymentStore
from pixelbloom.payments.values import MalformedObject
from tests import ROOT
from tests.servers.stripe import History
from tests.stack import Stack

Event = dict[str, Any]
#: Values that no list, object or id of Stripe can have.
MALFORMED: list[Any] = [
    *([], "x", None, 7, {}, {"id": 7}, {"id": "in_1"}, {"url": 7, "id": "x"}, {"data": None}, {"data": 7}),
    *({"data": [None], "has_more": True}, {"data": [{}], "has_more": True}, {"data": [], "has_more": True}),
    *({"data": [{"invoice": 7}], "has_more": False}, {"data": [{"id": 7}]}, {"id": "x", "items": {"data": []}}),
    *({"id": "sub_1", "items": {"data": [{"id": 7}]}}, {"amount_due": "x"}, {"total": 1.5, "currency": "usd"}),
]


@pytest.fixture
def work(stack: Stack, shop: StripeServer) -> Iterator[Callable[[], int]]:
    """Run one round of a worker in a process of its own. Returns the number of events processed."""
    env = {**os.environ, **stack.env, "STRIPE_API_KEY": API_KEY, "STRIPE_API_BASE": shop.url, "PYTHONPATH": str(ROOT)}
    code = "from pixelbloom.tasks.payments import process_stripe_events as work; print('processed', work())"

    def process() -> int:
        done = subprocess.run(
            [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=120, check=False
        )
        counted = re.search(r"^processed (\d+)$", done.stdout, re.MULTILINE)
        assert counted, done.stdout + done.stderr
        return int(counted[1])

    yield process
    shop.failures.clear()


def refund(**changes: Any) -> Event:
    charge = {
        "id": f"ch_{uuid4().hex}",
        "object": "charge",
        "currency": "usd",
        "amount": 100,
        "amount_refunded": 100,
        "refunded": True,
        "payment_intent": f"pi_{uuid4().hex}",
        **changes,
    }
    return {
        "id": f"evt_{uuid4().hex}",
        "type": "charge.refunded",
        "created": int(time.time()),
        "data": {"object": charge},
    }


def row(db: psycopg.Connection, event: Event) -> tuple[str, int, str | None]:
    found = db.execute("select status, attempts, error from stripe_events where id = %s", [event["id"]]).fetchone()
    assert found is not None
    status, attempts, error = found
    return status, attempts, error


def due_now(db: psycopg.Connection, *events: Event) -> None:
    """These events, and no others."""
    db.execute("update stripe_events set next_attempt_at = 'infinity' where status = 'received'")
    for number, event in enumerate(events):
        db.execute(
            "update stripe_events set next_attempt_at = now() - make_interval(secs => %s) where id = %s",
            [len(events) - number, event["id"]],
        )


def calls() -> dict[str, Callable[[StripeGateway], Any]]:
    """Every gateway call that returns an object, with its parser."""
    return {
        "checkout": lambda stripe: stripe.create_checkout({}, "k"),
        "coupon": lambda stripe: stripe.coupon("c", {}),
        "portal": lambda stripe: stripe.open_portal("cus_1", "http://localhost"),
        "subscription": lambda stripe: stripe_state.from_response(stripe.subscription("sub_1"), 1),
        "cancel": lambda stripe: stripe_state.from_response(stripe.cancel("sub_1", at_period_end=True), 1),
        "cancel now": lambda stripe: stripe_state.from_response(stripe.cancel("sub_1", at_period_end=False), 1),
        "change": lambda stripe: stripe.change("sub_1", "price_1", at_period_end=False),
        "change later": lambda stripe: stripe.change("sub_1", "price_1", at_period_end=True),
        "event": lambda stripe: stripe_state.read(stripe.event("evt_1")),
        "upcoming": lambda stripe: stripe.upcoming("sub_1"),
    }


@pytest.mark.parametrize("name", calls())
def test_a_malformed_stripe_object_raises_malformed_event_everywhere(
    gateway: StripeGateway, shop: StripeServer, name: str
) -> None:
    for malformed in MALFORMED:
        shop.failures.clear()
        shop.failures.append({"answer": malformed})
        try:
            found = calls()[name](gateway)
        except PixelBloomError:
            continue
        # An object that is complete for one call may be incomplete for another.
        assert name in ("coupon", "event"), (malformed, found)
        assert found is None or isinstance(found, str), (malformed, found)


@pytest.mark.parametrize("malformed", [*MALFORMED, {"data": [{"invoice": "in_1"}, 7]}])
def test_malformed_lists_raise_malformed_event_or_are_read(
    gateway: StripeGateway, shop: StripeServer, malformed: Any
) -> None:
    for name, ask in (("list", lambda: list(gateway.subscriptions())), ("of", lambda: gateway.invoice_of("pi_1"))):
        shop.failures.clear()
        shop.failures.extend([{"answer": malformed}] * 3)
        try:
            found = ask()
        except PixelBloomError:
            continue
        assert found is None or isinstance(found, list | dict), (name, found)


def test_an_endless_list_ends(gateway: StripeGateway, shop: StripeServer) -> None:
    shop.failures.extend([{"answer": {"data": [{"id": "sub_1"}], "has_more": True}}] * 5)
    with pytest.raises(MalformedObject, match="does not advance"):
        list(gateway.subscriptions())


INVOICE = {"id": "in_1", "status": "paid", "currency": "usd", "amount_due": 1, "amount_paid": 1}


@pytest.mark.parametrize(
    "invoice",
    [
        pytest.param({name: value for name, value in INVOICE.items() if name != "currency"}, id="KeyError"),
        pytest.param({**INVOICE, "status": "unheard of"}, id="ValueError"),
        pytest.param({**INVOICE, "status_transitions": 7}, id="AttributeError"),
        pytest.param({**INVOICE, "parent": ["x"]}, id="of a list"),
        pytest.param([], id="no object"),
    ],
)
def test_a_malformed_invoice_of_a_refund_goes_to_the_dead_letter_and_delays_no_other_event(
    shop: StripeServer, store: PaymentStore, db: psycopg.Connection, work: Callable[[], int], invoice: Any
) -> None:
    malformed, others = refund(), [refund(payment_intent=None), refund(payment_intent=None)]
    for event in (malformed, *others):
        store.record(event, stripe_state.read(event))
    responses = [{"answer": {"data": [{"invoice": "in_1"}]}}, {"answer": invoice}]
    due_now(db, others[0], malformed, others[1])
    shop.failures.extend(responses)

    assert work() == 3
    assert [row(db, event)[0] for event in others] == ["ignored", "ignored"]
    status, attempts, error = row(db, malformed)
    assert (status, attempts) == ("received", 1)
    assert error is not None
    assert error.startswith("Malformed Stripe object: expected")

    due_now(db, malformed)
    db.execute("update stripe_events set attempts = %s where id = %s", [MAX_ATTEMPTS - 1, malformed["id"]])
    shop.failures.extend(responses)
    assert work() == 1
    assert row(db, malformed)[:2] == ("failed", MAX_ATTEMPTS)


def test_an_unexpected_payload_uses_up_attempts(
    store: PaymentStore, db: psycopg.Connection, work: Callable[[], int]
) -> None:
    strange, other = refund(), refund(payment_intent=None)
    for event in (strange, other):
        store.record(event, stripe_state.read(event))
    db.execute('update stripe_events set payload = \'{"kind": "charge"}\' where id = %s', [strange["id"]])
    due_now(db, strange, other)
    work()

    status, attempts, error = row(db, strange)
    assert (status, attempts, error) == ("received", 1, "KeyError: see the worker's log.")
    assert row(db, other)[0] == "ignored"


def test_an_event_refused_by_the_database_delays_no_other(
    store: PaymentStore, db: psycopg.Connection, work: Callable[[], int]
) -> None:
    refused, other = refund(payment_intent=None), refund(payment_intent=None)
    for event in (refused, other):
        store.record(event, stripe_state.read(event))
    due_now(db, refused, other)
    db.execute("alter table stripe_events add constraint refuses check (id <> '" + refused["id"] + "') not valid")
    try:
        assert work() == 2
    finally:
        db.execute("alter table stripe_events drop constraint refuses")

    assert row(db, refused)[:2] == ("received", 0)
    assert row(db, other)[0] == "ignored"


def test_an_event_that_kills_workers_is_dead_lettered(store: PaymentStore, db: psycopg.Connection) -> None:
    deadly = refund()
    store.record(deadly, stripe_state.read(deadly))
    for attempt in range(1, 4):
        due_now(db, deadly)
        begun = store.begin(deadly["id"], 60, 3)
        assert begun is not None
        assert begun["attempts"] == attempt
    due_now(db, deadly)

    assert store.begin(deadly["id"], 60, 3) is None
    status, _, error = row(db, deadly)
    assert status == "failed"
    assert "worker was lost" in str(error)
    assert deadly["id"] not in store.due(1000)


def test_an_unreadable_event_is_fetched_again_on_replay(
    shop: StripeServer, store: PaymentStore, db: psycopg.Connection, work: Callable[[], int]
) -> None:
    history = History(user := uuid4())
    events = history.at(int(time.time()), apart=0)
    for event in events:
        store.record(event, None, error="Malformed Stripe object.")
        assert row(db, event)[0] == "failed"
        shop.book.objects["event"][event["id"]] = {**event, "object": "event"}
        assert store.replay(event["id"]) == "failed"
    due_now(db, *events)
    work()

    assert {row(db, event)[0] for event in events} == {"processed"}
    bought = db.execute("select status from user_subscriptions where user_id = %s", [user]).fetchall()
    assert bought == [("active",)]
