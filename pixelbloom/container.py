"""The parts of a process, each built on first use. The web tier and the workers share this container.

Building a part connects to nothing, so that a process starts while Redis or the database is unreachable. Modules are
imported with the part that needs them: a worker does not load those of other roles.
"""

import os
import socket
from collections.abc import Callable
from dataclasses import asdict
from threading import RLock
from typing import TYPE_CHECKING
from uuid import UUID

import redis

from pixelbloom.config import Settings
from pixelbloom.core.part import part
from pixelbloom.database.gateway import Gateway
from pixelbloom.telemetry.recorder import DISCARD, Recorder

if TYPE_CHECKING:
    from celery import Celery

    from pixelbloom.agents.conversation_reader import ConversationReader
    from pixelbloom.agents.lead_reader import LeadReader
    from pixelbloom.analytics.figure_store import FigureStore
    from pixelbloom.events.outbox import OutboxStore
    from pixelbloom.events.publisher import Publisher
    from pixelbloom.models.manager import ModelManager
    from pixelbloom.models.request import ModelCall
    from pixelbloom.notifications.store import BroadcastStore, NotificationStore
    from pixelbloom.payments.checkout import Checkouts
    from pixelbloom.payments.gateway import StripeGateway
    from pixelbloom.payments.store import PaymentStore
    from pixelbloom.periodic.pulses import Pulses
    from pixelbloom.periodic.retention_store import RetentionStore
    from pixelbloom.periodic.store import PeriodicTaskStore
    from pixelbloom.pricing.service import PricingService
    from pixelbloom.runs.dispatcher import Dispatcher, UpdatePublisher
    from pixelbloom.runs.executor import StepExecutor
    from pixelbloom.runs.leases import LeaseKeeper
    from pixelbloom.runs.service import RunService
    from pixelbloom.runs.store import RunStore
    from pixelbloom.schedules.service import ScheduleService
    from pixelbloom.webhooks.sender import Sender
    from pixelbloom.webhooks.store import WebhookStore
    from pixelbloom.workflows.service import WorkflowService


class Container:
    """The parts of one process, built from its settings."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.lock = RLock()

    @part
    def worker(self) -> str:
        """The name under which this process claims leases."""
        return f"{socket.gethostname()}:{os.getpid()}"

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
    def outbox(self) -> "OutboxStore":
        from pixelbloom.events.outbox import OutboxStore

        return OutboxStore(self.gateway)

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
    def retention(self) -> "RetentionStore":
        from pixelbloom.periodic.retention_store import RetentionStore

        return RetentionStore(self.gateway)

    @part
    def figures(self) -> "FigureStore":
        from pixelbloom.analytics.figure_store import FigureStore

        return FigureStore(self.gateway)

    @part
    def pulses(self) -> "Pulses":
        from pixelbloom.periodic.pulses import Pulses

        return Pulses(self.redis)

    @part
    def leases(self) -> "LeaseKeeper":
        from pixelbloom.runs.leases import LeaseKeeper

        return LeaseKeeper(self.run_store.renew)

    @part
    def executor(self) -> "StepExecutor":
        from pixelbloom.events.emitter import DeltaSender
        from pixelbloom.runs.executor import StepExecutor
        from pixelbloom.workflows.rendering import render

        return StepExecutor(
            store=self.run_store,
            updates=self.updates,
            deltas=DeltaSender(self.publisher.run_deltas),
            dispatcher=self.dispatcher,
            leases=self.leases,
            models=self.models,
            render=render,
            leads_of=self._leads_of,
            conversations_of=self._conversations_of,
            worker=self.worker,
            metrics=self.metrics,
        )

    @part
    def models(self) -> "ModelManager":
        from pixelbloom.models.manager import ModelManager

        return ModelManager(self.settings, self.model_calls)

    @part
    def model_calls(self) -> "Callable[[ModelCall], None]":
        """The function that stores the metrics of each model call."""
        from pixelbloom.models.metrics_store import ModelMetricStore

        metrics = ModelMetricStore(self.gateway)

        def record(call: "ModelCall") -> None:
            self.metrics.model_called(
                call.provider,
                call.outcome,
                call.latency_ms / 1000,
                (call.prompt_tokens, call.completion_tokens),
                breaker_open=self.models.breakers[call.provider].is_open,
            )
            row = asdict(call)
            row["run_id"] = str(call.run_id) if call.run_id else None
            row["created_at"] = row.pop("at").isoformat()
            metrics.add(row)

        return record

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
    def sender(self) -> "Sender":
        from pixelbloom.webhooks.sender import Sender

        return Sender(
            [secret.get_secret_value() for secret in self.settings.webhook_secret],
            allow_private=self.settings.webhook_allow_private,
        )

    @part
    def notifications(self) -> "NotificationStore":
        from pixelbloom.notifications.store import NotificationStore

        return NotificationStore(self.gateway)

    @part
    def broadcasts(self) -> "BroadcastStore":
        from pixelbloom.notifications.store import BroadcastStore

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
    def stripe(self) -> "StripeGateway":
        from pixelbloom.payments.gateway import StripeGateway

        return StripeGateway(self.settings)

    @part
    def checkouts(self) -> "Checkouts":
        from pixelbloom.payments.checkout import Checkouts

        return Checkouts(self.settings, self.pricing, self.stripe)

    def _leads_of(self, user_id: UUID | None) -> "LeadReader":
        from pixelbloom.leads.scoped import ScopedLeads

        return ScopedLeads(self.gateway, user_id)

    def _conversations_of(self, user_id: UUID | None) -> "ConversationReader":
        from pixelbloom.conversations.store import ScopedConversations

        return ScopedConversations(self.gateway, user_id)
