"""The events worker publishes the outbox: `celery -A workers.events worker -n events@%h`."""

from workers.role import role

app = role("events", concurrency=2)
