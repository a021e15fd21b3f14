"""`/api/payments/events`: Stripe's events and their processing state, and replays. For administrators."""

from flask_openapi3 import APIBlueprint, Tag

from pixelbloom.database.cursors import write_received_cursor
from pixelbloom.errors import NotFound
from pixelbloom.web.container import services
from pixelbloom.web.http.caller import require_admin, scoped
from pixelbloom.web.http.openapi import SECURITY, failures, success
from pixelbloom.web.payments.schemas import EventPath, EventsBody, EventsQuery, ReplayedBody

payment_events = APIBlueprint(
    "payment_events",
    __name__,
    url_prefix="/api/payments/events",
    abp_tags=[Tag(name="Payments", description="Stripe checkout, webhooks and subscriptions.")],
    abp_security=SECURITY,
)


@payment_events.before_request
def guard() -> None:
    scoped("payments")()
    require_admin("see and replay Stripe's events")


@payment_events.get(
    "",
    summary="List Stripe events",
    operation_id="listStripeEvents",
    responses={**success(EventsBody), **failures(400, 401, 403, 500, 503)},
)
def list_events(query: EventsQuery) -> EventsBody:
    """Returns events, newest first. Those with status `failed` are dead-lettered: `error` says why, and a replay
    processes them again.
    """
    rows = services().payments.events(limit=query.limit, status=query.status, before=query.before)
    return EventsBody.of(rows, write_received_cursor)


@payment_events.post(
    "/<event_id>/replay",
    summary="Replay a Stripe event",
    operation_id="replayStripeEvent",
    responses={**success(ReplayedBody, status=202), **failures(401, 403, 404, 500, 503)},
)
def replay_event(path: EventPath) -> tuple[ReplayedBody, int]:
    """Processes an event again. Safe to repeat: the rows depend only on the set of events. An event that could not be
    parsed is fetched from Stripe.
    """
    before = services().payments.replay(path.event_id)
    if before is None:
        raise NotFound("There is no such event; GET /api/payments/events lists them.")
    services().dispatcher.send("pixelbloom.process_stripe_event", path.event_id)
    return ReplayedBody.model_validate({"id": path.event_id, "status_before": before}), 202
