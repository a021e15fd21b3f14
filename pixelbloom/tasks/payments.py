"""Processes Stripe's events, and reconciles with Stripe every night."""

from pixelbloom.celery_app import app
from pixelbloom.tasks.container import services


@app.task(name="pixelbloom.process_stripe_events")
def process_stripe_events() -> int:
    """Process due events, the oldest first. Return their number."""
    return services().stripe_events.process_due()


@app.task(name="pixelbloom.process_stripe_event")
def process_stripe_event(event_id: str) -> str | None:
    """Make one attempt at an event. Return its status, or None if it was not attempted."""
    return services().stripe_events.process(event_id)


@app.task(name="pixelbloom.reconcile_subscriptions")
def reconcile_subscriptions() -> int:
    """Compare every stored subscription with Stripe. Return the number repaired."""
    return services().reconciliation.subscriptions()


@app.task(name="pixelbloom.release_lost_uses")
def release_lost_uses() -> int:
    """Release code redemptions of checkouts that expired without an event. Return the number released."""
    return services().reconciliation.lost_uses()
