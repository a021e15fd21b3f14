"""The stand-in's part of Stripe's API: its operations by address, and its refusals."""

import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from pixelbloom.local.stripe.book import Book
from pixelbloom.local.stripe.objects import Obj, Refused, name, presented

#: Lists that the API gives, by their address.
LISTS = {
    "products": "product",
    "prices": "price",
    "customers": "customer",
    "coupons": "coupon",
    "checkout/sessions": "checkout.session",
    "subscriptions": "subscription",
    "subscription_schedules": "subscription_schedule",
    "invoices": "invoice",
    "invoice_payments": "invoice_payment",
    "charges": "charge",
    "refunds": "refund",
    "events": "event",
}
_KEY = re.compile(r"[^\[\]]+")
#: Seconds until a checkout session expires: the default, and the minimum.
SESSION_SECONDS = 86_400
SHORTEST_SECONDS = 1_800


def nested(pairs: Mapping[str, str]) -> Obj:
    """Parse parameters like `a[b][0][c]=v`, as Stripe's library writes them."""
    found: Obj = {}
    for path, value in pairs.items():
        *parents, last = _KEY.findall(path) or [path]
        place = found
        for part in parents:
            place = place.setdefault(part, {})
        place[last] = value
    return {key: _lists(value) for key, value in found.items()}


