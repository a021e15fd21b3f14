"""digital_marketing_agent without a model: budgets, channels and forecasts."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.agents.rules import rules

_GOALS = st.sampled_from(["awareness", "leads", "sales", "retention"])


@given(_GOALS, st.decimals("0.01", 10**7, places=2), st.sampled_from(["usd", "jpy"]))
def test_the_parts_of_a_marketing_budget_add_up_to_it(goal, budget, currency):
    output = rules("digital_marketing_agent", goal=goal, monthly_budget=budget, product="x", currency=currency)

    assert math.isclose(sum(part["amount"] for part in output["allocation"]), float(budget))
    assert all(part["amount"] >= 0 for part in output["allocation"])
    chosen = {part["channel"] for part in output["allocation"]}
    assert not chosen & set(output["left_out"])


def test_a_small_budget_goes_to_few_channels():
    small = rules("digital_marketing_agent", goal="leads", monthly_budget=500, product="x")
    large = rules("digital_marketing_agent", goal="leads", monthly_budget=20_000, product="x")

    assert len(small["allocation"]) < len(large["allocation"])
    assert small["left_out"]
    assert large["expected_conversions"] > small["expected_conversions"]


def test_only_the_wanted_channels_get_money():
    output = rules("digital_marketing_agent", goal="sales", monthly_budget=5000, product="x", channels=["email", "seo"])

    assert {part["channel"] for part in output["allocation"]} == {"email", "seo"}


def test_there_is_no_forecast_in_a_currency_with_unknown_prices():
    output = rules("digital_marketing_agent", goal="sales", monthly_budget=5000, product="x", currency="JPY")

    assert output["currency"] == "jpy"
    assert output["expected_conversions"] is output["cost_per_conversion"] is None
    assert output["assumptions"] == []


def test_the_expected_return_is_value_divided_by_budget():
    output = rules("digital_marketing_agent", goal="leads", monthly_budget=4000, product="x", value_per_conversion=100)

    assert output["expected_return"] == pytest.approx(output["expected_conversions"] * 100 / 12_000, abs=0.01)
