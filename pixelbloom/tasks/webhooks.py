"""Delivers webhooks for finished runs."""

from uuid import UUID

from pixelbloom.celery_app import app
from pixelbloom.tasks.container import services


@app.task(name="pixelbloom.send_due_webhooks")
def send_due_webhooks() -> int:
    """Claim due deliveries and enqueue a task for each. Return their number."""
    return services().deliveries.enqueue_due()


@app.task(name="pixelbloom.send_webhook")
def send_webhook(delivery_id: str, token: int) -> str | None:
    """Make one attempt at a delivery. Return its status, or None for a duplicate or late message."""
    return services().deliveries.attempt(UUID(delivery_id), token)


def enqueue(delivery_id: str, token: int) -> None:
    """Send the task of one attempt."""
    send_webhook.apply_async(args=(delivery_id, token), argsrepr=f"(delivery {delivery_id})", retry=False)
