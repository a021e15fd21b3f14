"""The queues of Celery. Each has a worker role of the same name."""

AGENTS, EVENTS, MAINTENANCE, WEBHOOKS = QUEUES = ("agents", "events", "maintenance", "webhooks")
