"""What the ages of the pulses say about beat and the workers."""

import pytest

from pixelbloom.periodic.duties import PULSE_SECONDS
from pixelbloom.periodic.verdict import BEAT, FED, OVERDUE_SECONDS, WATCHED, judge

FRESH = dict.fromkeys(WATCHED, 1.0)
OLD = OVERDUE_SECONDS + 1


def test_recent_pulses_are_ok() -> None:
    verdict = judge({**FRESH, "something_else": 9_999.0})
    assert (verdict.detail, verdict.problem, verdict.advice) == ("last pulse: 1 s ago", None, None)


def test_a_single_lost_pulse_is_ok() -> None:
    assert judge(dict.fromkeys(WATCHED, 2 * PULSE_SECONDS)).problem is None


@pytest.mark.parametrize(
    "ages", [{}, dict.fromkeys(WATCHED, OLD), {**FRESH, BEAT: OLD}], ids=["never", "long ago", "only beat"]
)
def test_without_beats_pulse_beat_is_reported_as_missing(ages: dict[str, float]) -> None:
    verdict = judge(ages)
    assert "beat is not running" in str(verdict.problem)
    assert verdict.advice == "start beat: pixelbloom beat"


@pytest.mark.parametrize("name", FED)
@pytest.mark.parametrize("age", [None, OLD])
def test_a_single_overdue_pulse_names_its_worker(name: str, age: float | None) -> None:
    ages = {other: 1.0 for other in WATCHED if other != name}
    verdict = judge(ages if age is None else {**ages, name: age})
    assert verdict.problem == f"overdue: {name} {'never' if age is None else '46 s ago'}"
    assert verdict.advice == f"start, or look for its errors: pixelbloom worker {name}"


def test_all_missing_workers_are_named() -> None:
    verdict = judge({BEAT: 1.0})
    assert all(f"pixelbloom worker {name}" in str(verdict.advice) for name in FED)
