"""The webhooks worker delivers webhooks: `celery -A workers.webhooks worker -n webhooks@%h`.

It is a separate process, so that slow receivers delay only other deliveries.
"""

from workers.role import role

app = role("webhooks", concurrency=8)
