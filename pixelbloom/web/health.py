"""`/healthz`: the process lives. `/readyz`: what it depends on answers."""

from typing import Any

from flask_openapi3 import APIBlueprint, Tag

from pixelbloom.web.openapi import failures, success
from pixelbloom.web.schemas import HealthBody, ReadyBody
from pixelbloom.web.services import services

health = APIBlueprint("health", __name__, abp_tags=[Tag(name="Health", description="For probes; no token.")])

_DOWN = {
    "status": "unavailable",
    "checks": {
        "database": {"status": "unavailable", "required": True, "detail": "it does not answer"},
        "redis": {"status": "ok", "required": True},
        "workers": {"status": "ok", "required": False, "detail": "3 answering"},
    },
}
_READY = {**_DOWN, "status": "ok", "checks": {**_DOWN["checks"], "database": {"status": "ok", "required": True}}}  # type: ignore[dict-item]


@health.get(
    "/healthz",
    summary="Does the process live?",
    operation_id="healthz",
    responses={**success(HealthBody, {"status": "ok"}), **failures(500)},
)
def healthz() -> dict[str, Any]:
    """Answers as long as the process takes requests; asks nothing else."""
    return {"status": "ok"}


@health.get(
    "/readyz",
    summary="Does what it depends on answer?",
    operation_id="readyz",
    responses={
        **success(ReadyBody, _READY),
        **failures(500),
        **success(ReadyBody, _DOWN, status=503, description="A required part does not answer."),
    },
)
def readyz() -> tuple[dict[str, Any], int]:
    """503 while a required part does not answer; the body says which. Workers are told of, not required."""
    ready, checks = services().readiness.check()
    return {"status": "ok" if ready else "unavailable", "checks": checks}, 200 if ready else 503
