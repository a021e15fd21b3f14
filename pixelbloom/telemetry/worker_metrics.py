"""The metrics of a worker, in prometheus_client's files: one process, or a pool of processes, adds them up."""

import os
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, start_http_server, values
from prometheus_client.multiprocess import mark_process_dead

from pixelbloom.telemetry.collector import FolderCollector
from pixelbloom.telemetry.folder import VARIABLE
from pixelbloom.telemetry.recorder import Recorder

#: Seconds. A step's deadline may be minutes away.
STEP_BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0)
MODEL_BOUNDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0)
WEBHOOK_BOUNDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0)
LATE_BOUNDS = (1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 3600.0)
TASK_BOUNDS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0)
#: Later attempts share a label.
MAX_ATTEMPT = 5

STRIPE_STATUSES = ("processed", "ignored", "received", "failed")
WEBHOOK_OUTCOMES = ("delivered", "retry", "failed")


class WorkerMetrics(Recorder):
    """Counts in memory that is mapped to a file of this process: an increment is no system call."""

    def __init__(self) -> None:
        if VARIABLE in os.environ:
            # The library decides this when it is imported, and Celery's command imports it before the app: for Flower.
            values.ValueClass = values.get_value_class()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        counter = partial(Counter, registry=self.registry)
        histogram = partial(Histogram, registry=self.registry)

        self._attempts = counter(
            "pixelbloom_step_attempts_total", "Attempts at steps that began", ["agent_type", "attempt"]
        )
        self._steps = counter("pixelbloom_steps_total", "Attempts at steps that ended", ["agent_type", "outcome"])
        self._step_seconds = histogram(
            "pixelbloom_step_duration_seconds",
            "From the claim of a step to its recorded end",
            ["agent_type"],
            buckets=STEP_BOUNDS,
        )
        self._results = counter(
            "pixelbloom_step_results_total", "Completed steps by the source of their result", ["agent_type", "provider"]
        )
        self._calls = counter("pixelbloom_model_calls_total", "Calls to models", ["provider", "outcome"])
        self._call_seconds = histogram(
            "pixelbloom_model_call_duration_seconds", "Duration of calls to models", ["provider"], buckets=MODEL_BOUNDS
        )
        self._tokens = counter("pixelbloom_model_tokens_total", "Tokens of models", ["provider", "kind"])
        self._breaker = Gauge(
            "pixelbloom_model_breaker_open",
            "1 while a process skips a provider that failed repeatedly",
            ["provider"],
            registry=self.registry,
            multiprocess_mode="livemax",
        )
        self._expired = counter("pixelbloom_leases_expired_total", "Leases of dead or disconnected workers that ended")
        self._lost = counter(
            "pixelbloom_steps_lost_total", "Steps published again because the broker lost their message"
        )
        self._relayed = counter("pixelbloom_outbox_published_total", "Events published from the outbox")
        self._webhooks = counter("pixelbloom_webhook_attempts_total", "Attempts at webhooks", ["outcome"])
        self._webhook_seconds = histogram(
            "pixelbloom_webhook_duration_seconds", "Duration of attempts at webhooks", buckets=WEBHOOK_BOUNDS
        )
        self._stripe = counter(
            "pixelbloom_stripe_events_handled_total", "Attempts at events of Stripe, by the status after it", ["status"]
        )
        self._late = histogram(
            "pixelbloom_schedule_delay_seconds", "From the time of a schedule to its run", buckets=LATE_BOUNDS
        )
        self._tasks = counter("pixelbloom_tasks_total", "Celery tasks that ended", ["task", "state"])
        self._task_seconds = histogram(
            "pixelbloom_task_duration_seconds", "Duration of Celery tasks", ["task"], buckets=TASK_BOUNDS
        )
        # A rate over a counter that appears with its first increment would miss that increment.
        for status in STRIPE_STATUSES:
            self._stripe.labels(status)
        for outcome in WEBHOOK_OUTCOMES:
            self._webhooks.labels(outcome)

    def step_claimed(self, agent_type: str, attempt: int) -> None:
        number = str(attempt) if attempt < MAX_ATTEMPT else f"{MAX_ATTEMPT}+"
        self._attempts.labels(agent_type, number).inc()

    def step_ended(self, agent_type: str, outcome: str, seconds: float, provider: str | None = None) -> None:
        if provider is not None:
            self._results.labels(agent_type, provider).inc()
        self._step_seconds.labels(agent_type).observe(seconds)
        # Last: whoever sees the step counted sees the rest.
        self._steps.labels(agent_type, outcome).inc()

    def model_called(
        self, provider: str, outcome: str, seconds: float, tokens: tuple[int, int], *, breaker_open: bool
    ) -> None:
        self._calls.labels(provider, outcome).inc()
        self._call_seconds.labels(provider).observe(seconds)
        for kind, count in zip(("prompt", "completion"), tokens, strict=True):
            self._tokens.labels(provider, kind).inc(count)
        self._breaker.labels(provider).set(breaker_open)

    def swept(self, expired: int, lost: int) -> None:
        self._expired.inc(expired)
        self._lost.inc(lost)

    def events_relayed(self, count: int) -> None:
        self._relayed.inc(count)

    def webhook_attempted(self, outcome: str, seconds: float) -> None:
        self._webhooks.labels(outcome).inc()
        self._webhook_seconds.observe(seconds)

    def stripe_event_handled(self, status: str) -> None:
        self._stripe.labels(status).inc()

    def schedule_fired(self, late_seconds: float) -> None:
        self._late.observe(max(late_seconds, 0.0))

    def task_ended(self, task: str, state: str, seconds: float) -> None:
        self._tasks.labels(task, state).inc()
        self._task_seconds.labels(task).observe(seconds)


def serve(address: str, port: int) -> None:
    """Serve the metrics of this process and of the processes of its pool. Raises OSError if the port is in use."""
    registry = CollectorRegistry()
    FolderCollector(registry)  # type: ignore[no-untyped-call]
    ProcessCollector(registry=registry)
    start_http_server(port, address, registry=registry)


def forget_process(pid: int | None = None) -> None:
    """Discard the gauges of a process of the pool that ends, by default of this one. Its counters remain."""
    mark_process_dead(pid or os.getpid())  # type: ignore[no-untyped-call]
