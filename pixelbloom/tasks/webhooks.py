"""Telling callers' servers how their runs ended."""

from uuid import UUID

import structlog

from pixelbloom.errors import NotFound
from pixelbloom.queue import app
from pixelbloom.runs.run import Run
from pixelbloom.tasks.services import services
from pixelbloom.webhooks.sender import Outcome, payload

log = structlog.get_logger(__name__)

BATCH = 100
#: Longer than an attempt may take; one whose sender died is taken again after it.
LEASE_SECONDS = 60.0


@app.task(name="pixelbloom.send_due_webhooks")
def send_due_webhooks() -> int:
    """Take what is due, and send a message for each. Answers how many."""
    due = services().webhooks.take(BATCH, LEASE_SECONDS)
    for delivery in due:
        send_webhook.apply_async(
            args=(delivery["id"], delivery["token"]), argsrepr=f"(delivery {delivery['id']})", retry=False
        )
    return len(due)


@app.task(name="pixelbloom.send_webhook")
def send_webhook(delivery_id: str, token: int) -> str | None:
    """Make one attempt at a delivery. The same attempt again, because its message came twice, records nothing."""
    parts = services()
    found = parts.webhooks.find(UUID(delivery_id))
    if found is None or found["status"] != "pending":
        return None
    try:
        run = Run.from_row(parts.runs.get(UUID(found["run_id"])))
    except NotFound:
        return None
    outcome: Outcome = parts.sender.send(UUID(delivery_id), found["url"], payload(found["event"], run.to_public()))
    status = parts.webhooks.finish(
        UUID(delivery_id),
        token,
        {
            "delivered": outcome.delivered,
            "final": outcome.final,
            "status_code": outcome.status_code,
            "error": outcome.error,
            "duration_ms": outcome.duration_ms,
            "retry_seconds": outcome.retry_seconds(found["attempts"]),
        },
    )
    log.info("webhook_sent", delivery_id=delivery_id, run_id=found["run_id"], status=status, code=outcome.status_code)
    return status
