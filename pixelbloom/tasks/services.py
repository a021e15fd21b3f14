"""What the tasks of a worker process work with, built on first use and again after a fork."""

import os
import socket
import threading
from dataclasses import asdict, dataclass
from uuid import UUID

import redis
import structlog

from pixelbloom.agents.conversation_reader import ConversationReader
from pixelbloom.agents.lead_reader import LeadReader
from pixelbloom.celery_app import app
from pixelbloom.config import Settings, settings
from pixelbloom.conversations.store import ScopedConversations
from pixelbloom.database.gateway import Gateway
from pixelbloom.events.outbox import OutboxStore
from pixelbloom.events.publisher import Publisher, publisher_redis
from pixelbloom.leads.scoped import ScopedLeads
from pixelbloom.models.manager import ModelManager
from pixelbloom.models.metrics_store import ModelMetricStore
from pixelbloom.models.request import ModelCall
from pixelbloom.notifications.store import BroadcastStore, NotificationStore
from pixelbloom.payments.checkout import Checkouts
from pixelbloom.payments.gateway import StripeGateway
from pixelbloom.payments.store import PaymentStore
from pixelbloom.periodic.store import PeriodicTaskStore
from pixelbloom.pricing.store import PricingStore
from pixelbloom.runs.dispatcher import Dispatcher
from pixelbloom.runs.executor import StepExecutor
from pixelbloom.runs.leases import LeaseKeeper
from pixelbloom.runs.service import RunService
from pixelbloom.runs.store import RunStore
from pixelbloom.schedules.service import ScheduleService
from pixelbloom.schedules.store import ScheduleStore
from pixelbloom.webhooks.sender import Sender
from pixelbloom.webhooks.store import WebhookStore
from pixelbloom.workflows.rendering import render
from pixelbloom.workflows.service import WorkflowService
from pixelbloom.workflows.store import WorkflowStore

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Services:
    """The parts of one worker process."""

    settings: Settings
    redis: redis.Redis
    runs: RunStore
    outbox: OutboxStore
    periodic: PeriodicTaskStore
    notifications: NotificationStore
    broadcasts: BroadcastStore
    publisher: Publisher
    dispatcher: Dispatcher
    leases: LeaseKeeper
    executor: StepExecutor
    schedules: ScheduleService
    webhooks: WebhookStore
    sender: Sender
    payments: PaymentStore
    pricing: PricingStore
    stripe: StripeGateway
    checkouts: Checkouts
    worker: str


def build() -> Services:
    """Connect nothing yet; every client connects when it is first used."""
    config = settings()
    gateway = Gateway(config)
    client = publisher_redis(config)
    publisher = Publisher(client)
    dispatcher = Dispatcher(app, publisher.tell)
    runs = RunStore(gateway, lane_limit=config.user_concurrency, lease_seconds=config.lease_seconds)
    service = RunService(runs, dispatcher.publish, model_timeout=config.model_timeout)
    workflows = WorkflowService(WorkflowStore(gateway), service, model_timeout=config.model_timeout)
    leases = LeaseKeeper(runs.renew)
    metrics = ModelMetricStore(gateway)
    pricing, stripe = PricingStore(gateway), StripeGateway(config)
    worker = f"{socket.gethostname()}:{os.getpid()}"

    def record(call: ModelCall) -> None:
        row = asdict(call)
        row["run_id"] = str(call.run_id) if call.run_id else None
        row["created_at"] = row.pop("at").isoformat()
        metrics.add(row)

    def leads_of(user_id: UUID | None) -> LeadReader:
        return ScopedLeads(gateway, user_id)

    def conversations_of(user_id: UUID | None) -> ConversationReader:
        return ScopedConversations(gateway, user_id)

    return Services(
        settings=config,
        redis=client,
        runs=runs,
        outbox=OutboxStore(gateway),
        periodic=PeriodicTaskStore(gateway),
        notifications=NotificationStore(gateway),
        broadcasts=BroadcastStore(gateway),
        publisher=publisher,
        dispatcher=dispatcher,
        leases=leases,
        executor=StepExecutor(
            store=runs,
            publisher=publisher,
            dispatcher=dispatcher,
            leases=leases,
            models=ModelManager(config, record),
            render=render,
            leads_of=leads_of,
            conversations_of=conversations_of,
            worker=worker,
        ),
        schedules=ScheduleService(ScheduleStore(gateway), service, workflows),
        webhooks=WebhookStore(
            gateway,
            user_limit=config.webhook_user_concurrency,
            host_limit=config.webhook_host_concurrency,
        ),
        sender=Sender(
            [secret.get_secret_value() for secret in config.webhook_secret],
            allow_private=config.webhook_allow_private,
        ),
        payments=PaymentStore(gateway),
        pricing=pricing,
        stripe=stripe,
        checkouts=Checkouts(config, pricing, stripe),
        worker=worker,
    )


_lock = threading.Lock()
_built: tuple[int, Services] | None = None


def services() -> Services:
    """This process's services."""
    global _built
    with _lock:
        if _built is None or _built[0] != os.getpid():
            _built = (os.getpid(), build())
        return _built[1]
