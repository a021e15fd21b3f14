"""web_development_agent without a model: estimates, assumptions and risks."""

from hypothesis import given
from hypothesis import strategies as st

from tests.unit.agents.rules import rules

_FEATURES = st.lists(st.sampled_from(["login", "booking", "blog", "teleporter", "payment"]), max_size=5)


@given(_FEATURES, st.integers(0, 50), st.integers(1, 6))
def test_an_estimate_adds_up(features, pages, team):
    output = rules("web_development_agent", description="x", features=features, pages=pages, team_size=team)

    assert output["hours_likely"] == sum(item["hours"] for item in output["items"])
    assert output["hours_low"] <= output["hours_likely"] <= output["hours_high"]
    assert sum(phase["hours"] for phase in output["phases"]) == output["hours_likely"]
    assert output["cost_likely"] == output["hours_likely"] * 95


def test_an_unknown_feature_is_assumed_and_widens_the_estimate():
    known = rules("web_development_agent", description="x", features=["booking"])
    assumed = rules("web_development_agent", description="x", features=["teleporter"])

    assert assumed["items"][-1] == {"name": "teleporter", "hours": 24, "basis": "assumed"}
    spread = [(o["hours_high"] - o["hours_low"]) / o["hours_likely"] for o in (known, assumed)]
    assert spread[0] < spread[1]
    assert any("teleporter" in question for question in assumed["questions"])


def test_a_deadline_that_cannot_be_met_is_the_first_risk():
    output = rules("web_development_agent", description="x", pages=100, team_size=1, deadline_weeks=2)

    assert output["meets_deadline"] is False
    assert "do not fit into 2" in output["risks"][0]
