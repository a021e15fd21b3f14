"""`/readyz`, `/metrics` and `pixelbloom doctor` without Redis, workers or beat."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families as parse
from redis import Redis

from pixelbloom.periodic.pulses import Pulses
from tests.integration.http import Api
from tests.servers.redis import OwnRedis
from tests.stack import Stack
from tests.waiting import until

SECONDS = 60
BEAT = "beat is not running"


def once(ask: Callable[[], Any], holds: Callable[[Any], bool]) -> Any:
    seen: list[Any] = []

    def held() -> bool:
        seen[:] = [ask()]
        return holds(seen[0])

    until(held, pause=0.2, saw=lambda: seen)
    return seen[0]


def ready(api: Api) -> dict[str, Any]:
    """Return the body of `/readyz` once the process is ready: on a busy machine a check of the database may be late."""
    response = once(lambda: api.get("/readyz"), lambda response: response.status_code == 200)
    body: dict[str, Any] = response.json()
    assert body["status"] == "ok"
    return body


def numbers(api: Api) -> dict[tuple[str, str], float]:
    families = parse(api.as_service().get("/metrics").text)
    return {(s.name, next(iter(s.labels.values()), "")): s.value for family in families for s in family.samples}


def doctor(stack: Stack) -> tuple[int, dict[str, Any]]:
    found = subprocess.run(
        [sys.executable, "-m", "pixelbloom", "doctor", "--json"],
        env={**os.environ, **stack.env},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return found.returncode, {check["name"]: check for check in json.loads(found.stdout)["checks"]}


@pytest.mark.parametrize("how", ["refuses", "hangs"])
def test_without_redis_the_web_tier_is_ready_accepts_runs_and_warns(
    running: Stack, own_redis: OwnRedis, how: str
) -> None:
    web = running.start("web", env={"REDIS_URL": own_redis.url})
    api = Api(web.url, None, running.settings)
    assert once(lambda: ready(api), lambda body: body["checks"]["redis"]["status"] == "ok")
    once(lambda: numbers(api), lambda found: found["pixelbloom_redis_up", ""] == 1)

    own_redis.kill() if how == "refuses" else own_redis.freeze()
    body = once(lambda: ready(api), lambda body: body["checks"]["redis"]["status"] == "unavailable")
    assert body["checks"]["redis"]["required"] is False
    assert any(warning.startswith("redis: ") and "runs are accepted" in warning for warning in body["warnings"])
    body = once(lambda: ready(api), lambda body: "Redis" in body["checks"]["beat"].get("detail", ""))
    assert body["checks"]["beat"]["status"] == "warning"
    up = ("pixelbloom_redis_up", ""), ("pixelbloom_database_up", "")
    once(lambda: numbers(api), lambda found: [found[part] for part in up] == [0, 1])
    assert api.as_user().invoke().json()["status"] == "queued"

    own_redis.start() if how == "refuses" else own_redis.thaw()
    body = once(lambda: ready(api), lambda body: body["checks"]["redis"]["status"] == "ok")
    assert not any(warning.startswith("redis: ") for warning in body["warnings"])


def test_workers_are_counted_by_queue_and_a_queue_without_one_is_a_warning(running: Stack) -> None:
    for role in ("events", "maintenance", "webhooks", "maintenance"):
        running.start(role)
    api = Api(running.start("web").url, None, running.settings)
    wanted = {"agents": 0, "events": 1, "maintenance": 2, "webhooks": 1}
    body = once(lambda: ready(api), lambda body: body["checks"]["workers"].get("queues") == wanted)
    assert body["checks"]["workers"]["status"] == "warning"
    assert "workers: no worker takes from agents: that work waits" in body["warnings"]
    once(
        lambda: numbers(api), lambda found: all(found.get(("pixelbloom_workers", of)) == n for of, n in wanted.items())
    )


def test_a_missing_beat_is_reported_everywhere(running: Stack, redis: Redis) -> None:
    for role in ("agents", "events", "maintenance", "webhooks"):
        running.start(role)
    api = Api(running.start("web").url, None, running.settings)

    code, checks = doctor(running)
    assert (code, checks["workers"]["state"], checks["beat"]["state"]) == (1, "ok", "down")
    assert BEAT in checks["beat"]["detail"]
    assert "pixelbloom beat" in checks["beat"]["advice"]
    body = once(lambda: ready(api), lambda body: body["checks"]["beat"]["status"] == "warning")
    assert any(BEAT in warning for warning in body["warnings"])
    assert not any(name == "pixelbloom_periodic_task_age_seconds" for name, _ in numbers(api))

    running.start("beat")
    code, checks = once(lambda: doctor(running), lambda found: found[0] == 0)
    assert checks["beat"]["state"] == "ok"
    body = once(lambda: ready(api), lambda body: not body["warnings"])
    for name in ("beat", "maintenance", "events", "webhooks"):
        assert body["checks"]["beat"]["ages"][name] < 45
        once(
            lambda: numbers(api),
            lambda found, of=name: found.get(("pixelbloom_periodic_task_age_seconds", of), 45) < 45,
        )


def test_a_missing_worker_is_down_in_doctor_although_beat_runs(running: Stack, redis: Redis) -> None:
    for name in ("beat", "events", "webhooks"):
        Pulses(redis).record(name)
    code, checks = doctor(running)
    assert (code, checks["beat"]["state"]) == (1, "down")
    assert "overdue: maintenance never" in checks["beat"]["detail"]
    assert "pixelbloom worker maintenance" in checks["beat"]["advice"]
    assert BEAT not in checks["beat"]["detail"]
