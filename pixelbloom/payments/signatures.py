"""Webhooks of Stripe: signed on their raw bytes, with any of our secrets, not long ago."""

import json
from collections.abc import Sequence
from typing import Any

import stripe

from pixelbloom.errors import InvalidInput

#: Seconds for which a signature holds: what was sent longer ago is a replay.
TOLERANCE_SECONDS = 300
_REFUSED = "The signature does not verify: check STRIPE_WEBHOOK_SECRET and that the body is passed on byte by byte."


def verified(payload: bytes, header: str | None, secrets: Sequence[str]) -> dict[str, Any]:
    """The event in a webhook's body. Raises InvalidInput where nobody who knows a secret of ours sent it so."""
    for secret in secrets:
        try:
            stripe.WebhookSignature.verify_header(payload, header, secret, TOLERANCE_SECONDS)
            break
        except (stripe.SignatureVerificationError, UnicodeDecodeError):
            continue
    else:
        raise InvalidInput(_REFUSED)
    try:
        event = json.loads(payload)
    except (ValueError, RecursionError):
        event = None
    if (
        not isinstance(event, dict)
        or not isinstance(event.get("id"), str)
        or not 1 <= len(event["id"]) <= 255
        or not isinstance(event.get("type"), str)
        or not 1 <= len(event["type"]) <= 200
        or isinstance(event.get("created"), bool)
        or not isinstance(event.get("created"), int)
        or not 0 <= event["created"] < 2**40
        or any("\x00" in event[name] or not event[name].isprintable() for name in ("id", "type"))
    ):
        raise InvalidInput("The body is no event of Stripe.")
    return event
