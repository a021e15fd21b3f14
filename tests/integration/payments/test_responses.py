"""Responses of Stripe, and events that overtake them: an older state does not replace a newer one."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest

from pixelbloom.container import Container
from pixelbloom.local.stripe.server import API_KEY, StripeServer
from pixelbloom.payments import stripe_state
from pixelbloom.payments.gateway import StripeGateway
from pixelbloom.payments.reconciliation import Reconciliation
from pixelbloom.payments.responses import READINGS, store_response
from pixelbloom.payments.store import PaymentStore
from tests.integration.payments.plays import FIRST, deliver, forget, rows
from tests.servers.stripe import Event, History
from tests.stack import Stack


@pytest.fixture
def history(db: psycopg.Connection) -> Iterator[History]:
    made = History(uuid4())
    yield made
    forget(db, made)


def changes(history: History, store: PaymentStore, *steps: str) -> list[Event]:
    """Play steps of which each changes the subscription, deliver what came before, and return the changes' events."""
    history.play(["renewed"])
    before = len(history.events)
    history.play(steps)
    events = history.at(FIRST, apart=1)
    for event in events[:before]:
        deliver(store, event)
    changed = [event for event in events[before:] if event["type"].startswith("customer.subscription.")]
    assert len(changed) == len(steps)
    return changed


def state(event: Event) -> dict[str, Any]:
    found: dict[str, Any] = event["data"]["object"]
    return found


def ending(db: psycopg.Connection, history: History) -> Any:
    """Return whether the stored subscription ends with its period."""
    return rows(db, history)["user_subscriptions"][0]["cancel_at_period_end"]


@pytest.mark.parametrize("newer", ["response", "event"])
def test_an_event_of_the_second_of_a_response_does_not_replace_it_and_stripe_decides(
    store: PaymentStore, gateway: StripeGateway, db: psycopg.Connection, history: History, newer: str
) -> None:
    event, other = changes(history, store, "to end", "to continue")
    if newer == "event":
        event, other = other, event
    at = event["created"]
    store.apply(f"response:{uuid4()}", stripe_state.from_response(state(other), at))
    applied = deliver(store, event)

    assert applied == {"status": "processed", "ambiguous_order": True}
    assert ending(db, history) == state(other)["cancel_at_period_end"]
    truth = other if newer == "response" else event
    store_response(store, gateway, history.subscription_id, lambda: state(truth))
    assert ending(db, history) == state(truth)["cancel_at_period_end"]


def test_an_event_that_agrees_with_the_response_of_its_second_is_not_ambiguous(
    store: PaymentStore,
    db: psycopg.Connection,
    history: History,
) -> None:
    [event] = changes(history, store, "to end")
    store.apply(f"response:{uuid4()}", stripe_state.from_response(state(event), event["created"]))
    applied = deliver(store, event)
    assert applied == {"status": "processed", "ambiguous_order": False}
    assert ending(db, history) is True


@pytest.mark.parametrize("meanwhile", ["an event", "another response"])
def test_a_response_overtaken_by_another_state_is_read_again(
    store: PaymentStore,
    gateway: StripeGateway,
    shop: StripeServer,
    db: psycopg.Connection,
    history: History,
    meanwhile: str,
) -> None:
    older, newer = changes(history, store, "to end", "to continue")

    def request() -> dict[str, Any]:
        if meanwhile == "an event":
            deliver(store, newer)
        else:
            store_response(store, gateway, history.subscription_id, lambda: state(newer))
        return state(older)

    shop.failures.append({"answer": state(newer)})
    store_response(store, gateway, history.subscription_id, request)

    assert ending(db, history) is False
    assert not shop.failures, "the subscription was not read again"


def test_an_overtaken_response_is_success_although_stripe_cannot_be_read_again(
    store: PaymentStore,
    gateway: StripeGateway,
    shop: StripeServer,
    db: psycopg.Connection,
    history: History,
) -> None:
    older, newer = changes(history, store, "to end", "to continue")

    def request() -> dict[str, Any]:
        deliver(store, newer)
        return state(older)

    shop.failures.append({"status": 400})
    store_response(store, gateway, history.subscription_id, request)
    assert ending(db, history) is False


