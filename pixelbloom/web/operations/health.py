"""`/healthz`: the process is alive. `/readyz`: its dependencies are reachable."""

from flask_openapi3 import APIBlueprint, Tag

from pixelbloom.web.container import services
from pixelbloom.web.http.openapi import failures, success
from pixelbloom.web.operations.schemas import UNREADY, HealthBody, ReadyBody

health = APIBlueprint(
    "health",
    __name__,
    abp_tags=[Tag(name="Health", description="Probes of the process and of what it depends on; no token.")],
)


@health.get(
    "/healthz",
    summary="Check liveness",
    operation_id="checkHealth",
    responses={**success(HealthBody), **failures(500)},
)
def healthz() -> HealthBody:
    """Responds as long as the process accepts requests, and depends on nothing else."""
    return HealthBody(status="ok")


@health.get(
    "/readyz",
    summary="Check readiness",
    operation_id="checkReadiness",
    responses={
        **success(ReadyBody),
        **failures(500),
        **success(ReadyBody, example=UNREADY, status=503, description="A required part is unreachable."),
    },
)
def readyz() -> tuple[ReadyBody, int]:
    """Responds 503 while the database is unreachable. `warnings` names parts with a problem: without Redis, workers or
    beat, runs are accepted and wait, so the process stays ready.
    """
    report = services().readiness.check()
    return ReadyBody.model_validate(report.to_public()), 200 if report.ready else 503
