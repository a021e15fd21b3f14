"""ecommerce_agent without a model: the measures of a shop."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.agents.rules import rules


def test_a_shops_measures_are_computed():
    output = rules(
        "ecommerce_agent",
        visitors=1000,
        carts=100,
        orders=20,
        marketing_spend=300,
        products=[{"name": "Mug", "price": 20, "cost": 8, "units_sold": 50, "units_returned": 10, "stock": 40}],
    )

    assert output["metrics"] == {
        "revenue": 800,
        "average_order_value": 40,
        "conversion_rate": 0.02,
        "cart_abandonment": 0.8,
        "gross_margin": 480,
        "gross_margin_rate": 0.6,
        "return_on_ad_spend": 2.67,
        "cost_per_order": 15,
        "profit_after_marketing": 180,
    }
    assert output["products"][0]["stock_days"] == 30
    assert any("20% came back" in finding for finding in output["findings"])


def test_a_missing_measure_is_null_and_not_zero():
    metrics = rules("ecommerce_agent", visitors=100)["metrics"]

    assert set(metrics.values()) == {None}


def test_a_product_sold_below_its_cost_is_found():
    output = rules("ecommerce_agent", products=[{"name": "Vase", "price": 10, "cost": 12, "units_sold": 3}])

    assert "Vase is sold below its cost." in output["findings"]
    assert output["metrics"]["gross_margin"] == -6


def test_returns_of_earlier_sales_are_subtracted_and_reported():
    output = rules("ecommerce_agent", products=[{"name": "Mug", "price": 9, "units_sold": 1, "units_returned": 3}])

    assert output["metrics"]["revenue"] == -18
    assert output["products"][0]["return_rate"] is None
    assert "more came back (3) than was sold (1)" in output["findings"][0]


@pytest.mark.parametrize(
    ("counts", "missing", "expected"),
    [
        ({"visitors": 10, "orders": 20}, "conversion_rate", "more orders (20) than visits (10)"),
        ({"carts": 10, "orders": 20}, "cart_abandonment", "more orders (20) than carts (10)"),
        ({"visitors": 10, "carts": 20}, "conversion_rate", "more carts (20) than visits (10)"),
    ],
)
def test_inconsistent_counts_are_reported_and_not_used(counts, missing, expected):
    output = rules("ecommerce_agent", **counts)

    assert output["metrics"][missing] is None
    assert expected in output["findings"][0]


@given(st.integers(1, 10**6), st.integers(0, 10**6), st.decimals(0, 10**6, places=2))
def test_margin_and_cost_make_the_revenue(units, other, cost):
    product = {"name": "a", "price": float(cost) + 1, "cost": float(cost), "units_sold": units}
    metrics = rules("ecommerce_agent", products=[product], orders=other)["metrics"]

    assert metrics["gross_margin"] == pytest.approx(units)
    assert metrics["revenue"] == pytest.approx((float(cost) + 1) * units)
