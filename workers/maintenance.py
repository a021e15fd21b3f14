"""The maintenance worker sweeps: `celery -A workers.maintenance worker -n maintenance@%h`. Beat and Flower use it too."""

from workers.role import role

app = role("maintenance", concurrency=2)
