"""When infrequent tasks are due again."""

from datetime import UTC, datetime, timedelta

from pixelbloom.periodic.jobs import JOBS

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_task_with_work_left_is_due_again_at_once_and_another_one_later() -> None:
    job = JOBS["purge_records"]
    assert job.due_after(timedelta(), NOW) == NOW
    assert job.due_after(None, NOW) == NOW + timedelta(minutes=5)


def test_a_nightly_task_is_due_at_a_quarter_past_three_whether_or_not_it_ran_today() -> None:
    job = JOBS["reconcile_subscriptions"]
    tonight = NOW.replace(hour=3, minute=15)
    assert job.first(NOW) == tonight
    assert job.due_after(12, NOW + timedelta(hours=3, minutes=14)) == tonight
    assert job.due_after(12, tonight) == tonight + timedelta(days=1)
