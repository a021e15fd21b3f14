"""Whether what this process depends on answers, asked side by side and never for long."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from celery import Celery
from redis import Redis

from pixelbloom.auth.profiles_store import ProfileStore
from pixelbloom.periodic import verdict as periodic
from pixelbloom.periodic.store import PeriodicTaskStore

log = structlog.get_logger(__name__)

#: Seconds for which an answer is waited for: of a required part, and of another one.
PATIENCE_SECONDS = 2.0
SHORT_PATIENCE_SECONDS = 1.0
WORKERS_ANSWER_SECONDS = 0.8
QUEUES = ("agents", "events", "maintenance", "webhooks")


@dataclass(frozen=True)
class Answer:
    """What a part that answers says. `warning` is what is not as it should be; `numbers` are shown with the part."""

    detail: str | None = None
    warning: str | None = None
    numbers: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Probe:
    """A question about one part. `ask` raises where the part does not answer.

    An answer is fresh for `fresh_seconds`. Where a part is not `required`, the process is ready without it, and
    `without` says what that means. From the start of the question, its answer is waited for `patience` seconds at most.
    """

    name: str
    ask: Callable[[], Answer | None]
    required: bool = True
    fresh_seconds: float = 0.5
    without: str = ""
    patience: float = PATIENCE_SECONDS


@dataclass(frozen=True)
class Finding:
    """What a probe found; safe to show."""

    ok: bool
    answer: Answer
    at: float


@dataclass(frozen=True)
class Report:
    """Whether every required part answers, what is known of each, and what is not as it should be."""

    ready: bool
    checks: dict[str, dict[str, Any]]
    warnings: list[str]

    def to_public(self) -> dict[str, Any]:
        """The body of `/readyz`."""
        status = "ok" if self.ready else "unavailable"
        return {"status": status, "warnings": self.warnings, "checks": self.checks}


@dataclass(frozen=True)
class _Question:
    done: threading.Event
    began: float


class Readiness:
    """Asks all probes at once; one that hangs is never asked twice at the same time, and is waited for once."""

    def __init__(self, probes: Sequence[Probe]) -> None:
        self._probes = tuple(probes)
        self._lock = threading.Lock()
        self._found: dict[str, Finding] = {}
        self._asking: dict[str, _Question] = {}

    def check(self) -> Report:
        """Ask what is not known freshly, and report."""
        started = [(probe, self._start(probe)) for probe in self._probes]
        ready, checks, warnings = True, {}, []
        for probe, question in started:
            in_time = question is None or question.done.wait(
                max(0.0, question.began + probe.patience - time.monotonic())
            )
            finding = self._found.get(probe.name) if in_time else None
            check, warning = _shown(probe, finding)
            checks[probe.name] = check
            if warning:
                warnings.append(f"{probe.name}: {warning}")
            ready = ready and (check["status"] != "unavailable" or not probe.required)
        return Report(ready, checks, warnings)

    def _start(self, probe: Probe) -> _Question | None:
        """Ask in the background, or join who asks already. None while the last answer is fresh."""
        with self._lock:
            known = self._found.get(probe.name)
            if known is not None and time.monotonic() - known.at < probe.fresh_seconds:
                return None
            if probe.name in self._asking:
                return self._asking[probe.name]
            question = self._asking[probe.name] = _Question(threading.Event(), time.monotonic())
        threading.Thread(target=self._ask, args=(probe, question), name=f"ready-{probe.name}", daemon=True).start()
        return question

    def _ask(self, probe: Probe, question: _Question) -> None:
        try:
            finding = Finding(True, probe.ask() or Answer(), time.monotonic())
        except Exception as error:
            log.warning("not_ready", part=probe.name, reason=type(error).__name__, exc_info=False)
            finding = Finding(False, Answer("it is unreachable"), time.monotonic())
        with self._lock:
            self._found[probe.name] = finding
            del self._asking[probe.name]
        question.done.set()


def _shown(probe: Probe, finding: Finding | None) -> tuple[dict[str, Any], str | None]:
    """The part as `/readyz` shows it, and the warning about it."""
    answer = finding.answer if finding is not None else Answer("no answer in time")
    answered = finding is not None and finding.ok
    check: dict[str, Any] = {"status": "ok" if answered else "unavailable", "required": probe.required}
    warning = answer.warning
    if answered and warning:
        check["status"] = "warning"
    if not answered:
        warning = f"{answer.detail}{f'; {probe.without}' if probe.without else ''}"
    if answer.detail:
        check["detail"] = answer.detail
    return {**check, **answer.numbers}, warning


def probes(profiles: ProfileStore, redis: Redis, celery: Celery, tasks: PeriodicTaskStore) -> tuple[Probe, ...]:
    """The database, which a web process needs, and the parts without which runs are accepted and wait."""

    def database() -> None:
        profiles.check()

    def broker() -> None:
        redis.ping()

    def workers() -> Answer:
        replies = celery.control.inspect(timeout=WORKERS_ANSWER_SECONDS).active_queues() or {}
        served = [queue["name"] for queues in replies.values() for queue in queues]
        numbers = {queue: served.count(queue) for queue in QUEUES}
        missing = [queue for queue in QUEUES if not numbers[queue]]
        warning = f"no worker takes from {', '.join(missing)}: that work waits" if missing else None
        return Answer(f"{len(replies)} answering", warning, {"queues": numbers})

    def beat() -> Answer:
        ages = tasks.ages()
        verdict = periodic.judge(ages)
        return Answer(verdict.detail, verdict.problem, {"ages": ages})

    return (
        Probe("database", database),
        Probe(
            "redis",
            broker,
            required=False,
            patience=SHORT_PATIENCE_SECONDS,
            without="runs are accepted and start when it is back, and sockets get no events until then",
        ),
        Probe("workers", workers, required=False, patience=SHORT_PATIENCE_SECONDS, fresh_seconds=10.0),
        Probe("beat", beat, required=False, patience=SHORT_PATIENCE_SECONDS, fresh_seconds=2.0),
    )
