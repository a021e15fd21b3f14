"""Tracing by OpenTelemetry and its instrumentations, sent as OTLP over HTTP. Imported only where traces are on."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import structlog
from opentelemetry import context as contexts
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.instrumentation.celery import CeleryInstrumentor
from opentelemetry.instrumentation.httpx import HTTPXClientInstrumentor
from opentelemetry.instrumentation.psycopg import PsycopgInstrumentor
from opentelemetry.instrumentation.redis import RedisInstrumentor
from opentelemetry.instrumentation.requests import RequestsInstrumentor
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import Decision, Sampler, SamplingResult
from opentelemetry.trace import Link, SpanKind, TraceState
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import Attributes

from pixelbloom import __version__
from pixelbloom.config import Settings
from pixelbloom.logs import Redactor, secrets_of

#: Spans have these of the ids that the log lines of their thread have.
IDS = ("request_id", "run_id", "step")
#: A trace begins with a request or a task. Polls and renewals outside of one are dropped.
ROOTS = (SpanKind.SERVER, SpanKind.CONSUMER)
_PROPAGATOR = TraceContextTextMapPropagator()


class RootsOnly(Sampler):
    """Drops traces that begin with something else than a request or a task; the other sampler decides the rest."""

    def __init__(self, sampler: Sampler) -> None:
        self._sampler = sampler

    def should_sample(
        self,
        parent_context: Context | None,
        trace_id: int,
        name: str,
        kind: SpanKind | None = None,
        attributes: Attributes = None,
        links: Sequence[Link] | None = None,
        trace_state: TraceState | None = None,
    ) -> SamplingResult:
        parent = trace.get_current_span(parent_context).get_span_context()
        if not parent.is_valid and kind not in ROOTS:
            return SamplingResult(Decision.DROP)
        return self._sampler.should_sample(parent_context, trace_id, name, kind, attributes, links, trace_state)

    def get_description(self) -> str:
        return f"RootsOnly({self._sampler.get_description()})"


class IdsProcessor(SpanProcessor):
    """Gives each span the ids that the log lines of its thread have."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:  # noqa: ARG002
        known = structlog.contextvars.get_contextvars()
        span.set_attributes({name: str(known[name]) for name in IDS if known.get(name) is not None})


class ScrubbedExporter(SpanExporter):
    """Removes secrets from spans on their way out, as from log lines: URLs and error messages may hold tokens."""

    def __init__(self, exporter: SpanExporter, redactor: Redactor) -> None:
        self._exporter = exporter
        self._redactor = redactor

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return self._exporter.export([self._scrubbed(span) for span in spans])

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._exporter.force_flush(timeout_millis)

    def _scrubbed(self, span: ReadableSpan) -> ReadableSpan:
        return ReadableSpan(
            name=span.name,
            context=span.get_span_context(),
            parent=span.parent,
            resource=span.resource,
            attributes=self._attributes(span.attributes),
            events=[Event(event.name, self._attributes(event.attributes), event.timestamp) for event in span.events],
            links=span.links,
            kind=span.kind,
            status=trace.Status(span.status.status_code, self._text(span.status.description)),
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )

    def _attributes(self, attributes: Mapping[str, Any] | None) -> dict[str, Any]:
        return self._redactor.mapping(attributes or {})

    def _text(self, text: str | None) -> str | None:
        return None if text is None else self._redactor.text(text)


class OtlpTracer:
    """The tracer of this process. The OTEL_* variables that are not settings are read by the SDK itself."""

    def __init__(self, settings: Settings, role: str) -> None:
        resource = Resource.create(
            {"service.name": settings.otel_service_name or f"pixelbloom-{role}", "service.version": __version__}
        )
        endpoint = settings.otel_exporter_otlp_traces_endpoint or f"{settings.otel_exporter_otlp_endpoint}/v1/traces"
        self._provider = TracerProvider(resource=resource)
        self._provider.sampler = RootsOnly(self._provider.sampler)
        self._provider.add_span_processor(IdsProcessor())
        exporter = ScrubbedExporter(OTLPSpanExporter(endpoint=endpoint), Redactor(secrets_of(settings)))
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        trace.set_tracer_provider(self._provider)
        for instrumentor in (
            CeleryInstrumentor(),  # type: ignore[no-untyped-call]
            RedisInstrumentor(),
            HTTPXClientInstrumentor(),
            RequestsInstrumentor(),
            PsycopgInstrumentor(),
        ):
            instrumentor.instrument(tracer_provider=self._provider)

    def annotate(self, ids: dict[str, str]) -> None:
        trace.get_current_span().set_attributes(ids)

    def traceparent(self) -> str | None:
        carrier: dict[str, str] = {}
        _PROPAGATOR.inject(carrier)
        return carrier.get("traceparent")

    @contextmanager
    def within(self, traceparent: str | None) -> Iterator[None]:
        carrier = {} if traceparent is None else {"traceparent": traceparent}
        token = contexts.attach(_PROPAGATOR.extract(carrier, Context()))
        try:
            yield
        finally:
            contexts.detach(token)

    def flush(self) -> None:
        self._provider.force_flush()
