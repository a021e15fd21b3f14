"""Whether what this process depends on answers, asked side by side and never for long."""

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from celery import Celery
from redis import Redis

from pixelbloom.store.profiles import ProfileStore

log = structlog.get_logger(__name__)

#: Seconds for which all answers are waited for.
PATIENCE_SECONDS = 2.0
WORKERS_ANSWER_SECONDS = 0.8


@dataclass(frozen=True)
class Probe:
    """A question about one part. `ask` raises where it does not answer, or says something about it.

    An answer holds for `fresh_seconds`. Parts that are not `required` are told of, no more.
    """

    name: str
    ask: Callable[[], str | None]
    required: bool = True
    fresh_seconds: float = 0.5


@dataclass(frozen=True)
class Finding:
    """What a probe found; `detail` is safe to show."""

    ok: bool
    detail: str | None
    at: float


class Readiness:
    """Asks all probes at once; one that hangs is never asked twice at the same time."""

    def __init__(self, probes: Sequence[Probe], *, patience: float = PATIENCE_SECONDS) -> None:
        self._probes = tuple(probes)
        self._patience = patience
        self._lock = threading.Lock()
        self._found: dict[str, Finding] = {}
        self._asking: dict[str, threading.Event] = {}

    def check(self) -> tuple[bool, dict[str, dict[str, Any]]]:
        """Whether every required part answers, and what is known of each."""
        deadline = time.monotonic() + self._patience
        started = [(probe, self._start(probe)) for probe in self._probes]
        ready, checks = True, {}
        for probe, done in started:
            in_time = done is None or done.wait(max(0.0, deadline - time.monotonic()))
            finding = self._found.get(probe.name) if in_time else None
            ok = finding is not None and finding.ok
            detail = finding.detail if finding is not None else "no answer in time"
            checks[probe.name] = {"status": "ok" if ok else "unavailable", "required": probe.required}
            if detail:
                checks[probe.name]["detail"] = detail
            ready = ready and (ok or not probe.required)
        return ready, checks

    def _start(self, probe: Probe) -> threading.Event | None:
        """Ask in the background, or join who asks already. None while the last answer is fresh."""
        with self._lock:
            known = self._found.get(probe.name)
            if known is not None and time.monotonic() - known.at < probe.fresh_seconds:
                return None
            if probe.name in self._asking:
                return self._asking[probe.name]
            done = self._asking[probe.name] = threading.Event()
        threading.Thread(target=self._ask, args=(probe, done), name=f"ready-{probe.name}", daemon=True).start()
        return done

    def _ask(self, probe: Probe, done: threading.Event) -> None:
        try:
            finding = Finding(True, probe.ask(), time.monotonic())
        except Exception as error:
            log.warning("not_ready", part=probe.name, reason=type(error).__name__, exc_info=False)
            finding = Finding(False, "it does not answer", time.monotonic())
        with self._lock:
            self._found[probe.name] = finding
            del self._asking[probe.name]
        done.set()


def probes(profiles: ProfileStore, redis: Redis, celery: Celery) -> tuple[Probe, ...]:
    """The parts that a web process needs, and the workers, without which runs only wait."""

    def database() -> None:
        profiles.check()

    def broker() -> None:
        redis.ping()

    def workers() -> str:
        answers = celery.control.ping(timeout=WORKERS_ANSWER_SECONDS)
        if not answers:
            raise LookupError("no worker answers")
        return f"{len(answers)} answering"

    return (
        Probe("database", database),
        Probe("redis", broker),
        Probe("workers", workers, required=False, fresh_seconds=10.0),
    )
