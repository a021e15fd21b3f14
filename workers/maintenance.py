"""The maintenance worker sweeps: `celery -A workers.maintenance worker -n maintenance@%h`."""

from workers.role import role

app = role("maintenance", concurrency=2)
