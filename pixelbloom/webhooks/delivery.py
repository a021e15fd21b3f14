"""Delivers completion webhooks, each in attempts."""

from collections.abc import Callable
from uuid import UUID

import structlog

from pixelbloom.errors import NotFound, PixelBloomError
from pixelbloom.runs.model import Run
from pixelbloom.telemetry.recorder import Recorder
from pixelbloom.webhooks.sender import Sender, payload
from pixelbloom.webhooks.store import WebhookStore

log = structlog.get_logger(__name__)

BATCH = 100
#: Longer than an attempt and the usual wait of its message. A delivery whose sender died is claimed again after it.
LEASE_SECONDS = 60.0


class Deliveries:
    """The deliveries that are due.

    `run_of` returns a run and raises NotFound. `enqueue` makes a worker call `attempt` with this delivery's id and
    token.
    """

    def __init__(
        self,
        store: WebhookStore,
        sender: Sender,
        *,
        run_of: Callable[[UUID], Run],
        enqueue: Callable[[str, int], None],
        metrics: Recorder,
    ) -> None:
        self._store = store
        self._sender = sender
        self._run_of = run_of
        self._enqueue = enqueue
        self._metrics = metrics

    def enqueue_due(self) -> int:
        """Claim due deliveries and enqueue each. Return their number."""
        due = self._store.take(BATCH, LEASE_SECONDS)
        for delivery in due:
            self._enqueue(delivery["id"], delivery["token"])
        return len(due)

    def attempt(self, delivery_id: UUID, token: int) -> str | None:
        """Make one attempt and return the delivery's status.

        Returns None, and sends nothing, for a duplicate or late message of the same attempt, and if the run was
        deleted.
        """
        begun = self._store.begin(delivery_id, token, LEASE_SECONDS)
        if begun is None:
            return None
        try:
            run = self._run_of(UUID(begun["run_id"]))
        except NotFound:
            return None
        outcome = self._sender.send(delivery_id, begun["url"], payload(begun["event"], run.to_public()), run.user_id)
        status = self._store.finish(
            delivery_id,
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
        self._metrics.webhook_attempted(ended, outcome.duration_ms / 1000)
        log.info(
            "webhook_sent",
            delivery_id=str(delivery_id),
            run_id=begun["run_id"],
            status=status,
            code=outcome.status_code,
        )
        try:
            self.enqueue_due()  # the attempt has ended, so its user and its host have room for the next one
        except PixelBloomError as error:
            log.warning("webhooks_left_to_beat", reason=error.message)
        return status
