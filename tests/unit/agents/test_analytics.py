"""analytics_agent without a model: trends, anomalies and correlations."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pixelbloom.agents.knowledge.statistics import correlation, outliers, trend
from pixelbloom.errors import InvalidInput
from tests.unit.agents.rules import rules


def test_a_trend_is_found_and_extrapolated():
    [found] = rules("analytics_agent", series={"leads": [10, 12, 14, 16, 18, 20]})["series"]

    assert (found["trend"], found["slope"], found["next_expected"]) == ("rising", 2, 22)


def test_a_jump_is_an_anomaly_with_its_day():
    points = [{"date": f"2025-03-{day:02}", "value": 90 if day == 5 else 10 + day % 3} for day in range(1, 11)]

    [found] = rules("analytics_agent", series=[{"name": "visits", "points": points}])["series"]

    assert [(a["date"], a["value"]) for a in found["anomalies"]] == [("2025-03-05", 90)]


def test_dated_points_are_sorted_by_date():
    points = [{"date": f"2025-03-{day:02}", "value": day} for day in (3, 1, 5, 2, 4)]

    [found] = rules("analytics_agent", series=[{"name": "visits", "points": points}])["series"]

    assert (found["trend"], found["next_expected"]) == ("rising", 6)


def test_noise_is_not_a_trend():
    assert trend([5, 9, 4, 8, 5, 9, 4, 8]) == "unclear"
    assert trend([100, 100, 100.1, 100, 100]) == "flat"


def test_correlated_series_are_reported():
    output = rules(
        "analytics_agent", series={"ads": [1, 2, 3, 4, 5], "leads": [10, 21, 29, 41, 50], "rain": [3, 1, 4, 1, 5]}
    )

    assert [(pair["first"], pair["second"]) for pair in output["correlations"]] == [("ads", "leads")]


_VALUES = st.lists(st.floats(-1e15, 1e15), min_size=1, max_size=60)


@given(_VALUES)
def test_statistics_are_finite_and_within_the_values(values):
    [found] = rules("analytics_agent", series={"x": values})["series"]

    slack = 1e-4 * max(abs(found["minimum"]), abs(found["maximum"]))
    assert found["minimum"] - slack <= found["mean"] <= found["maximum"] + slack
    assert found["minimum"] == min(values)
    assert found["count"] == len(values)


@given(st.lists(st.integers(-1000, 1000), min_size=3, max_size=40), st.integers(1, 50))
def test_a_trend_turns_with_its_series(values, scale):
    flipped = {"rising": "falling", "falling": "rising", "flat": "flat", "unclear": "unclear"}

    assert trend([-value for value in values]) == flipped[trend(values)]
    assert trend([value * scale for value in values]) == trend(values)


@given(_VALUES)
def test_a_series_correlates_with_itself_and_inversely_with_its_mirror(values):
    r = correlation(values, values)

    assert r is None or r == pytest.approx(1)
    mirror = correlation(values, [-value for value in values])
    assert mirror is None or mirror == pytest.approx(-1)


@given(st.lists(st.integers(0, 100), min_size=8, max_size=40))
def test_an_outlier_is_found(values):
    assert len(values) in [index for index, _ in outliers([*values, 10_000])]


@pytest.mark.parametrize(
    "series",
    [
        [],
        {},
        {"x": []},
        {"x": [1, float("inf")]},
        {"x": [1] * 1001},
        {"x": [True]},
        {"x": ["1"]},
        [{"name": "x", "points": [{"value": 1, "date": 20250202}]}],
        [{"name": "x", "points": [{"value": 1, "date": "2025-02-02"}, 5]}],
    ],
)
def test_invalid_series_are_refused(series):
    with pytest.raises(InvalidInput) as caught:
        rules("analytics_agent", series=series)

    assert caught.value.details[0].field.startswith("input.series")
