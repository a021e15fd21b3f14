"""`/healthz`: the process is alive. `/readyz`: its dependencies are reachable."""

from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from pixelbloom.web.container import services
from pixelbloom.web.http.openapi import failures, success
from pixelbloom.web.http.schemas import HealthBody, ReadyBody

health = APIBlueprint(
    "health",
    __name__,
    abp_tags=[Tag(name="Health", description="Probes of the process and of what it depends on; no token.")],
)

_CHECKS = {
    "database": {"status": "ok", "required": True},
    "redis": {"status": "ok", "required": False},
    "workers": {
        "status": "warning",
        "required": False,
        "detail": "3 responding",
        "queues": {"agents": 0, "events": 1, "maintenance": 1, "webhooks": 1},
    },
    "beat": {
        "status": "ok",
        "required": False,
        "detail": "last sweep: 1 s ago",
        "ages": {"sweep_runs": 1.2, "fire_schedules": 4.0, "relay_outbox": 3.1, "send_due_webhooks": 2.5},
    },
}
_WARNING = "workers: no worker takes from agents: that work waits"
_READY = {"status": "ok", "warnings": [_WARNING], "checks": _CHECKS}
_DOWN = {
    "status": "unavailable",
    "warnings": ["database: it is unreachable", _WARNING],
    "checks": {**_CHECKS, "database": {"status": "unavailable", "required": True, "detail": "it is unreachable"}},
}


@health.get(
    "/healthz",
    summary="Check liveness",
    operation_id="checkHealth",
    responses={**success(HealthBody, {"status": "ok"}), **failures(500)},
)
def healthz() -> dict[str, Any]:
    """Responds as long as the process accepts requests, and depends on nothing else."""
    return {"status": "ok"}


@health.get(
    "/readyz",
    summary="Check readiness",
    operation_id="checkReadiness",
    responses={
        **success(ReadyBody, _READY),
        **failures(500),
        **success(ReadyBody, _DOWN, status=503, description="A required part is unreachable."),
    },
)
def readyz() -> tuple[dict[str, Any], int]:
    """Responds 503 while the database is unreachable. `warnings` names parts with a problem: without Redis, workers or
    beat, runs are accepted and wait, so the process stays ready.
    """
    report = services().readiness.check()
    return report.to_public(), 200 if report.ready else 503
