"""The parts of the web tier, in addition to those it shares with workers."""

from flask import Flask, current_app

from pixelbloom.analytics.store import AnalyticsStore
from pixelbloom.auth.access import Access
from pixelbloom.auth.profiles_store import ProfileStore
from pixelbloom.auth.roles import Roles
from pixelbloom.auth.tokens import TokenVerifier
from pixelbloom.auth.visitors import VisitorTokens
from pixelbloom.container import Container
from pixelbloom.conversations.service import ConversationService
from pixelbloom.core.part import part
from pixelbloom.leads.service import LeadService
from pixelbloom.payments.claims import Claims
from pixelbloom.payments.subscriptions import Subscriptions
from pixelbloom.runs.control import RunControl
from pixelbloom.runs.waiting import EndWaiter
from pixelbloom.web.http.limits import RateLimit, SubmissionLimit, VisitorLimits
from pixelbloom.web.http.searches import Searches
from pixelbloom.web.operations.readiness import Readiness, probes
from pixelbloom.web.realtime.hub import Hub
from pixelbloom.web.runs.waits import Waits

KEY = "pixelbloom"


class WebContainer(Container):
    """The parts of one web process."""

    @part
    def verifier(self) -> TokenVerifier:
        return TokenVerifier(self.settings)

    @part
    def visitors(self) -> VisitorTokens:
        return VisitorTokens(self.settings)

    @part
    def profiles(self) -> ProfileStore:
        return ProfileStore(self.gateway)

    @part
    def roles(self) -> Roles:
        return Roles(self.profiles.admins_among, seconds=self.settings.role_seconds)

    @part
    def access(self) -> Access:
        return Access(self.roles)

    @part
    def control(self) -> RunControl:
        return RunControl(self.run_store, self.runs, self.workflows, self.dispatcher.publish)

    @part
    def submission_limit(self) -> SubmissionLimit:
        settings = self.settings
        return SubmissionLimit(settings.run_rate_limit, self.redis, anonymous=settings.visitor_message_limit)

    @part
    def visitor_limits(self) -> VisitorLimits:
        settings = self.settings
        limits = (settings.visitor_session_limit, settings.visitor_lead_limit, settings.visitor_message_limit)
        return VisitorLimits(*limits, self.redis)

    @part
    def quote_limit(self) -> RateLimit:
        return RateLimit(self.settings.quote_rate_limit, self.redis, "quotes")

    @part
    def checkout_limit(self) -> RateLimit:
        return RateLimit(self.settings.checkout_rate_limit, self.redis, "checkouts", strict=True)

    @part
    def analytics(self) -> AnalyticsStore:
        return AnalyticsStore(self.gateway)

    @part
    def leads(self) -> LeadService:
        return LeadService(self.gateway, self.access)

    @part
    def conversations(self) -> ConversationService:
        return ConversationService(self.gateway, self.access, self.leads.find)

    @part
    def claims(self) -> Claims:
        return Claims(self.payments.claim, self.relay_outbox)

    @part
    def subscriptions(self) -> Subscriptions:
        return Subscriptions(self.payments, self.stripe, self.checkouts, self.claims, self.relay_outbox)

    @part
    def hub(self) -> Hub:
        return Hub(self.settings.require("redis_url"))

    @part
    def waiter(self) -> EndWaiter:
        return EndWaiter(self.hub.listen, self.runs.ended)

    @part
    def waits(self) -> Waits:
        return Waits(self.settings.waits_per_user, self.settings.waits_per_process, self.hub.stats)

    @part
    def searches(self) -> Searches:
        return Searches(self.settings.searches_per_user, self.settings.search_queue_seconds)

    @part
    def readiness(self) -> Readiness:
        own_broker = self.settings.broker_url is not None
        return Readiness(probes(self.gateway, self.redis, self.celery, self.pulses, own_broker=own_broker))


def install(app: Flask, parts: WebContainer) -> None:
    """Store the parts with the application."""
    app.extensions[KEY] = parts


def of(app: Flask) -> WebContainer:
    """Return the parts of this application."""
    parts: WebContainer = app.extensions[KEY]
    return parts


def services() -> WebContainer:
    """Return the parts of the application that handles the current request."""
    return of(current_app)
