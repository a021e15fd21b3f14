"""Readiness: probes of this process's dependencies, run in parallel with short timeouts."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog
from celery import Celery
from redis import Redis, RedisError

from pixelbloom.core.queues import QUEUES
from pixelbloom.database.gateway import Gateway
from pixelbloom.periodic import verdict as periodic
from pixelbloom.periodic.pulses import Pulses

log = structlog.get_logger(__name__)

#: Timeouts of a required part, and of another one.
TIMEOUT_SECONDS = 2.0
SHORT_TIMEOUT_SECONDS = 1.0
WORKERS_REPLY_SECONDS = 0.8


@dataclass(frozen=True)
class ProbeResult:
    """The result of a reachable part. `warning` describes a problem; `numbers` are shown with the part."""

    detail: str | None = None
    warning: str | None = None
    numbers: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Probe:
    """A check of one part. `run` raises if the part is unreachable.

    A result is fresh for `fresh_seconds`. If a part is not `required`, the process is ready without it, and `without`
    describes the consequences. The result is awaited for `timeout` seconds from the start of the check; until it comes,
    an earlier one is shown if it is not older than `stale_seconds`.
    """

    name: str
    run: Callable[[], ProbeResult | None]
    required: bool = True
    fresh_seconds: float = 0.5
    without: str = ""
    timeout: float = TIMEOUT_SECONDS
    stale_seconds: float = 0.0


@dataclass(frozen=True)
class Finding:
    """The outcome of a probe; safe to show."""

    ok: bool
    result: ProbeResult
    at: float


@dataclass(frozen=True)
class Report:
    """Whether every required part is reachable, the state of each, and the warnings."""

    ready: bool
    checks: dict[str, dict[str, Any]]
    warnings: list[str]

    def to_public(self) -> dict[str, Any]:
        """Return the body of `/readyz`."""
        status = "ok" if self.ready else "unavailable"
        return {"status": status, "warnings": self.warnings, "checks": self.checks}


@dataclass(frozen=True)
class _PendingCheck:
    done: threading.Event
    began: float


class Readiness:
    """Runs all probes at once; one that hangs is never run twice at the same time, and is awaited once."""

    def __init__(self, probes: Sequence[Probe]) -> None:
        self._probes = tuple(probes)
        self._lock = threading.Lock()
        self._found: dict[str, Finding] = {}
        self._pending: dict[str, _PendingCheck] = {}

    def check(self) -> Report:
        """Run the probes without a fresh result, and report."""
        started = [(probe, self._start(probe)) for probe in self._probes]
        ready, checks, warnings = True, {}, []
        for probe, pending in started:
            in_time = pending is None or pending.done.wait(max(0.0, pending.began + probe.timeout - time.monotonic()))
            finding = self._found.get(probe.name)
            if not in_time and finding is not None and time.monotonic() - finding.at > probe.stale_seconds:
                finding = None
            check, warning = _shown(probe, finding)
            checks[probe.name] = check
            if warning:
                warnings.append(f"{probe.name}: {warning}")
            ready = ready and (check["status"] != "unavailable" or not probe.required)
        return Report(ready, checks, warnings)

    def _start(self, probe: Probe) -> _PendingCheck | None:
        """Start the check in the background, or return the one in progress. None while the last result is fresh."""
        with self._lock:
            known = self._found.get(probe.name)
            if known is not None and time.monotonic() - known.at < probe.fresh_seconds:
                return None
            if probe.name in self._pending:
                return self._pending[probe.name]
            pending = self._pending[probe.name] = _PendingCheck(threading.Event(), time.monotonic())
        threading.Thread(target=self._run, args=(probe, pending), name=f"ready-{probe.name}", daemon=True).start()
        return pending

    def _run(self, probe: Probe, pending: _PendingCheck) -> None:
        try:
            finding = Finding(True, probe.run() or ProbeResult(), time.monotonic())
        except Exception as error:
            log.warning("not_ready", part=probe.name, reason=type(error).__name__, exc_info=False)
            finding = Finding(False, ProbeResult("it is unreachable"), time.monotonic())
        with self._lock:
            self._found[probe.name] = finding
            del self._pending[probe.name]
        pending.done.set()


def _shown(probe: Probe, finding: Finding | None) -> tuple[dict[str, Any], str | None]:
    """Return the part as `/readyz` shows it, and the warning about it."""
    result = finding.result if finding is not None else ProbeResult("timed out")
    reachable = finding is not None and finding.ok
    check: dict[str, Any] = {"status": "ok" if reachable else "unavailable", "required": probe.required}
    warning = result.warning
    if reachable and warning:
        check["status"] = "warning"
    if not reachable:
        warning = f"{result.detail}{f'; {probe.without}' if probe.without else ''}"
    if result.detail:
        check["detail"] = result.detail
    return {**check, **result.numbers}, warning


def probes(
    gateway: Gateway, redis: Redis, celery: Celery, pulses: Pulses, *, own_broker: bool = False
) -> tuple[Probe, ...]:
    """Return the probes of the database, which a web process requires, and of the parts that runs can wait for.

    `own_broker` says that the broker is not this Redis.
    """

    def database() -> None:
        gateway.check()

    def events() -> None:
        redis.ping()

    def broker() -> None:
        with celery.connection_for_write(connect_timeout=SHORT_TIMEOUT_SECONDS) as connection:
            connection.ensure_connection(max_retries=celery.conf.broker_transport_options["max_retries"])

    def workers() -> ProbeResult:
        replies = celery.control.inspect(timeout=WORKERS_REPLY_SECONDS).active_queues() or {}
        served = [queue["name"] for queues in replies.values() for queue in queues]
        numbers = {queue: served.count(queue) for queue in QUEUES}
        missing = [queue for queue in QUEUES if not numbers[queue]]
        warning = f"no worker takes from {', '.join(missing)}: that work waits" if missing else None
        return ProbeResult(f"{len(replies)} responding", warning, {"queues": numbers})

    def beat() -> ProbeResult:
        try:
            ages = pulses.ages()
        except RedisError:
            return ProbeResult("not known without Redis", "not known without Redis")
        verdict = periodic.judge(ages)
        return ProbeResult(verdict.detail, verdict.problem, {"ages": ages})

    optional = partial(Probe, required=False, timeout=SHORT_TIMEOUT_SECONDS)
    no_runs, no_events = "runs are accepted and start when it is back", "sockets get no events until"
    if own_broker:
        without_redis = f"{no_events} it is back"
        brokers = [optional("broker", broker, fresh_seconds=10.0, without=no_runs)]
    else:
        without_redis, brokers = f"{no_runs}, and {no_events} then", []
    return (
        Probe("database", database),
        optional("redis", events, without=without_redis),
        *brokers,
        # The replies may take longer than the timeout.
        optional("workers", workers, fresh_seconds=10.0, stale_seconds=60.0),
        optional("beat", beat, fresh_seconds=2.0),
    )
