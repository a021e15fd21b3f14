"""Schedules that cannot be fired delay no other, and each user has a limit of them."""

import os
import subprocess
import sys
from datetime import datetime
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from pixelbloom.core.time_zones import iso
from pixelbloom.database.gateway import Gateway
from pixelbloom.errors import InvalidInput
from pixelbloom.runs.service import RunService
from pixelbloom.runs.store import RunStore
from pixelbloom.schedules import cron
from pixelbloom.schedules.service import ScheduleService, Wanted
from pixelbloom.schedules.store import ScheduleStore
from pixelbloom.workflows.service import WorkflowService
from pixelbloom.workflows.store import WorkflowStore


def service(gateway: Gateway) -> ScheduleService:
    runs = RunService(RunStore(gateway, user_queue_limit=10, lease_seconds=5), lambda *_: None, model_timeout=10)
    workflows = WorkflowService(WorkflowStore(gateway), runs, model_timeout=10)
    return ScheduleService(ScheduleStore(gateway), runs, workflows)


@pytest.fixture
def schedules(gateway: Gateway, db: psycopg.Connection) -> ScheduleService:
    db.execute("delete from public.schedules")
    return service(gateway)


def wanted(user_id: UUID | None = None, **changes: Any) -> Wanted:
    usual: dict[str, Any] = {
        "kind": "agent",
        "target": "chat_agent",
        "input": {"message": "What is new?"},
        "cron": "* * * * *",
        "timezone": "UTC",
        "caller": f"user:{user_id}" if user_id else "service",
        "user_id": user_id,
        "metadata": {},
    }
    return Wanted(**{**usual, **changes})


def overdue(db: psycopg.Connection, minutes: int) -> None:
    db.execute(
        "update public.schedules set next_run_at = date_trunc('minute', now()) - make_interval(mins => %s)", [minutes]
    )


def runs_of(db: psycopg.Connection, schedule_id: UUID) -> list[Any]:
    return db.execute(
        "select id, priority, user_id from public.runs where idempotency_key like %s", [f"schedule:{schedule_id}:%"]
    ).fetchall()


def test_an_unreadable_schedule_delays_no_other(schedules: ScheduleService, db: psycopg.Connection) -> None:
    malformed, sound = schedules.add(wanted()), schedules.add(wanted())
    db.execute("update public.schedules set timezone = 'Nowhere/Gone' where id = %s", [malformed.id])
    overdue(db, 0)
    db.execute(
        "update public.schedules set next_run_at = next_run_at - interval '1 hour' where id = %s", [malformed.id]
    )
    schedules.fire_due()

    assert len(runs_of(db, sound.id)) == 1
    parked = schedules.get(malformed.id)
    assert "Nowhere/Gone" in (parked.last_error or "")
    assert parked.to_public()["next_runs"] == [iso(datetime.fromisoformat(parked.next_run_at))]
    schedules.fire_due()
    assert len(runs_of(db, malformed.id)) == 1


def test_a_service_may_have_a_hundred_schedules_for_each_user(schedules: ScheduleService) -> None:
    for _ in range(101):
        schedules.add(wanted(uuid4(), caller="service"))


def test_a_removed_schedule_does_not_fire(schedules: ScheduleService, db: psycopg.Connection) -> None:
    removed = schedules.add(wanted())
    overdue(db, 0)
    schedules.remove(removed)
    schedules.fire_due()

    assert runs_of(db, removed.id) == []


@pytest.mark.parametrize("zone", ["localtime", "Factory"])
def test_a_time_zone_must_be_a_place(zone: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        cron.check("* * * * *", zone)
    assert raised.value.details[0].field == "timezone"


def test_time_zones_work_without_the_machines_files() -> None:
    code = "from pixelbloom.schedules import cron; cron.check('0 0 * * *', 'Europe/Vienna')"
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONTZPATH": ""}, timeout=300)