def _lists(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    parts = {key: _lists(part) for key, part in value.items()}
    return [parts[key] for key in sorted(parts, key=int)] if parts and all(key.isdigit() for key in parts) else parts


class Api:
    """Handles requests to `/v1/...`; `origin` is where its pages are."""

    def __init__(self, book: Book, origin: Callable[[], str]) -> None:
        self._book = book
        self._origin = origin
        self._actions: dict[tuple[str, str], Callable[[Obj, Obj], Obj]] = {
            ("checkout.session", "expire"): lambda item, _: book.expire(item),
            ("subscription", "resume"): lambda item, _: book.stand(item["id"], "resumed"),
            ("subscription_schedule", "release"): self._release,
            ("invoice", "void"): lambda item, _: book.give_up(item, void=True),
            ("invoice", "mark_uncollectible"): lambda item, _: book.give_up(item, void=False),
        }

    def handle(self, method: str, path: str, params: Obj) -> Obj:
        """Return the JSON of the response. Raises Refused."""
        if path == "invoices/create_preview" and method == "POST":
            wanted = _required(params, "subscription")
            return self._book.preview(self._book.get("subscription", wanted, "subscription"))
        for address, kind in LISTS.items():
            if path == address:
                return self._list(kind, address, params) if method == "GET" else self._create(kind, params)
            if path.startswith(f"{address}/"):
                object_id, _, action = path[len(address) + 1 :].partition("/")
                return self._one(method, kind, object_id, action, params)
        if path == "billing_portal/sessions" and method == "POST":
            return self._portal(params)
        if path == "balance" and method == "GET":
            return {"object": "balance", "livemode": False, "available": [], "pending": []}
        raise Refused(f"Unrecognized request URL ({method}: /v1/{path}).", status=404)

    def _one(self, method: str, kind: str, object_id: str, action: str, params: Obj) -> Obj:
        item = self._book.get(kind, object_id)
        if action:
            act = self._actions.get((kind, action))
            if method != "POST" or act is None:
                raise Refused(f"Unrecognized request URL ({method}: {action}).", status=404)
            return act(item, params)
        if method == "GET":
            expand = params.get("expand") or []
            if kind == "subscription" and "discounts" in expand:
                return {**item, "discounts": [self._book.get("discount", name) for name in item["discounts"]]}
            return item
        if method == "DELETE" and kind == "subscription":
            return self._book.end(item, final_invoice=params.get("invoice_now") == "true")
        if method == "DELETE" and kind == "invoice":
            return self._book.delete_draft(item)
        if method == "POST" and kind == "subscription":
            return self._book.update(item, params)
        if method == "POST" and kind == "subscription_schedule":
            return self._phases(item, params.get("phases") or item["phases"])
        if method == "POST" and kind in ("customer", "product", "price"):
            item["metadata"] |= params.get("metadata") or {}
            return item
        raise Refused(f"Unrecognized request ({method} {kind}).", status=404)

    def _list(self, kind: str, address: str, params: Obj) -> Obj:
        limit = _whole(params.get("limit", "10"), "limit")
        if not 1 <= limit <= 100:
            raise Refused("This value must be between 1 and 100.", param="limit")
        items = [item for item in reversed(self._book.objects[kind].values()) if _matches(item, params)]
        if after := params.get("starting_after"):
            ids = [item["id"] for item in items]
            self._book.get(kind, after, "starting_after")
            items = items[ids.index(after) + 1 :] if after in ids else []
        page = items[:limit]
        return {"object": "list", "url": f"/v1/{address}", "data": page, "has_more": len(items) > limit}

    def _create(self, kind: str, params: Obj) -> Obj:
        match kind:
            case "product":
                return self._book.add(kind, {"name": _required(params, "name"), "active": True})
            case "price":
                return self._price(params)
            case "customer":
                values = {"email": params.get("email"), "name": params.get("name")}
                return self._book.add(kind, {**values, "metadata": params.get("metadata") or {}})
            case "coupon":
                return self._coupon(params)
            case "checkout.session":
                return self._session(params)
            case "subscription_schedule":
                return self._schedule(params)
        raise Refused(f"Unrecognized request URL (POST: {kind}).", status=404)

    def _price(self, params: Obj) -> Obj:
        recurring = params.get("recurring")
        product = params.get("product") or self._create("product", params.get("product_data") or {})["id"]
        values = {
            "currency": _required(params, "currency").lower(),
            "unit_amount": _whole(_required(params, "unit_amount"), "unit_amount"),
            "product": product,
            "currency_options": params.get("currency_options") or {},
            "recurring": {
                "interval": recurring["interval"],
                "interval_count": _whole(recurring.get("interval_count", "1"), "recurring[interval_count]"),
            }
            if recurring
            else None,
            "type": "recurring" if recurring else "one_time",
            "active": True,
            "metadata": params.get("metadata") or {},
        }
        return self._book.add("price", values, params.get("id"))

    def _coupon(self, params: Obj) -> Obj:
        if params.get("id") in self._book.objects["coupon"]:
            raise Refused("Coupon already exists.", code="resource_already_exists", param="id")
        percent, amount = params.get("percent_off"), params.get("amount_off")
        if (percent is None) == (amount is None):
            raise Refused("You must pass either percent_off or amount_off, but not both.")
        duration, months = params.get("duration", "once"), params.get("duration_in_months")
        if duration not in ("once", "repeating", "forever"):
            raise Refused("Invalid duration: must be one of forever, once, or repeating", param="duration")
        if (duration == "repeating") != (months is not None):
            raise Refused("duration_in_months goes with a duration of repeating.", param="duration_in_months")
        applies_to = params.get("applies_to")
        for product in (applies_to or {}).get("products", ()):
            self._book.get("product", product, "applies_to[products][0]")
        values = {
            "percent_off": float(percent) if percent is not None else None,
            "amount_off": _whole(amount, "amount_off") if amount is not None else None,
            "currency": params.get("currency"),
            "duration": duration,
            "duration_in_months": None if months is None else _whole(months, "duration_in_months"),
            # As the API has it: shown only where expanded; stored here for later use.
            "applies_to": applies_to,
            "name": params.get("name"),
            "valid": True,
        }
        return self._book.add("coupon", values, params.get("id"))

    def _session(self, params: Obj) -> Obj:
        mode = _required(params, "mode")
        lines = params.get("line_items") or []
        if len(lines) != 1:
            raise Refused("Missing required param: line_items.", code="parameter_missing", param="line_items")
        price = self._book.get("price", lines[0].get("price", ""), "line_items[0][price]")
        if (mode == "subscription") != (price["recurring"] is not None):
            raise Refused("You specified `payment` mode but passed a recurring price, or the other way.", param="mode")
        _required(params, "success_url")
        if params.get("customer"):
            self._book.get("customer", params["customer"], "customer")
        quantity = _whole(lines[0].get("quantity", "1"), "line_items[0][quantity]")
        currency, unit = presented(price, params.get("currency"))
        subtotal = unit * quantity
        discounts = params.get("discounts") or []
        total = self._book.discounted(subtotal, discounts, price["product"])
        now = int(time.time())
        expires_at = _whole(params.get("expires_at", str(now + SESSION_SECONDS)), "expires_at")
        if not SHORTEST_SECONDS <= expires_at - now <= SESSION_SECONDS:
            raise Refused("expires_at must be 30 minutes to 24 hours from now.", param="expires_at")
        session_id = name("checkout.session")
        return self._book.add(
            "checkout.session",
            {
                "mode": mode,
                "status": "open",
                "payment_status": "unpaid",
                "url": f"{self._origin()}/c/pay/{session_id}",
                "line_items": [{"price": price["id"], "quantity": quantity}],
                "success_url": params["success_url"],
                "cancel_url": params.get("cancel_url"),
                "customer": params.get("customer"),
                "customer_email": params.get("customer_email"),
                "customer_details": None,
                "client_reference_id": params.get("client_reference_id"),
                "metadata": params.get("metadata") or {},
                "subscription_data": params.get("subscription_data") or {},
                "discounts": discounts,
                "currency": currency,
                "amount_subtotal": subtotal,
                "amount_total": total,
                "total_details": {"amount_discount": subtotal - total, "amount_shipping": 0, "amount_tax": 0},
                "subscription": None,
                "payment_intent": None,
                "invoice": None,
                "expires_at": expires_at,
            },
            session_id,
        )

    def _schedule(self, params: Obj) -> Obj:
        subscription = self._book.get("subscription", _required(params, "from_subscription"), "from_subscription")
        made = self._book.add(
            "subscription_schedule", {"subscription": subscription["id"], "status": "active", "phases": []}
        )
        subscription["schedule"] = made["id"]
        return made

    def _phases(self, schedule: Obj, phases: list[Obj]) -> Obj:
        """Set the phases; the first is the present one, and ends a trial that it does not name."""
        schedule["phases"] = phases
        subscription = self._book.get("subscription", schedule["subscription"])
        if subscription["status"] == "trialing" and phases and not phases[0].get("trial_end"):
            subscription |= {"status": "active", "trial_end": int(time.time())}
            self._book.emit("customer.subscription.updated", subscription, {"status": "trialing"})
        return schedule

    def _release(self, schedule: Obj, _: Obj) -> Obj:
        schedule["status"] = "released"
        self._book.get("subscription", schedule["subscription"])["schedule"] = None
        return schedule

    def _portal(self, params: Obj) -> Obj:
        customer = self._book.get("customer", _required(params, "customer"), "customer")
        session_id = name("billing_portal.session")
        values = {
            "customer": customer["id"],
            "return_url": params.get("return_url"),
            "url": f"{self._origin()}/p/session/{session_id}",
        }
        return self._book.add("billing_portal.session", values, session_id)


def _matches(item: Obj, params: Obj) -> bool:
    if item["object"] == "invoice" and params.get("subscription"):
        found = item["parent"]["subscription_details"]["subscription"]
        if found != params["subscription"]:
            return False
    payment = params.get("payment") or {}
    if payment and item["payment"]["payment_intent"] != payment.get("payment_intent"):
        return False
    status = params.get("status")
    if item["object"] == "subscription":
        if status is None and item["status"] == "canceled":
            return False
        status = None if status == "all" else status
    wanted = {"customer": params.get("customer"), "email": params.get("email"), "status": status}
    return all(value is None or item.get(key) == value for key, value in wanted.items())


def _required(params: Obj, key: str) -> str:
    if not params.get(key):
        raise Refused(f"Missing required param: {key}.", code="parameter_missing", param=key)
    return str(params[key])


def _whole(value: Any, param: str) -> int:
    if not re.fullmatch(r"[0-9]{1,12}", str(value)):
        raise Refused(f"Invalid integer: {value}", code="parameter_invalid_integer", param=param)
    return int(value)
