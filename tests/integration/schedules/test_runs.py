"""Runs that start by the clock."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
import pytest

from pixelbloom.database.gateway import Gateway
from pixelbloom.errors import Conflict, InvalidInput, NotFound
from pixelbloom.runs.service import RunService
from pixelbloom.runs.store import RunStore
from pixelbloom.schedules import cron
from pixelbloom.schedules.service import ScheduleService, Wanted
from pixelbloom.schedules.store import ScheduleStore
from pixelbloom.workflows.service import WorkflowService
from pixelbloom.workflows.store import WorkflowStore
from tests.integration.http import Api, is_error
from tests.stack import Stack

PATH = "/api/agents/schedules"
CHAT = {"agent_type": "chat_agent", "input": {"message": "Good morning"}, "cron": "30 7 * * 1-5"}


@pytest.fixture(scope="module")
def web(stack: Stack) -> Iterator[Api]:
    handle = stack.start("web")
    yield Api(handle.url, None, stack.settings)
    handle.kill()


@pytest.fixture
def user(web: Api) -> Api:
    return web.as_user()


@pytest.fixture(scope="module")
def gateway(stack: Stack) -> Iterator[Gateway]:
    opened = Gateway(stack.settings)
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def _alone(db: psycopg.Connection) -> None:
    db.execute("delete from public.schedules")


def service_at(gateway: Gateway, moment: datetime) -> ScheduleService:
    """What a maintenance worker fires with, its clock standing still."""
    runs = RunService(
        RunStore(gateway, user_queue_limit=64, lease_seconds=15), lambda steps, updates: None, model_timeout=10
    )
    workflows = WorkflowService(WorkflowStore(gateway), runs, model_timeout=10)
    return ScheduleService(ScheduleStore(gateway), runs, workflows, clock=lambda: moment)


def runs_of(db: psycopg.Connection, schedule_id: UUID) -> list[tuple[Any, ...]]:
    return db.execute(
        "select id, kind, priority from public.runs where metadata ->> 'schedule_id' = %s", [str(schedule_id)]
    ).fetchall()


def wanted(**more: Any) -> Wanted:
    fields: dict[str, Any] = {
        "kind": "agent",
        "target": "chat_agent",
        "input": {"message": "Good morning"},
        "cron": "*/5 * * * *",
        "timezone": "UTC",
        "caller": f"user:{uuid4()}",
        "user_id": uuid4(),
        "metadata": {},
        **more,
    }
    return Wanted(**fields)


# Times


def test_next_times_follow_the_zone_across_daylight_saving() -> None:
    # In Vienna the clocks leap from 2 to 3 on 29 March 2026, and go back from 3 to 2 on 25 October.
    def vienna(expression: str, after: str, count: int) -> list[str]:
        times = cron.next_times(expression, "Europe/Vienna", datetime.fromisoformat(after), count)
        return [moment.isoformat() for moment in times]

    assert vienna("0 7 * * *", "2026-03-28T00:00:00+00:00", 2) == [
        "2026-03-28T06:00:00+00:00",
        "2026-03-29T05:00:00+00:00",
    ]
    gap = vienna("30 2 * * *", "2026-03-28T12:00:00+00:00", 2)
    assert gap[0].startswith("2026-03-29T01:")  # right after the leap, not skipped
    overlap = vienna("30 2 * * *", "2026-10-24T12:00:00+00:00", 2)
    assert [moment[:10] for moment in overlap] == ["2026-10-25", "2026-10-26"]  # once, not twice


@pytest.mark.parametrize(
    ("expression", "zone", "field"),
    [
        ("* * * *", "UTC", "cron"),
        ("* * * * * *", "UTC", "cron"),
        ("61 * * * *", "UTC", "cron"),
        ("@daily", "UTC", "cron"),
        ("", "UTC", "cron"),
        ("0 0 31 2 *", "UTC", "cron"),
        ("0 0 * * *", "Mars/Olympus", "timezone"),
        ("0 0 * * *", "../etc/passwd", "timezone"),
    ],
)
def test_an_impossible_or_invalid_expression_is_refused(expression: str, zone: str, field: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        cron.check(expression, zone)
    assert raised.value.details[0].field == field


# Firing


def test_many_beats_at_once_start_one_run(gateway: Gateway, db: psycopg.Connection) -> None:
    began = datetime(2030, 1, 1, 12, 1, tzinfo=UTC)
    schedule = service_at(gateway, began).add(wanted())
    due = began + timedelta(minutes=5)
    with ThreadPoolExecutor(6) as pool:
        started = list(pool.map(lambda service: service.fire_due(), [service_at(gateway, due) for _ in range(6)]))
    assert sum(started) == 1
    [(run_id, kind, priority)] = runs_of(db, schedule.id)
    assert (kind, priority) == ("agent", -1)
    after = service_at(gateway, due).get(schedule.id)
    assert after.next_run_at.startswith("2030-01-01T12:10")
    assert (after.last_run_id, after.last_error) == (str(run_id), None)


def test_a_schedule_missed_for_a_night_fires_once(gateway: Gateway, db: psycopg.Connection) -> None:
    began = datetime(2030, 2, 1, 12, 1, tzinfo=UTC)
    schedule = service_at(gateway, began).add(wanted())
    later = service_at(gateway, began + timedelta(hours=9))
    assert later.fire_due() == 1
    assert later.fire_due() == 0
    assert len(runs_of(db, schedule.id)) == 1
    assert later.get(schedule.id).next_run_at.startswith("2030-02-01T21:05")


def test_a_schedule_with_refused_work_records_the_error_and_stays_active(
    gateway: Gateway, db: psycopg.Connection
) -> None:
    began = datetime(2030, 3, 1, 12, 1, tzinfo=UTC)
    schedule = service_at(gateway, began).add(wanted())
    db.execute("""update public.schedules set input = '{"message": 7}' where id = %s""", [schedule.id])
    later = service_at(gateway, began + timedelta(minutes=5))
    assert later.fire_due() == 0
    after = later.get(schedule.id)
    assert "message" in (after.last_error or "")
    assert after.next_run_at.startswith("2030-03-01T12:10")
    assert runs_of(db, schedule.id) == []


def test_a_workflow_is_scheduled_too(gateway: Gateway, db: psycopg.Connection) -> None:
    began = datetime(2030, 4, 1, 12, 1, tzinfo=UTC)
    schedule = service_at(gateway, began).add(
        wanted(kind="workflow", target="support_triage", input={"message": "What is new?"})
    )
    assert service_at(gateway, began + timedelta(minutes=5)).fire_due() == 1
    [(_, kind, _)] = runs_of(db, schedule.id)
    assert kind == "workflow"


# Over HTTP


def test_a_schedule_is_created_shown_listed_and_removed(user: Api) -> None:
    response = user.request("POST", PATH, json={**CHAT, "timezone": "Europe/Vienna", "metadata": {"a": 1}})
    assert response.status_code == 201, response.text
    stored = response.json()
    assert (stored["kind"], stored["agent_type"], stored["input"]) == ("agent", "chat_agent", CHAT["input"])
    assert len(stored["next_runs"]) == 5
    assert stored["next_runs"][0] == stored["next_run_at"]
    assert stored["next_runs"] == sorted(stored["next_runs"])
    assert user.get(f"{PATH}/{stored['schedule_id']}").json() == stored
    assert [item["schedule_id"] for item in user.get(PATH).json()["items"]] == [stored["schedule_id"]]
    assert user.request("DELETE", f"{PATH}/{stored['schedule_id']}").status_code == 204
    is_error(user.get(f"{PATH}/{stored['schedule_id']}"), 404, "NOT_FOUND")
    is_error(user.request("DELETE", f"{PATH}/{stored['schedule_id']}"), 404, "NOT_FOUND")


@pytest.mark.parametrize(
    ("change", "status", "field"),
    [
        ({"cron": "soon"}, 400, "cron"),
        ({"cron": None}, 400, "cron"),
        ({"timezone": "Mars"}, 400, "timezone"),
        ({"agent_type": "no_agent"}, 400, "agent_type"),
        ({"agent_type": ""}, 400, "agent_type"),
        ({"agent_type": None, "workflow_id": "lead_intake"}, 400, "input"),
        ({"input": {"message": 7}}, 400, "input.message"),
        ({"workflow_id": "lead_intake"}, 400, "agent_type"),
        ({"inputs": {}}, 400, "inputs"),
        ({"agent_type": None, "input": None, "workflow_id": "no_such_workflow"}, 404, None),
        ({"agent_type": None, "input": None, "workflow_id": "lead_intake", "inputs": {"x": 1}}, 400, "inputs"),
        ({"user_id": str(uuid4())}, 403, None),
        ({"more": 1}, 400, "more"),
    ],
)
def test_an_invalid_schedule_is_refused(user: Api, change: dict[str, Any], status: int, field: str) -> None:
    body = {key: value for key, value in {**CHAT, **change}.items() if value is not None}
    code = {400: "BAD_REQUEST", 403: "FORBIDDEN", 404: "NOT_FOUND"}[status]
    error = is_error(user.request("POST", PATH, json=body), status, code)
    if field:
        assert field in [detail["field"] for detail in error["details"]]


def test_a_paused_schedule_starts_nothing_until_it_is_resumed(gateway: Gateway, db: psycopg.Connection) -> None:
    began = datetime(2030, 5, 1, 12, 1, tzinfo=UTC)
    service = service_at(gateway, began)
    schedule = service.add(wanted())
    paused = service.set_active(schedule, active=False)
    assert not paused.active
    assert (paused.to_public()["next_run_at"], paused.to_public()["next_runs"]) == (None, [])
    assert service_at(gateway, began + timedelta(hours=1)).fire_due() == 0

    later = service_at(gateway, began + timedelta(hours=2))
    resumed = later.set_active(paused, active=True)
    assert resumed.to_public()["next_run_at"] == "2030-05-01T14:05:00Z"
    assert later.fire_due() == 0
    again = service_at(gateway, began + timedelta(hours=2, minutes=1)).set_active(resumed, active=True)
    assert again.next_run_at == resumed.next_run_at
    assert service_at(gateway, began + timedelta(hours=2, minutes=4)).fire_due() == 1
    assert len(runs_of(db, schedule.id)) == 1


def test_a_schedule_with_an_unknown_time_zone_is_not_resumed(gateway: Gateway, db: psycopg.Connection) -> None:
    service = service_at(gateway, datetime(2030, 5, 1, 12, 1, tzinfo=UTC))
    schedule = service.set_active(service.add(wanted()), active=False)
    db.execute("update public.schedules set timezone = 'Mars/Olympus' where id = %s", [schedule.id])
    with pytest.raises(Conflict, match="next time cannot be determined"):
        service.set_active(service.get(schedule.id), active=True)
    service.remove(schedule)
    with pytest.raises(NotFound):
        service.set_active(schedule, active=True)


def test_a_schedule_is_paused_and_resumed_by_its_owner_alone(user: Api, web: Api) -> None:
    path = f"{PATH}/{user.request('POST', PATH, json=CHAT).json()['schedule_id']}"
    paused = user.request("PATCH", path, json={"active": False})
    assert paused.status_code == 200, paused.text
    assert paused.json() == user.get(path).json()
    assert (paused.json()["active"], paused.json()["next_run_at"]) == (False, None)
    is_error(web.as_user().request("PATCH", path, json={"active": True}), 404, "NOT_FOUND")
    for body in ({}, {"active": "yes"}, {"active": True, "cron": "* * * * *"}):
        is_error(user.request("PATCH", path, json=body), 400, "BAD_REQUEST")
    resumed = web.as_service().request("PATCH", path, json={"active": True}).json()
    assert resumed["active"]
    assert resumed["next_runs"][0] == resumed["next_run_at"]


def test_another_users_schedule_is_not_found(user: Api, web: Api) -> None:
    schedule_id = user.request("POST", PATH, json=CHAT).json()["schedule_id"]
    stranger = web.as_user()
    is_error(stranger.get(f"{PATH}/{schedule_id}"), 404, "NOT_FOUND")
    is_error(stranger.request("DELETE", f"{PATH}/{schedule_id}"), 404, "NOT_FOUND")
    assert stranger.get(PATH).json()["items"] == []
    is_error(stranger.get(f"{PATH}?user_id={user.user_id}"), 403, "FORBIDDEN")
    assert web.as_service().get(f"{PATH}/{schedule_id}").status_code == 200


def test_a_caller_has_a_bounded_number_of_schedules(user: Api, db: psycopg.Connection) -> None:
    db.execute(
        "insert into public.schedules (user_id, caller, kind, target, input, cron, next_run_at)"
        " select %s, %s, 'agent', 'chat_agent', '{}', '0 0 1 1 *', 'infinity' from generate_series(1, 100)",
        [user.user_id, f"user:{user.user_id}"],
    )
    error = is_error(user.request("POST", PATH, json=CHAT), 409, "CONFLICT")
    assert "100 schedules" in error["error"]
    db.execute("delete from public.schedules where user_id = %s", [user.user_id])
