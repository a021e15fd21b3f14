"""The schemas of the probes' responses in the OpenAPI document."""

from typing import Literal

from pydantic import Field

from pixelbloom.web.http.rendering import Body, Number
from pixelbloom.web.http.schemas import example

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
        "detail": "last pulse: 3 s ago",
        "ages": {"beat": 3.2, "maintenance": 3.1, "events": 3.1, "webhooks": 3.1},
    },
}
_WARNING = "workers: no worker takes from agents: that work waits"
_READY = {"status": "ok", "warnings": [_WARNING], "checks": _CHECKS}
UNREADY = {
    "status": "unavailable",
    "warnings": ["database: it is unreachable", _WARNING],
    "checks": {**_CHECKS, "database": {"status": "unavailable", "required": True, "detail": "it is unreachable"}},
}


class HealthBody(Body):
    """The process is alive."""

    model_config = example({"status": "ok"})

    status: Literal["ok"]


class CheckBody(Body):
    """The state of one part."""

    status: Literal["ok", "warning", "unavailable"]
    required: bool
    detail: str = ""
    queues: dict[str, int] = Field(default={}, description="Of `workers`: the number of workers of each queue.")
    ages: dict[str, Number] = Field(
        default={}, description="Of `beat`: seconds since the last pulse of beat and of each worker that it sends to."
    )


class ReadyBody(Body):
    """The state of all parts."""

    model_config = example(_READY)

    status: Literal["ok", "unavailable"]
    warnings: list[str] = Field(description="Problems, one sentence per part.")
    checks: dict[str, CheckBody]
