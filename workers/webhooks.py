"""The webhooks worker tells callers' servers of their runs: `celery -A workers.webhooks worker -n webhooks@%h`.

A process of its own, so that a receiver that is slow delays nobody but others like it.
"""

from workers.role import role

app = role("webhooks", concurrency=8)
