"""The parts of a process, each built on first use. The web tier and the workers share this container.

Building a part connects to nothing, so that a process starts while Redis or the database is unreachable. Modules are
imported with the part that needs them: a worker does not load those of other roles.
"""

from threading import RLock
from typing import TYPE_CHECKING

import redis

from pixelbloom.config import Settings
from pixelbloom.core.part import part
from pixelbloom.database.gateway import Gateway
from pixelbloom.telemetry.recorder import DISCARD, Recorder

if TYPE_CHECKING:
    from celery import Celery

    from pixelbloom.events.publisher import Publisher
    from pixelbloom.notifications.broadcasts import BroadcastStore
    from pixelbloom.notifications.store import NotificationStore
    from pixelbloom.payments.checkout import Checkouts
    from pixelbloom.payments.events import StripeEvents
    from pixelbloom.payments.gateway import StripeGateway
    from pixelbloom.payments.store import PaymentStore
    from pixelbloom.periodic.pulses import Pulses
    from pixelbloom.periodic.store import PeriodicTaskStore
    from pixelbloom.pricing.service import PricingService
    from pixelbloom.runs.dispatcher import Dispatcher, UpdatePublisher
    from pixelbloom.runs.service import RunService
    from pixelbloom.runs.store import RunStore
    from pixelbloom.schedules.service import ScheduleService
    from pixelbloom.webhooks.store import WebhookStore
    from pixelbloom.workflows.service import WorkflowService


class Container:
    """The parts of one process, built from its settings."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.lock = RLock()

    @part
    def gateway(self) -> Gateway:
        return Gateway(self.settings)

    @part
    def metrics(self) -> Recorder:
        """What a worker reports on METRICS_PORT; a recorder that discards it without the setting."""
        if self.settings.metrics_port is None:
            return DISCARD
        from pixelbloom.telemetry.worker_metrics import WorkerMetrics

        return WorkerMetrics()

    @part
    def celery(self) -> "Celery":
        from pixelbloom.celery_app import app

        return app

    @part
    def redis(self) -> redis.Redis:
        from pixelbloom.events.publisher import publisher_redis

        return publisher_redis(self.settings)

    @part
    def publisher(self) -> "Publisher":
        from pixelbloom.events.publisher import Publisher

        return Publisher(self.redis)

    @part
    def dispatcher(self) -> "Dispatcher":
        from pixelbloom.runs.dispatcher import Dispatcher

        return Dispatcher(self.celery, self.updates.publish)

    @part
    def updates(self) -> "UpdatePublisher":
        from pixelbloom.runs.dispatcher import UpdatePublisher

        return UpdatePublisher(self.publisher, self.run_store.acknowledge)

    @part
    def run_store(self) -> "RunStore":
        from pixelbloom.runs.store import RunStore

        settings = self.settings
        return RunStore(self.gateway, user_queue_limit=settings.user_concurrency, lease_seconds=settings.lease_seconds)

    @part
    def runs(self) -> "RunService":
        from pixelbloom.runs.service import RunService

        return RunService(self.run_store, self.dispatcher.publish, model_timeout=self.settings.model_timeout)

    @part
    def workflows(self) -> "WorkflowService":
        from pixelbloom.workflows.service import WorkflowService
        from pixelbloom.workflows.store import WorkflowStore

        return WorkflowService(WorkflowStore(self.gateway), self.runs, model_timeout=self.settings.model_timeout)

    @part
    def schedules(self) -> "ScheduleService":
        from pixelbloom.schedules.service import ScheduleService
        from pixelbloom.schedules.store import ScheduleStore

        return ScheduleService(
            ScheduleStore(self.gateway),
            self.runs,
            self.workflows,
            on_fired=lambda late: self.metrics.schedule_fired(late),
        )

    @part
    def periodic(self) -> "PeriodicTaskStore":
        from pixelbloom.periodic.store import PeriodicTaskStore

        return PeriodicTaskStore(self.gateway)

    @part
    def pulses(self) -> "Pulses":
        from pixelbloom.periodic.pulses import Pulses

        return Pulses(self.redis)

    @part
    def webhooks(self) -> "WebhookStore":
        from pixelbloom.webhooks.store import WebhookStore

        settings = self.settings
        return WebhookStore(
            self.gateway,
            user_limit=settings.webhook_user_concurrency,
            host_limit=settings.webhook_host_concurrency,
        )

    @part
    def notifications(self) -> "NotificationStore":
        from pixelbloom.notifications.store import NotificationStore

        return NotificationStore(self.gateway)

    @part
    def broadcasts(self) -> "BroadcastStore":
        from pixelbloom.notifications.broadcasts import BroadcastStore

        return BroadcastStore(self.gateway)

    @part
    def pricing(self) -> "PricingService":
        from pixelbloom.payments.campaigns import check_campaign
        from pixelbloom.pricing.service import PricingService

        return PricingService(self.gateway, lambda row: self.checkouts.check_package(row), check_campaign)

    @part
    def payments(self) -> "PaymentStore":
        from pixelbloom.payments.store import PaymentStore

        return PaymentStore(self.gateway)

    @part
    def stripe_events(self) -> "StripeEvents":
        from pixelbloom.payments.events import StripeEvents

        return StripeEvents(
            self.payments,
            self.stripe,
            enqueue=lambda event_id: self.dispatcher.send("pixelbloom.process_stripe_event", event_id),
            publish=self.relay_outbox,
            on_handled=lambda status: self.metrics.stripe_event_handled(status),
        )

    @part
    def stripe(self) -> "StripeGateway":
        from pixelbloom.payments.gateway import StripeGateway

        return StripeGateway(self.settings)

    @part
    def checkouts(self) -> "Checkouts":
        from pixelbloom.payments.checkout import Checkouts

        return Checkouts(self.settings, self.pricing, self.stripe)

    def relay_outbox(self) -> None:
        """Make a worker publish the outbox now, not at the next beat."""
        self.dispatcher.send("pixelbloom.relay_outbox")
