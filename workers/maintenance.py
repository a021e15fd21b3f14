"""The maintenance worker sweeps: `celery -A workers.maintenance worker -n maintenance@%h`.

Beat and Flower use this app too.
"""

from workers.role import role

app = role("maintenance", concurrency=2)
