"""What the ages of the periodic tasks say about beat and the workers."""

import pytest

from pixelbloom.periodic.verdict import OVERDUE_SECONDS, WATCHED, judge

FRESH = dict.fromkeys(WATCHED, 1.0)
OLD = OVERDUE_SECONDS + 1


def test_recently_run_tasks_are_ok() -> None:
    verdict = judge({**FRESH, "something_else": 9_999.0})
    assert (verdict.detail, verdict.problem, verdict.advice) == ("last sweep: 1 s ago", None, None)


@pytest.mark.parametrize("ages", [{}, dict.fromkeys(WATCHED, OLD)], ids=["never", "long ago"])
def test_if_nothing_ran_beat_is_reported_as_missing(ages: dict[str, float]) -> None:
    verdict = judge(ages)
    assert "beat is not running" in str(verdict.problem)
    assert verdict.advice == "start beat: celery -A workers.clock beat"


@pytest.mark.parametrize("name", sorted(WATCHED))
@pytest.mark.parametrize("age", [None, OLD])
def test_a_single_overdue_task_names_its_worker(name: str, age: float | None) -> None:
    ages = {other: 1.0 for other in WATCHED if other != name}
    verdict = judge(ages if age is None else {**ages, name: age})
    assert name in str(verdict.problem)
    assert f"celery -A workers.{WATCHED[name]} worker" in str(verdict.advice)
    assert "celery -A workers.clock beat" in str(verdict.advice)
