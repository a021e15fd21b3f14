"""What is read from subscriptions of Stripe: intervals, prices, ends and discounts."""

import json
from datetime import datetime
from typing import Any

import pytest

from pixelbloom.payments import stripe_state
from pixelbloom.payments.values import MalformedObject
from tests.servers.stripe import History

PRICE = 10_000
CAMPAIGN = {"discount_type": "percentage", "discount_value": "20"}


def subscription(**changes: Any) -> dict[str, Any]:
    history = History(None, trial_days=14)
    found: dict[str, Any] = json.loads(json.dumps(history.book.get("subscription", history.subscription_id)))
    found["items"]["data"][0]["price"]["unit_amount"] = PRICE
    return {**found, **changes}


def body(item: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = stripe_state.from_response(item, 1)["body"]
    return found


@pytest.mark.parametrize(
    ("changes", "due"),
    [
        ({}, PRICE),
        ({"discounts": [{"coupon": {"percent_off": 20.0}}]}, 8000),
        ({"discounts": [{"source": {"type": "coupon", "coupon": {"percent_off": 33.33}}}]}, 6667),
        ({"discount": {"coupon": {"percent_off": 100}}}, 0),
        ({"discounts": [{"coupon": {"amount_off": 2500, "currency": "usd"}}]}, 7500),
        ({"discounts": [{"coupon": {"amount_off": 2500, "currency": "eur"}}]}, PRICE),
        ({"discounts": [{"coupon": {"amount_off": 25_000, "currency": "usd"}}]}, 0),
        ({"discounts": [{"coupon": {"percent_off": 50}}, {"coupon": {"amount_off": 1000, "currency": "usd"}}]}, 4000),
        ({"discounts": [{"coupon": {"percent_off": 20}, "end": 1}]}, PRICE),
        ({"discounts": [{"coupon": {"percent_off": 20}, "end": 4_000_000_000}]}, 8000),
        ({"discounts": [{"coupon": {"percent_off": 20}, "end": None}]}, 8000),
        ({"discounts": ["di_1"], "metadata": {"discount_type": "percentage", "discount_value": "20"}}, 8000),
        ({"discounts": ["di_1"], "metadata": {"discount_type": "fixed", "discount_value": "25.00"}}, 7500),
        ({"discounts": ["di_1"]}, PRICE),
        ({"discounts": [{"source": {"coupon": "pb_1"}}], "metadata": CAMPAIGN}, 8000),
        ({"discounts": [{"coupon": "pb_1", "end": 1}], "metadata": CAMPAIGN}, PRICE),
        ({"discounts": ["di_1"], "metadata": {**CAMPAIGN, "discount_months": "1"}, "trial_end": 10**9 + 86_400}, 8000),
        ({"discounts": ["di_1"], "metadata": {**CAMPAIGN, "discount_months": "1"}, "trial_end": 10**9 + 3e6}, PRICE),
        ({"discounts": [{"coupon": {"percent_off": 20, "duration": "once"}}]}, 8000),
        ({"discounts": [{"coupon": {"percent_off": 20, "applies_to": {"products": ["prod_other"]}}}]}, PRICE),
        ({"discounts": [{"coupon": {"percent_off": 20, "applies_to": {"products": ["prod_1", "prod_2"]}}}]}, 8000),
        ({"discounts": [{"coupon": {"percent_off": 20, "applies_to": {"products": []}}}]}, PRICE),
    ],
)
def test_what_is_due_after_a_trial_is_the_price_less_the_discounts_that_hold_then(
    changes: dict[str, Any], due: int
) -> None:
    item = subscription(start_date=10**9, trial_start=None)
    item["items"]["data"][0]["price"]["product"] = "prod_1"
    if "trial_end" in changes:
        changes = {**changes, "trial_end": int(changes["trial_end"])}
    assert body({**item, **changes})["notified_amount"] == due


def test_a_discount_of_one_product_lowers_that_part_of_a_subscription_alone() -> None:
    item = subscription()
    [part] = item["items"]["data"]
    part["price"]["product"] = "prod_1"
    other = json.loads(json.dumps(part))
    other["price"] |= {"product": "prod_2", "unit_amount": 500}
    item["items"]["data"].append(other)
    for coupon, due in (
        ({"amount_off": 700, "currency": "usd", "applies_to": {"products": ["prod_2"]}}, PRICE),
        ({"percent_off": 50, "applies_to": {"products": ["prod_1"]}}, PRICE // 2 + 500),
        ({"percent_off": 50}, PRICE // 2 + 250),
        ({"amount_off": PRICE + 100, "currency": "usd"}, 400),
    ):
        assert body({**item, "discounts": [{"coupon": coupon}]})["notified_amount"] == due, coupon


@pytest.mark.parametrize(
    ("start", "months", "over"),
    [("2026-01-15", 1, "2026-02-15"), ("2026-11-30", 3, "2027-02-28"), ("2026-12-31", 12, "2027-12-31")],
)
def test_a_campaign_of_some_months_is_over_on_the_day_of_its_start(start: str, months: int, over: str) -> None:
    begun, ended = (int(datetime.fromisoformat(f"{day}T12:00:00+00:00").timestamp()) for day in (start, over))
    metadata = {**CAMPAIGN, "discount_months": str(months)}
    item = subscription(start_date=begun, trial_start=begun, discounts=["di_1"], metadata=metadata)
    dues = [body({**item, "trial_end": ended - seconds})["notified_amount"] for seconds in (1, 0)]
    assert dues == [8000, PRICE]


@pytest.mark.parametrize(
    "discounts",
    [
        [{"coupon": {"percent_off": 101}}],
        [{"coupon": {"percent_off": "x"}}],
        [{"coupon": {"amount_off": -1, "currency": "usd"}}],
        [{"coupon": {"amount_off": 1}}],
        [{"end": "soon"}],
        7,
    ],
)
def test_malformed_discounts_raise_our_error(discounts: Any) -> None:
    with pytest.raises(MalformedObject):
        body(subscription(discounts=discounts))


@pytest.mark.parametrize(("interval", "count"), [("day", 10), ("week", 2), ("month", 3), ("month", 6), ("year", 2)])
def test_interval_and_count_are_read(interval: str, count: int) -> None:
    item = subscription()
    item["items"]["data"][0]["price"]["recurring"] = {"interval": interval, "interval_count": count}
    found = body(item)
    assert (found["interval"], found["interval_count"]) == (interval, count)


@pytest.mark.parametrize("recurring", [{"interval": "fortnight"}, {"interval": "month", "interval_count": 0}, "x"])
def test_an_interval_that_nobody_knows_raises_our_error(recurring: Any) -> None:
    item = subscription()
    item["items"]["data"][0]["price"]["recurring"] = recurring
    with pytest.raises(MalformedObject):
        body(item)


def test_an_item_of_no_pieces_costs_nothing_and_one_of_fractions_is_rounded_once() -> None:
    item = subscription()
    item["items"]["data"][0]["quantity"] = 0
    assert body(item)["amount"] == 0
    item["items"]["data"][0] |= {"quantity": 3, "price": {**item["items"]["data"][0]["price"], "unit_amount": None}}
    item["items"]["data"][0]["price"]["unit_amount_decimal"] = "0.5"
    assert body(item)["amount"] == 2


@pytest.mark.parametrize(("direction", "due"), [("up", 3 * PRICE), ("down", 2 * PRICE)])
def test_a_price_for_packs_is_charged_for_whole_packs(direction: str, due: int) -> None:
    item = subscription()
    part = item["items"]["data"][0]
    part["quantity"] = 12
    part["price"]["transform_quantity"] = {"divide_by": 5, "round": direction}
    assert body(item)["amount"] == due
    part["price"]["transform_quantity"] = {"divide_by": 0, "round": direction}
    with pytest.raises(MalformedObject):
        body(item)


@pytest.mark.parametrize(
    "metadata",
    [
        {"discount_type": "fixed"},
        {"discount_type": "fixed", "discount_value": "10.555"},
        {"discount_type": "percentage", "discount_value": "200"},
        {"discount_type": "percentage", "discount_value": "a fifth"},
        {**CAMPAIGN, "discount_months": "three"},
        {**CAMPAIGN, "discount_months": "99999"},
    ],
)
def test_metadata_edited_at_stripe_leaves_only_what_is_due_unknown(metadata: dict[str, str]) -> None:
    found = body(subscription(discounts=["di_1"], metadata=metadata))
    assert found["amount"] == PRICE
    assert "notified_amount" not in found


def test_a_metered_item_costs_what_its_invoices_say_and_nothing_before() -> None:
    item = subscription()
    metered = {"id": "si_2", "price": {"id": "p", "unit_amount": 5, "currency": "usd"}}
    metered["price"]["recurring"] = {"interval": "month", "interval_count": 1, "usage_type": "metered"}
    item["items"]["data"].append(metered)
    assert body(item)["amount"] == PRICE


def test_a_price_by_tiers_is_not_known_from_the_subscription() -> None:
    item = subscription()
    tiered = {"billing_scheme": "tiered", "unit_amount": None, "unit_amount_decimal": None, "tiers_mode": "graduated"}
    item["items"]["data"][0]["price"] |= tiered
    assert {"amount", "notified_amount"} & set(body(item)) == set()


@pytest.mark.parametrize("ends", [{"cancel_at_period_end": True}, {"cancel_at": 1_800_000_000}])
def test_nothing_is_due_after_a_trial_that_the_subscription_ends_with(ends: dict[str, Any]) -> None:
    item = subscription(trial_end=1_800_000_000, **ends)
    item["items"]["data"][0]["current_period_end"] = 1_800_000_000
    assert (body(item)["notified_amount"], body(item)["ends_in_trial"]) == (0, True)
    later = body({**item, "cancel_at": 1_800_000_001})
    assert (later["notified_amount"], "ends_in_trial" in later) == (PRICE, False)


def test_an_end_by_date_is_read_and_its_withdrawal_too() -> None:
    assert body(subscription(cancel_at=1_800_000_000, cancel_at_period_end=False))["cancel_at"] == 1_800_000_000
    assert "cancel_at" not in body(subscription(cancel_at=None))


def test_a_trial_at_the_start_is_free_and_a_later_one_only_moves_the_next_payment() -> None:
    item = subscription(start_date=1_790_000_000, trial_end=1_800_000_000)
    assert body({**item, "trial_start": 1_790_000_000})["trial_end"] == 1_800_000_000
    assert "trial_end" not in body({**item, "trial_start": 1_795_000_000})


def test_the_amount_of_a_price_is_known_only_in_its_own_currency() -> None:
    own, other = body(subscription()), body(subscription(currency="inr"))
    assert (own["currency"], own["amount"]) == ("usd", PRICE)
    assert other["currency"] == "inr"
    assert not {"amount", "notified_amount", "items"} & set(other)
