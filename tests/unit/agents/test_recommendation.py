"""recommendation_agent without a model: goals, current services and the budget."""

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.agents.rules import rules


def test_recommendations_follow_the_goals():
    first = {
        goal: rules("recommendation_agent", goals=[goal])["recommendations"][0]["service"]
        for goal in ("online_sales", "new_website", "brand_awareness", "market_insight", "save_time")
    }

    assert first == {
        "online_sales": "ecommerce",
        "new_website": "web_development",
        "brand_awareness": "brand_design",
        "market_insight": "analytics",
        "save_time": "care",
    }


def test_current_services_are_not_recommended():
    output = rules("recommendation_agent", goals=["more leads"], current_services=["digital_marketing", "seo"])

    assert not {"digital_marketing", "seo"} & {r["service"] for r in output["recommendations"]}


def test_unknown_goals_are_reported():
    output = rules("recommendation_agent", goals=["world peace", "more leads"])

    assert output["unknown_goals"] == ["world peace"]
    assert "world peace" in output["summary"]


@given(st.integers(0, 200_000), st.sets(st.sampled_from(["more leads", "sales", "brand", "reports"]), min_size=1))
def test_the_plan_is_within_the_budget(budget, goals):
    output = rules("recommendation_agent", goals=sorted(goals), budget=budget)

    assert output["plan_price_from"] <= budget
    assert output["budget_left"] == budget - output["plan_price_from"]
    prices = {r["service"]: r["price_from"] for r in output["recommendations"]}
    assert output["plan_price_from"] == sum(prices[service] for service in output["plan"])
    for left_out in set(prices) - set(output["plan"]):
        assert prices[left_out] > output["budget_left"]
