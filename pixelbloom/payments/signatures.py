"""Verification of Stripe's webhooks: a recent signature over the raw bytes, with any of our secrets."""

import json
import re
from collections.abc import Sequence
from typing import Any

import stripe

from pixelbloom.errors import InvalidInput
from pixelbloom.payments.values import moment

#: Seconds for which a signature is valid; older ones are replays.
TOLERANCE_SECONDS = 300
_REFUSED = "The signature is invalid: check STRIPE_WEBHOOK_SECRET, and that proxies do not change the body."
#: One time and one to ten signatures, of v1 and of other schemes. Stripe sends one v1 for each secret in use.
_PART = r"[a-z][a-z0-9]{0,9}=[!-+\--~]{1,200}"
_HEADER = re.compile(rf"{_PART}(?:, ?{_PART}){{1,15}}")
_TIME = re.compile(r"(?:^|,) ?t=")
_MAX_HEADER = 4096
_MAX_LENGTHS = {"id": 255, "type": 200}


def verified(payload: bytes, header: str | None, secrets: Sequence[str]) -> dict[str, Any]:
    """Return the event in a webhook's body. Raises InvalidInput if the signature or the body is invalid."""
    if not _well_formed(header):
        raise InvalidInput(_REFUSED)
    for secret in secrets:
        try:
            stripe.WebhookSignature.verify_header(payload, header, secret, TOLERANCE_SECONDS)
            break
        except (stripe.SignatureVerificationError, ValueError, TypeError):
            continue
    else:
        raise InvalidInput(_REFUSED)
    return _event(payload)


def _event(payload: bytes) -> dict[str, Any]:
    try:
        event: dict[str, Any] = json.loads(payload)
        moment(event["created"])
        plain = all(
            1 <= len(event[name]) <= longest and event[name].isprintable() for name, longest in _MAX_LENGTHS.items()
        )
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
        plain = False
    if not plain:
        raise InvalidInput("The body is not a Stripe event.")
    return event


def _well_formed(header: str | None) -> bool:
    """Return whether the library can verify the header: ASCII, and a single time of a reasonable length."""
    if header is None or len(header) > _MAX_HEADER or not _HEADER.fullmatch(header):
        return False
    return len(_TIME.findall(header)) == 1 and re.search(r"(?:^|,) ?t=[0-9]{1,12}(?:,|$)", header) is not None
