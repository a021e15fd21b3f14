"""The parts of a worker process, in addition to those it shares with the web tier.

Modules are imported with the part that needs them: a worker does not load those of other roles.
"""

import os
import secrets
import socket
from functools import cache
from typing import TYPE_CHECKING
from uuid import UUID

from pixelbloom.config import settings
from pixelbloom.container import Container
from pixelbloom.core.part import part

if TYPE_CHECKING:
    from pixelbloom.agents.conversation_reader import ConversationReader
    from pixelbloom.agents.lead_reader import LeadReader
    from pixelbloom.analytics.rollups import RollUps
    from pixelbloom.events.outbox import Relay
    from pixelbloom.models.manager import ModelManager
    from pixelbloom.notifications.broadcasts import BroadcastSender
    from pixelbloom.payments.reconciliation import Reconciliation
    from pixelbloom.periodic.retention import Retention
    from pixelbloom.runs.executor import StepExecutor
    from pixelbloom.runs.leases import LeaseKeeper
    from pixelbloom.runs.model import Run
    from pixelbloom.runs.recovery import LostBefore, Recovery
    from pixelbloom.webhooks.delivery import Deliveries


class WorkerContainer(Container):
    """The parts of one worker process."""

    @part
    def worker(self) -> str:
        """The name under which this process claims leases. In a container that restarts, only its end is new."""
        return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"

    @part
    def relay(self) -> "Relay":
        from pixelbloom.events.outbox import OutboxStore, Relay

        return Relay(OutboxStore(self.gateway), self.publisher, self.worker, self.metrics)

    @part
    def retention(self) -> "Retention":
        from pixelbloom.periodic.retention import Retention, RetentionStore

        return Retention(
            RetentionStore(self.gateway),
            self.settings,
            runs=self.run_store.purge,
            notifications=self.notifications.purge,
        )

    @part
    def rollups(self) -> "RollUps":
        from pixelbloom.analytics.rollups import FigureStore, RollUps

        return RollUps(FigureStore(self.gateway))

    @part
    def broadcast_sender(self) -> "BroadcastSender":
        from pixelbloom.notifications.broadcasts import BroadcastSender

        return BroadcastSender(self.broadcasts)

    @part
    def recovery(self) -> "Recovery":
        from pixelbloom.runs.recovery import Recovery, lost_by_rabbitmq, lost_by_redis

        def lost_before() -> "LostBefore":
            if self.settings.broker_url is None:
                return lost_by_redis(self.redis)
            return lost_by_rabbitmq(self.celery, self.run_store.newest_running)

        return Recovery(self.run_store, self.dispatcher, lost_before, self.metrics)

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
        from pixelbloom.models.metrics_store import ModelMetricStore

        return ModelManager(self.settings, ModelMetricStore(self.gateway).add, self.metrics)

    @part
    def deliveries(self) -> "Deliveries":
        from pixelbloom.runs.model import Run
        from pixelbloom.tasks.webhooks import enqueue
        from pixelbloom.webhooks.delivery import Deliveries
        from pixelbloom.webhooks.sender import Sender

        secrets = [secret.get_secret_value() for secret in self.settings.webhook_secret]

        def run_of(run_id: UUID) -> "Run":
            return Run.from_row(self.run_store.get(run_id))

        return Deliveries(
            self.webhooks,
            Sender(secrets, allow_private=self.settings.webhook_allow_private),
            run_of=run_of,
            enqueue=enqueue,
            metrics=self.metrics,
        )

    @part
    def reconciliation(self) -> "Reconciliation":
        from pixelbloom.payments.reconciliation import Reconciliation

        return Reconciliation(self.payments, self.stripe, self.pricing, self.checkouts, self.relay_outbox)

    def _leads_of(self, user_id: UUID | None) -> "LeadReader":
        from pixelbloom.leads.scoped import ScopedLeads

        return ScopedLeads(self.gateway, user_id)

    def _conversations_of(self, user_id: UUID | None) -> "ConversationReader":
        from pixelbloom.conversations.store import ScopedConversations

        return ScopedConversations(self.gateway, user_id)


@cache
def services() -> WorkerContainer:
    """Return the container of this process, built on first use."""
    return WorkerContainer(settings())
