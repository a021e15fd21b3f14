"""Celery's settings, as data. The queue of each worker is set in `workers/`."""

from kombu.entity import Exchange, Queue

from pixelbloom.celery_app import VISIBILITY_TIMEOUT_SECONDS, broker_options
from pixelbloom.config import settings
from pixelbloom.core.queues import AGENTS, EVENTS, MAINTENANCE, QUEUES, WEBHOOKS

_BROKER = broker_options(settings())
broker_url = _BROKER["broker_url"]
broker_use_ssl = _BROKER["broker_use_ssl"]
broker_transport_options = _BROKER["broker_transport_options"]
# RabbitMQ would close the connections of what only sends. A worker's consumer has a heartbeat (workers/broker.py).
broker_heartbeat = 0
broker_connection_retry_on_startup = True
broker_connection_max_retries = None  # retry forever; the watchdog ends a worker that hangs
task_inherit_parent_priority = True  # the steps of a chain have the priority of the first
visibility_timeout = VISIBILITY_TIMEOUT_SECONDS

# Postgres has the state of runs; there is no result backend.
result_backend = None
task_ignore_result = True

task_serializer = "json"
accept_content = ["json"]
enable_utc = True
timezone = "UTC"

# One exchange per queue: on a shared one, a message would reach all queues. RabbitMQ's are replicated and on disk.
_ARGUMENTS = {"x-queue-type": "quorum"} if settings().broker_url is not None else None
task_queues = tuple(Queue(name, Exchange(name), routing_key=name, queue_arguments=_ARGUMENTS) for name in QUEUES)
task_default_queue = AGENTS
task_create_missing_queues = False
task_routes = {
    "pixelbloom.run_step": {"queue": AGENTS},
    "pixelbloom.relay_outbox": {"queue": EVENTS},
    "pixelbloom.sweep_runs": {"queue": MAINTENANCE},
    "pixelbloom.run_due_tasks": {"queue": MAINTENANCE},
    "pixelbloom.fold_figures": {"queue": MAINTENANCE},
    "pixelbloom.purge_runs": {"queue": MAINTENANCE},
    "pixelbloom.purge_notifications": {"queue": MAINTENANCE},
    "pixelbloom.purge_records": {"queue": MAINTENANCE},
    "pixelbloom.send_broadcasts": {"queue": MAINTENANCE},
    "pixelbloom.fire_schedules": {"queue": MAINTENANCE},
    "pixelbloom.process_stripe_event": {"queue": MAINTENANCE},
    "pixelbloom.process_stripe_events": {"queue": MAINTENANCE},
    "pixelbloom.release_lost_uses": {"queue": MAINTENANCE},
    "pixelbloom.reconcile_subscriptions": {"queue": MAINTENANCE},
    "pixelbloom.send_due_webhooks": {"queue": WEBHOOKS},
    "pixelbloom.send_webhook": {"queue": WEBHOOKS},
}

# A message is acknowledged when its step has ended; that of a dead worker is redelivered.
task_acks_late = True
task_reject_on_worker_lost = True
task_acks_on_failure_or_timeout = True
worker_prefetch_multiplier = 1
# The threads pool cannot end a task. A step continues without its message: its lease prevents a second claim.
worker_cancel_long_running_tasks_on_connection_loss = False
worker_hijack_root_logger = False
worker_enable_remote_control = True
control_queue_expires = 60.0
event_queue_expires = 60.0

# Flower asks the workers for events while it runs; without it, they send none.
worker_send_task_events = False
task_send_sent_event = False
task_track_started = True

imports = tuple(
    f"pixelbloom.tasks.{name}"
    for name in (
        *("steps", "outbox", "sweep", "schedules", "webhooks", "notifications", "payments", "figures", "retention"),
        *("periodic", "pulse"),
    )
)

# Beat stores no state and has no entries: it sends what the database finds due (pixelbloom/periodic/duties.py).
beat_scheduler = "pixelbloom.periodic.scheduler:DueScheduler"
