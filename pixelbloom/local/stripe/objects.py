"""The objects of the stand-in for Stripe, under one lock."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

Obj = dict[str, Any]
KINDS = (
    *("product", "price", "customer", "coupon", "discount", "checkout.session", "subscription"),
    *("subscription_schedule", "invoice", "invoice_payment", "charge", "refund", "dispute"),
    *("billing_portal.session", "event"),
)
_PREFIX = {
    "product": "prod",
    "price": "price",
    "customer": "cus",
    "coupon": "coupon",
    "discount": "di",
    "checkout.session": "cs_test",
    "subscription": "sub",
    "subscription_item": "si",
    "subscription_schedule": "sub_sched",
    "invoice": "in",
    "invoice_payment": "inpay",
    "payment_intent": "pi",
    "charge": "ch",
    "refund": "re",
    "dispute": "du",
    "billing_portal.session": "bps",
    "event": "evt",
}
#: The version of the API that has these shapes.
API_VERSION = "2026-10-28.endive"


class Refused(Exception):
    """An error as Stripe returns it."""

    def __init__(
        self, message: str, *, status: int = 400, code: str | None = None, param: str | None = None, kind: str = ""
    ) -> None:
        super().__init__(message)
        self.status = status
        self.body = {
            "type": kind or "invalid_request_error",
            "message": message,
            **({"code": code} if code else {}),
            **({"param": param} if param else {}),
        }


class Objects:
    """All objects by kind and id, in the order in which they were made. `publish` is called with each event."""

    def __init__(self, publish: Callable[[Obj], None], path: Path | None = None) -> None:
        self._publish = publish
        self._path = path
        self.lock = threading.RLock()
        #: Customers whose cards are declined when a change of the price is billed.
        self.declining: set[str] = set()
        #: By subscription, what changes in the middle of its period cost, to be billed later: amounts to bill.
        self.pending: dict[str, int] = {}
        self.objects: dict[str, dict[str, Obj]] = {kind: {} for kind in KINDS}
        if path is not None and path.exists():
            self.objects |= json.loads(path.read_text())

    def save(self) -> None:
        """Store all objects, so that a restart loses nothing."""
        if self._path is not None:
            new = self._path.with_suffix(".new")
            new.write_text(json.dumps(self.objects))
            new.replace(self._path)

    def add(self, kind: str, values: Mapping[str, Any], object_id: str | None = None) -> Obj:
        """Add a new object."""
        made = {
            "id": object_id or name(kind),
            "object": kind,
            "created": int(time.time()),
            "livemode": False,
            "metadata": {},
            **values,
        }
        self.objects[kind][made["id"]] = made
        return made

    def get(self, kind: str, object_id: str, param: str = "id") -> Obj:
        """Return an object. Raises Refused if there is none."""
        found = self.objects[kind].get(object_id)
        if found is None:
            status = 404 if param == "id" else 400
            raise Refused(f"No such {kind}: '{object_id}'", status=status, code="resource_missing", param=param)
        return found

    def emit(self, kind: str, item: Obj, previous: Obj | None = None) -> Obj:
        """Publish an event with the object as it is now."""
        data: Obj = {"object": json.loads(json.dumps(item))}
        if previous is not None:
            data["previous_attributes"] = previous
        event = self.add(
            "event",
            {
                "type": kind,
                "api_version": API_VERSION,
                "data": data,
                "pending_webhooks": 1,
                "request": {"id": None, "idempotency_key": None},
            },
        )
        self._publish(event)
        return event


def name(kind: str) -> str:
    """Return a new id."""
    return f"{_PREFIX[kind]}_{uuid4().hex[:24]}"


def presented(price: Obj, currency: str | None) -> tuple[str, int]:
    """Return the currency and unit amount of a checkout; without a wanted one, those for the visitor's country."""
    amounts = {code: int(option["unit_amount"]) for code, option in (price.get("currency_options") or {}).items()}
    code = str(currency or next(iter(amounts), price["currency"]))
    amounts.setdefault(price["currency"], int(price["unit_amount"]))
    if code not in amounts:
        raise Refused(f"The price specified does not support {code}.", param="currency")
    return code, amounts[code]
