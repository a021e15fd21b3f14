"""Traces of requests, if they are on."""

from flask import Flask

from pixelbloom.config import Settings
from pixelbloom.telemetry import tracing

#: Probes and scrapes begin no traces.
EXCLUDED = "^https?://[^/]+/(healthz|readyz|metrics)$"


def register(app: Flask, settings: Settings) -> None:
    """Trace the application's requests. Call it before registering other handlers, to include their time."""
    if not tracing.enabled(settings):
        return
    tracing.start(settings, "web")
    from opentelemetry.instrumentation.flask import FlaskInstrumentor

    FlaskInstrumentor().instrument_app(app, excluded_urls=EXCLUDED)  # type: ignore[no-untyped-call]
