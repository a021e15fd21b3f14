"""Traces: one follows a request through the run's messages and steps to its last event. Off by default.

Each run stores the W3C trace context of its submission (`runs.traceparent`), and the database returns it with each step
to publish. So a step's message continues the trace of its run, whichever process publishes it, and when.
"""

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from pixelbloom.config import Settings


class Tracer(Protocol):
    """What the parts of a process ask of its tracing."""

    def annotate(self, ids: dict[str, str]) -> None:
        """Set attributes of the current span."""

    def traceparent(self) -> str | None:
        """Return the current trace context, or None outside of a span."""

    def within(self, traceparent: str | None) -> AbstractContextManager[object]:
        """Return a context whose spans continue this trace; None begins none."""

    def flush(self) -> None:
        """Send what is buffered."""


_tracer: Tracer | None = None


def enabled(settings: Settings) -> bool:
    """Return whether traces are to be sent."""
    named = settings.otel_exporter_otlp_endpoint or settings.otel_exporter_otlp_traces_endpoint
    return named is not None and not settings.otel_sdk_disabled


def start(settings: Settings, role: str) -> None:
    """Trace this process, if OTEL_EXPORTER_OTLP_ENDPOINT is set. Safe to repeat. Nothing is imported otherwise."""
    global _tracer
    if _tracer is None and enabled(settings):
        from pixelbloom.telemetry.otlp import OtlpTracer

        _tracer = OtlpTracer(settings, role)


def annotate(**ids: str) -> None:
    """Set attributes of the current span, such as `run_id`."""
    if _tracer is not None:
        _tracer.annotate(ids)


def traceparent() -> str | None:
    """Return the current trace context in the W3C's form, or None if there is none."""
    return None if _tracer is None else _tracer.traceparent()


def within(traceparent: str | None) -> AbstractContextManager[object]:
    """Return a context whose spans continue this trace, or begin none if it is None."""
    return nullcontext() if _tracer is None else _tracer.within(traceparent)


def flush() -> None:
    """Send what is buffered: a process of a pool ends without its exit handlers."""
    if _tracer is not None:
        _tracer.flush()
