"""Celery's settings, as data. Which worker takes which queue is said in `workers/`."""

from celery.schedules import crontab
from kombu.entity import Exchange, Queue

from pixelbloom.config import settings
from pixelbloom.queue import broker_address
from pixelbloom.runs.run import BROKER_PRIORITY

#: Longer than the longest step, or a running step's message is delivered again and again.
VISIBILITY_TIMEOUT_SECONDS = 2 * 3600

broker_url = broker_address(settings().require("redis_url"))
broker_connection_retry_on_startup = True
broker_connection_max_retries = None  # never alive and deaf: keep trying, the watchdog ends what hangs
broker_transport_options = {
    "visibility_timeout": VISIBILITY_TIMEOUT_SECONDS,
    "socket_timeout": 30.0,  # without one, a publish on a dead connection hangs for ever
    "socket_connect_timeout": 2.0,
    "socket_keepalive": True,
    "health_check_interval": 10,
    "priority_steps": sorted(BROKER_PRIORITY.values()),
}
task_inherit_parent_priority = True  # a chain goes on as urgent as it began
visibility_timeout = VISIBILITY_TIMEOUT_SECONDS

# The truth about a run is in Postgres; there is no result backend.
result_backend = None
task_ignore_result = True

task_serializer = "json"
accept_content = ["json"]
enable_utc = True
timezone = "UTC"

# An exchange each: on the default one, a message for one queue would reach all of them.
task_queues = tuple(
    Queue(name, Exchange(name), routing_key=name) for name in ("agents", "events", "maintenance", "webhooks")
)
task_default_queue = "agents"
task_create_missing_queues = False
task_routes = {
    "pixelbloom.run_step": {"queue": "agents"},
    "pixelbloom.relay_outbox": {"queue": "events"},
    "pixelbloom.sweep_runs": {"queue": "maintenance"},
    "pixelbloom.purge_runs": {"queue": "maintenance"},
    "pixelbloom.purge_notifications": {"queue": "maintenance"},
    "pixelbloom.send_broadcasts": {"queue": "maintenance"},
    "pixelbloom.fire_schedules": {"queue": "maintenance"},
    "pixelbloom.process_stripe_event": {"queue": "maintenance"},
    "pixelbloom.process_stripe_events": {"queue": "maintenance"},
    "pixelbloom.reconcile_subscriptions": {"queue": "maintenance"},
    "pixelbloom.send_due_webhooks": {"queue": "webhooks"},
    "pixelbloom.send_webhook": {"queue": "webhooks"},
}

# A message is acknowledged when its step has ended; a worker that dies gives it back.
task_acks_late = True
task_reject_on_worker_lost = True
task_acks_on_failure_or_timeout = True
worker_prefetch_multiplier = 1
worker_cancel_long_running_tasks_on_connection_loss = True
worker_hijack_root_logger = False
worker_enable_remote_control = True
control_queue_expires = 60.0
event_queue_expires = 60.0

# What Flower shows.
worker_send_task_events = True
task_send_sent_event = False
task_track_started = True

imports = tuple(
    f"pixelbloom.tasks.{name}"
    for name in ("steps", "outbox", "sweep", "schedules", "webhooks", "notifications", "payments")
)

beat_schedule_filename = str(settings().pixelbloom_home / "beat-schedule")
beat_max_loop_interval = 1.0
# A message that nobody took in time is dropped: the next one does the same work.
beat_schedule = {
    "sweep": {"task": "pixelbloom.sweep_runs", "schedule": 2.0, "options": {"expires": 4.0}},
    "schedules": {"task": "pixelbloom.fire_schedules", "schedule": 2.0, "options": {"expires": 4.0}},
    "webhooks": {"task": "pixelbloom.send_due_webhooks", "schedule": 2.0, "options": {"expires": 4.0}},
    "purge": {"task": "pixelbloom.purge_runs", "schedule": 300.0, "options": {"expires": 250.0}},
    "purge_notifications": {
        "task": "pixelbloom.purge_notifications",
        "schedule": 300.0,
        "options": {"expires": 250.0},
    },
    "broadcasts": {"task": "pixelbloom.send_broadcasts", "schedule": 2.0, "options": {"expires": 4.0}},
    "stripe_events": {"task": "pixelbloom.process_stripe_events", "schedule": 2.0, "options": {"expires": 4.0}},
    "reconcile": {
        "task": "pixelbloom.reconcile_subscriptions",
        "schedule": crontab(hour=3, minute=15),
        "options": {"expires": 3600.0},
    },
    "relay": {"task": "pixelbloom.relay_outbox", "schedule": 1.0, "options": {"expires": 2.0}},
}
