"""Delivers webhooks for finished runs."""

from uuid import UUID

import structlog

from pixelbloom.celery_app import app
from pixelbloom.errors import NotFound, PixelBloomError
from pixelbloom.runs.model import Run
from pixelbloom.tasks.container import services
from pixelbloom.webhooks.sender import Outcome, payload

log = structlog.get_logger(__name__)

BATCH = 100
#: Longer than an attempt and the usual wait of its message. A delivery whose sender died is claimed again after it.
LEASE_SECONDS = 60.0


@app.task(name="pixelbloom.send_due_webhooks")
def send_due_webhooks() -> int:
    """Claim due deliveries and enqueue a task for each. Return their number."""
    return _dispatch()


def _dispatch() -> int:
    due = services().webhooks.take(BATCH, LEASE_SECONDS)
    for delivery in due:
        send_webhook.apply_async(
            args=(delivery["id"], delivery["token"]), argsrepr=f"(delivery {delivery['id']})", retry=False
        )
    return len(due)


@app.task(name="pixelbloom.send_webhook")
def send_webhook(delivery_id: str, token: int) -> str | None:
    """Make one attempt at a delivery. A duplicate or late message of the same attempt sends nothing."""
    parts = services()
    begun = parts.webhooks.begin(UUID(delivery_id), token, LEASE_SECONDS)
    if begun is None:
        return None
    try:
        run = Run.from_row(parts.run_store.get(UUID(begun["run_id"])))
    except NotFound:
        return None
    outcome: Outcome = parts.sender.send(
        UUID(delivery_id), begun["url"], payload(begun["event"], run.to_public()), run.user_id
    )
    status = parts.webhooks.finish(
        UUID(delivery_id),
        begun["token"],
        {
            "delivered": outcome.delivered,
            "final": outcome.final,
            "status_code": outcome.status_code,
            "error": outcome.error,
            "duration_ms": outcome.duration_ms,
            "retry_seconds": outcome.retry_seconds(begun["attempts"]),
            "responded": outcome.responded,
        },
    )
    ended = "delivered" if outcome.delivered else "retry" if status == "pending" else "failed"
    parts.metrics.webhook_attempted(ended, outcome.duration_ms / 1000)
    log.info("webhook_sent", delivery_id=delivery_id, run_id=begun["run_id"], status=status, code=outcome.status_code)
    try:
        _dispatch()  # the attempt has ended, so its user and its host have room for the next one
    except PixelBloomError as error:
        log.warning("webhooks_left_to_beat", reason=error.message)
    return status
