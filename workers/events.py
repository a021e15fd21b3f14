"""The events worker publishes what the outbox holds: `celery -A workers.events worker -n events@%h`."""

from workers.role import role

app = role("events", concurrency=2)
