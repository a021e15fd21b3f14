"""Money between Stripe's units and ours, and events that are not as Stripe writes them."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelbloom.payments import stripe_state
from pixelbloom.payments.money import (
    THREE_DECIMAL,
    WHOLE_HUNDREDTHS,
    ZERO_DECIMAL,
    charge_digits,
    currency_digits,
    major_units,
    minor_units,
)
from pixelbloom.payments.values import MalformedObject
from tests.servers.stripe import History


@pytest.mark.parametrize(
    ("minor", "currency", "major"),
    [
        (4900, "usd", "49.00"),
        (4900, "jpy", "4900"),
        (1, "eur", "0.01"),
        (0, "krw", "0"),
        (18600, "kwd", "18.600"),
        (10, "bhd", "0.01"),
        (490000, "isk", "4900"),
        (500, "ugx", "5"),
        (1001, "huf", "10.01"),
        (1001, "twd", "10.01"),
    ],
)
def test_amounts_are_exact_both_ways(minor: int, currency: str, major: str) -> None:
    assert major_units(minor, currency) == Decimal(major)
    assert minor_units(Decimal(major), currency) == minor


@given(
    st.integers(0, 10**9),
    st.sampled_from(["usd", "eur", "huf", *sorted(ZERO_DECIMAL | THREE_DECIMAL | WHOLE_HUNDREDTHS)]),
)
def test_each_amount_that_can_be_charged_is_the_same_after_both_ways(amount: int, currency: str) -> None:
    charged = amount * 10 ** (currency_digits(currency) - charge_digits(currency))

    assert minor_units(major_units(charged, currency), currency) == charged


@pytest.mark.parametrize(
    ("amount", "currency"), [("0.001", "usd"), ("0.5", "jpy"), ("18.605", "kwd"), ("10.50", "isk"), ("0.01", "ugx")]
)
def test_an_amount_that_cannot_be_charged_is_refused(amount: str, currency: str) -> None:
    with pytest.raises(ValueError, match="cannot be charged"):
        minor_units(Decimal(amount), currency)


def test_no_card_or_name_is_stored() -> None:
    history = History(None)
    event = next(event for event in history.events if event["type"] == "checkout.session.completed")
    event["data"]["object"] |= {
        "customer_details": {"email": "a@example.com", "name": "Ada Secret", "address": {"city": "Secret"}},
        "payment_method_details": {"card": {"last4": "4242"}},
        "metadata": {"package_id": "no uuid", "note": "Secret", "discount_value": "1e9"},
    }
    stored = repr(stripe_state.read(event))

    assert "Secret" not in stored
    assert "4242" not in stored
    assert "discount_value" not in stored


def test_types_that_we_do_not_handle_tell_no_fact() -> None:
    assert stripe_state.read({"type": "product.created"}) is None


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, part in items for found in _paths(part, (*path, key)))]


@given(data=st.data(), invalid=st.sampled_from([None, "x", -1, 1.5, [], {}, True, 10**30]))
def test_an_event_with_an_invalid_value_is_parsed_or_refused_with_a_message(data: st.DataObject, invalid: Any) -> None:
    history = History(None)
    history.play(["upgraded", "unpaid", "paid late", "refunded", "ended"])
    events = history.at(1_790_000_000, apart=1)
    event = data.draw(st.sampled_from([event for event in events if event["type"] in stripe_state.HANDLED]))
    *parents, last = data.draw(st.sampled_from([path for path in _paths(event)[1:] if path != ("type",)]))
    place: Any = event
    for key in parents:
        place = place[key]
    place[last] = invalid
    try:
        fact = stripe_state.read(event)
    except MalformedObject as error:
        assert error.message.startswith("Malformed Stripe object: expected")  # noqa: PT017
    else:
        assert fact is not None
        assert isinstance(fact["id"], str)
