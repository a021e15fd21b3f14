"""The application's factory. Nothing happens at import."""

from flask import Response
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import BaseConverter

from pixelbloom import logs
from pixelbloom.config import Settings
from pixelbloom.config import settings as process_settings
from pixelbloom.telemetry import sentry
from pixelbloom.web import container
from pixelbloom.web.agents.routes import agents
from pixelbloom.web.analytics.agent_routes import agent_analytics
from pixelbloom.web.analytics.revenue_routes import revenue_analytics
from pixelbloom.web.analytics.routes import analytics
from pixelbloom.web.console import pages as console_pages
from pixelbloom.web.conversations.routes import conversations
from pixelbloom.web.conversations.visitors import visitors
from pixelbloom.web.http import compression, cors, errors, openapi, request_id
from pixelbloom.web.http.body import StrictRequest
from pixelbloom.web.leads.routes import leads
from pixelbloom.web.me.routes import me
from pixelbloom.web.notifications.routes import notifications
from pixelbloom.web.operations import metrics, traces
from pixelbloom.web.operations.health import health
from pixelbloom.web.payments.events import payment_events
from pixelbloom.web.payments.routes import payments
from pixelbloom.web.payments.stripe_webhook import stripe_webhook
from pixelbloom.web.pricing.admin_routes import pricing_admin
from pixelbloom.web.pricing.routes import pricing
from pixelbloom.web.realtime import register_realtime, topics
from pixelbloom.web.realtime.asyncapi import asyncapi
from pixelbloom.web.runs.approvals import approvals
from pixelbloom.web.runs.events import run_events
from pixelbloom.web.runs.failures import failures
from pixelbloom.web.runs.routes import runs
from pixelbloom.web.schedules.routes import schedules
from pixelbloom.web.webhooks.routes import webhooks
from pixelbloom.web.workflows.routes import workflows
from pixelbloom.web.workflows.run_routes import workflow_runs


class AgentName(BaseConverter):
    """The name of an agent in a path, except the fixed segments in its place."""

    regex = "(?!(?:approvals|failures|invoke|runs|schedules|webhooks|workflows)$)[^/]{1,100}"


class WorkflowName(BaseConverter):
    """A workflow's name in a path, except the fixed segments in its place."""

    regex = "(?!(?:execute|runs|validate)$)[^/]+"


class NotificationName(BaseConverter):
    """A notification's id in a path, except the fixed segments in its place."""

    regex = "(?!(?:unread-count|mark-read|mark-all-read|broadcasts)$)[^/]+"


class RunName(BaseConverter):
    """A run's id in a path, except `retry`."""

    regex = "(?!retry$)[^/]+"


def described() -> openapi.Api:
    """Return the application with its routes only, without settings and services: enough for the API document."""
    app = openapi.make()
    app.request_class = StrictRequest
    app.json.sort_keys = False  # type: ignore[attr-defined]
    app.url_map.merge_slashes = False
    app.url_map.strict_slashes = True
    app.url_map.converters["agent"] = AgentName
    app.url_map.converters["notification"] = NotificationName
    app.url_map.converters["run"] = RunName
    app.url_map.converters["workflow"] = WorkflowName
    for blueprint in (  # in the order of the docs page
        *(agents, runs, workflows, workflow_runs, run_events, approvals, failures, schedules, webhooks),
        *(analytics, revenue_analytics, agent_analytics),
        *(me, leads, conversations, visitors, notifications),
        *(pricing, pricing_admin, payments, payment_events, stripe_webhook),
        *(health, metrics.metrics),
    ):
        app.register_api(blueprint)
    return app


def create_app(settings: Settings | None = None) -> openapi.Api:
    """Return the WSGI application. It starts even while its dependencies are unreachable; `/readyz` reports them."""
    settings = settings or process_settings()
    logs.configure(settings)
    sentry.start(settings, "web")
    app = described()
    traces.register(app, settings)
    if settings.trusted_proxies:
        # Only the client's address: nothing here uses the outer host or scheme.
        app.wsgi_app = ProxyFix(  # type: ignore[method-assign]
            app.wsgi_app, x_for=settings.trusted_proxies, x_proto=0, x_host=0, x_port=0, x_prefix=0
        )
    parts = container.WebContainer(settings)
    container.install(app, parts)
    verifier = parts.verifier
    metrics.register(app, parts.hub.stats)  # first, so that it covers the whole of each request
    compression.register(app)  # next, so that it compresses the final response
    request_id.register(app)
    cors.register(app, settings)
    errors.register(app)
    openapi.register_docs(app, asyncapi)
    console_pages.register(app, settings)
    register_realtime(
        app,
        settings=settings,
        hub=parts.hub,
        verify=lambda token: parts.roles.resolve(verifier.verify(token)),
        sources=topics.sources(parts),
        roles=parts.roles,
    )
    app.after_request(_secure)
    return app


def _secure(response: Response) -> Response:
    headers = response.headers
    headers.setdefault("X-Content-Type-Options", "nosniff")
    headers.setdefault("Referrer-Policy", "no-referrer")
    if response.mimetype == "application/json":
        headers.setdefault("Cache-Control", "no-store")
        headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
    return response