def test_the_end_in_a_response_is_stored_whatever_overtook_it(
    store: PaymentStore, gateway: StripeGateway, shop: StripeServer, db: psycopg.Connection, history: History
) -> None:
    other, ended = changes(history, store, "to end", "ended")

    def cancel() -> dict[str, Any]:
        deliver(store, other)
        return state(ended)

    shop.failures.append({"status": 400})  # Stripe is not read again
    assert store_response(store, gateway, history.subscription_id, cancel)
    assert [row["status"] for row in rows(db, history)["user_subscriptions"]] == ["cancelled"]
    assert len(shop.failures) == 1


def test_the_end_replaces_a_response_of_its_second(
    store: PaymentStore, db: psycopg.Connection, history: History
) -> None:
    other, ended = changes(history, store, "to end", "ended")
    store.apply(f"response:{uuid4()}", stripe_state.from_response(state(other), ended["created"]))
    deliver(store, ended)
    assert [row["status"] for row in rows(db, history)["user_subscriptions"]] == ["cancelled"]


def test_a_subscription_that_does_not_settle_is_read_a_few_times(
    stack: Stack, store: PaymentStore, shop: StripeServer, history: History
) -> None:
    older, newer = changes(history, store, "to end", "to continue")
    asked: list[str] = []

    class Busy(StripeGateway):
        """Each time a subscription is read, another response is stored meanwhile."""

        def subscription(self, subscription_id: str) -> dict[str, Any]:
            asked.append(subscription_id)
            at = newer["created"] + len(asked)
            store.apply(f"response:{uuid4()}", stripe_state.from_response(state(older), at))
            return super().subscription(subscription_id)

    gateway = Busy(stack.settings_with(stripe_api_key=API_KEY, stripe_api_base=shop.url))
    shop.failures.extend([{"answer": state(newer)}] * (READINGS + 2))
    settled = store_response(
        store, gateway, history.subscription_id, lambda: gateway.subscription(history.subscription_id)
    )
    shop.failures.clear()
    gateway.close()
    assert (settled, len(asked)) == (False, 1 + READINGS)


def test_the_comparison_reads_a_subscription_again_that_changed_after_the_list(
    stack: Stack,
    gateway: StripeGateway,
    shop: StripeServer,
    store: PaymentStore,
    db: psycopg.Connection,
    history: History,
) -> None:
    older, newer = changes(history, store, "to end", "to continue")
    deliver(store, newer)
    shop.failures.append({"answer": {"data": [state(older)], "has_more": False}})
    shop.failures.append({"answer": state(newer)})
    parts = Container(stack.settings)
    Reconciliation(store, gateway, parts.pricing, parts.checkouts, publish=lambda: None).subscriptions()
    assert ending(db, history) is False
    assert not shop.failures, "the subscription was not read again"


def test_the_comparison_finds_a_purchase_of_which_only_the_checkout_was_reported(
    stack: Stack, gateway: StripeGateway, shop: StripeServer, store: PaymentStore, db: psycopg.Connection
) -> None:
    history = History(uuid4())
    for event in history.at(FIRST, apart=1):
        if event["data"]["object"]["object"] == "checkout.session":
            deliver(store, event)
    bought = history.book.get("subscription", history.subscription_id)
    ended = {**bought, "status": "canceled", "ended_at": bought["start_date"] + 60}
    shop.failures.append({"answer": {"data": [ended], "has_more": False}})
    shop.failures.append({"answer": ended})
    parts = Container(stack.settings)
    repaired = Reconciliation(store, gateway, parts.pricing, parts.checkouts, publish=lambda: None).subscriptions()
    assert (repaired, [row["status"] for row in rows(db, history)["user_subscriptions"]]) == (1, ["cancelled"])
    forget(db, history)


@pytest.mark.parametrize("end", ["an event", "a response"])
def test_a_response_read_before_the_end_and_applied_after_it_undoes_nothing(
    store: PaymentStore, db: psycopg.Connection, end: str
) -> None:
    history = History(uuid4())
    history.play(["renewed", "to end", "ended"])
    *events, deleted = history.at(FIRST, apart=1)
    assert deleted["type"] == "customer.subscription.deleted"
    earlier = [event["data"]["object"] for event in events if event["data"]["object"]["object"] == "subscription"][-1]
    at = deleted["created"]
    for event in events:
        deliver(store, event)

    if end == "an event":
        deliver(store, deleted)
    else:
        store.apply(f"response:{at}", stripe_state.from_response(deleted["data"]["object"], at))
    store.apply(f"response:{at}", stripe_state.from_response(earlier, at))

    assert [row["status"] for row in rows(db, history)["user_subscriptions"]] == ["cancelled"]
    forget(db, history)
