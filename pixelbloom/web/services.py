"""What the web tier works with: built once an application, connected on first use."""

from collections.abc import Callable
from dataclasses import dataclass

from flask import Flask, current_app

from pixelbloom.analytics.store import AnalyticsStore
from pixelbloom.auth.access import Access
from pixelbloom.auth.profiles_store import ProfileStore
from pixelbloom.auth.roles import Roles
from pixelbloom.auth.tokens import TokenVerifier
from pixelbloom.auth.visitors import VisitorTokens
from pixelbloom.celery_app import app as celery
from pixelbloom.config import Settings
from pixelbloom.conversations.store import ConversationStore
from pixelbloom.database.gateway import Gateway
from pixelbloom.events.publisher import Publisher, publisher_redis
from pixelbloom.leads.store import LeadRows
from pixelbloom.notifications.store import BroadcastStore, NotificationStore
from pixelbloom.payments.checkout import Checkouts
from pixelbloom.payments.claims import Claims
from pixelbloom.payments.gateway import StripeGateway
from pixelbloom.payments.store import PaymentStore
from pixelbloom.periodic.store import PeriodicTaskStore
from pixelbloom.pricing.store import PricingStore
from pixelbloom.runs.control import RunControl
from pixelbloom.runs.dispatcher import Dispatcher
from pixelbloom.runs.service import RunService
from pixelbloom.runs.store import RunStore
from pixelbloom.runs.waiting import EndWaiter
from pixelbloom.schedules.service import ScheduleService
from pixelbloom.schedules.store import ScheduleStore
from pixelbloom.web.http.limits import RateLimit, SubmissionLimit, VisitorLimits
from pixelbloom.web.http.searches import Searches
from pixelbloom.web.operations.readiness import Readiness, probes
from pixelbloom.web.realtime.hub import Hub
from pixelbloom.web.runs.waits import Waits
from pixelbloom.webhooks.store import WebhookStore
from pixelbloom.workflows.service import WorkflowService
from pixelbloom.workflows.store import WorkflowStore

KEY = "pixelbloom"


@dataclass(frozen=True)
class Services:
    """The parts of one web process."""

    settings: Settings
    verifier: TokenVerifier
    visitors: VisitorTokens
    roles: Roles
    access: Access
    runs: RunService
    workflows: WorkflowService
    control: RunControl
    schedules: ScheduleService
    webhooks: WebhookStore
    submission_limit: SubmissionLimit
    visitor_limits: VisitorLimits
    quote_limit: RateLimit
    checkout_limit: RateLimit
    analytics: AnalyticsStore
    leads: LeadRows
    conversations: ConversationStore
    pricing: PricingStore
    payments: PaymentStore
    stripe: StripeGateway
    checkouts: Checkouts
    claims: Claims
    send_task: Callable[..., None]
    notifications: NotificationStore
    broadcasts: BroadcastStore
    hub: Hub
    waiter: EndWaiter
    waits: Waits
    searches: Searches
    readiness: Readiness


def build(settings: Settings) -> Services:
    """Put the parts together. Nothing is connected yet, so that the process starts while a part is away."""
    gateway = Gateway(settings)
    profiles = ProfileStore(gateway)
    redis = publisher_redis(settings)
    store = RunStore(gateway, lane_limit=settings.user_concurrency, lease_seconds=settings.lease_seconds)
    dispatcher = Dispatcher(celery, Publisher(redis).tell)
    publish = dispatcher.publish
    runs = RunService(store, publish, model_timeout=settings.model_timeout)
    workflows = WorkflowService(WorkflowStore(gateway), runs, model_timeout=settings.model_timeout)
    pricing, payments, stripe = PricingStore(gateway), PaymentStore(gateway), StripeGateway(settings)
    hub = Hub(settings.require("redis_url"))
    roles = Roles(profiles.admins_among, seconds=settings.role_seconds)
    return Services(
        settings=settings,
        verifier=TokenVerifier(settings),
        visitors=VisitorTokens(settings),
        roles=roles,
        access=Access(roles),
        runs=runs,
        workflows=workflows,
        control=RunControl(store, runs, workflows, publish),
        schedules=ScheduleService(ScheduleStore(gateway), runs, workflows),
        webhooks=WebhookStore(gateway),
        submission_limit=SubmissionLimit(settings.run_rate_limit, redis, anonymous=settings.visitor_message_limit),
        visitor_limits=VisitorLimits(
            settings.visitor_session_limit, settings.visitor_lead_limit, settings.visitor_message_limit, redis
        ),
        quote_limit=RateLimit(settings.quote_rate_limit, redis, "quotes"),
        checkout_limit=RateLimit(settings.checkout_rate_limit, redis, "checkouts", strict=True),
        analytics=AnalyticsStore(gateway),
        leads=LeadRows(gateway),
        conversations=ConversationStore(gateway),
        pricing=pricing,
        payments=payments,
        stripe=stripe,
        checkouts=Checkouts(settings, pricing, stripe),
        claims=Claims(payments.claim, lambda: dispatcher.send("pixelbloom.relay_outbox")),
        send_task=dispatcher.send,
        notifications=NotificationStore(gateway),
        broadcasts=BroadcastStore(gateway),
        hub=hub,
        waiter=EndWaiter(hub.listen, runs.ended),
        searches=Searches(settings.searches_per_user, settings.search_queue_seconds),
        waits=Waits(settings.waits_per_user, settings.waits_per_process, hub.stats),
        readiness=Readiness(probes(profiles, redis, celery, PeriodicTaskStore(gateway))),
    )


def install(app: Flask, parts: Services) -> None:
    """Keep the parts with the application."""
    app.extensions[KEY] = parts


def of(app: Flask) -> Services:
    """The parts of this application."""
    parts: Services = app.extensions[KEY]
    return parts


def services() -> Services:
    """The parts of the application in hand."""
    return of(current_app)
