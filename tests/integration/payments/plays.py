"""Sequences of events of Stripe, and their delivery."""

from hypothesis import strategies as st

from pixelbloom.payments import stripe_state
from pixelbloom.payments.store import PaymentStore
from tests.servers.stripe import Event

#: Steps, and sequences of steps that only make sense together.
STORIES = [
    *(["renewed"], ["unpaid"], ["paid late"], ["upgraded"], ["to end"], ["to continue"], ["to end at"], ["goes on"]),
    *(["paused"], ["resumed"], ["refunded"], ["part refunded"], ["refund failed"], ["trial_will_end"], ["ended"]),
    *(["to end at", "goes on"], ["part refunded", "refund failed"], ["refunded", "refund failed"]),
    *(["part refunded", "part refunded", "refund failed"], ["renewed", "disputed"], ["dispute lost"]),
    *(["renewed", "disputed", "dispute won"], ["renewed", "disputed", "dispute lost"]),
    *(["unpaid", "voided"], ["unpaid", "uncollectible"], ["unpaid", "uncollectible", "voided"]),
    *(["drafted"], ["drafted", "draft changed"], ["drafted", "draft deleted"]),
]
PLAYS = st.lists(st.sampled_from(STORIES), max_size=6).map(lambda stories: [step for each in stories for step in each])
STYLES = ("charges", "refunds", "both")
CURRENCIES = ("usd", "jpy", "kwd")
INTERVALS = (("month", 1), ("month", 3), ("month", 6), ("year", 1), ("year", 2), ("week", 1), ("day", 10))


def deliver(store: PaymentStore, event: Event) -> None:
    """Deliver an event as the webhook and the worker do."""
    fact = stripe_state.read(event)
    store.record(event, fact)
    begun = store.begin(event["id"], 60)
    if begun is not None:
        applied = store.apply(event["id"], begun["state"], begun["token"])
        assert applied is not None
        assert applied["status"] in ("processed", "ignored")
