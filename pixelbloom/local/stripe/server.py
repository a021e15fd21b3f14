"""The stand-in as an HTTP server: the API, its pages, and `/_control` for tests."""

import json
import socket
import threading
import time
from base64 import b64encode
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from werkzeug import Request, Response
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.utils import redirect

from pixelbloom.local.stripe import pages
from pixelbloom.local.stripe.api import Api, nested
from pixelbloom.local.stripe.book import Book
from pixelbloom.local.stripe.deliveries import Deliveries
from pixelbloom.local.stripe.objects import Obj, Refused

API_KEY = "sk_test_local"
SECRET = "whsec_local"  # noqa: S105  (of the stand-in alone)


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:
        """Log nothing."""


class StripeServer:
    """Serves on loopback from its start to its stop; in a thread of its own where it is used as a context.

    `failures` are those of the next requests to the API: {"status"}, {"seconds"} of silence, {"drop": true} before
    anything is done, or {"lose": true} after it was done; with "path", of requests to paths that begin with it.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        webhook_url: str | None = None,
        secret: str = SECRET,
        api_key: str = API_KEY,
        state: Path | None = None,
    ) -> None:
        self.deliveries = Deliveries(webhook_url, secret)
        self.book = Book(self.deliveries.send, state)
        self.failures: deque[Obj] = deque()
        self.requests: list[tuple[str, str]] = []
        self._key = api_key
        self._responses: dict[str, tuple[str, int, str]] = {}
        self._server = make_server("127.0.0.1", port, self._app, threaded=True, request_handler=_Quiet)
        self._api = Api(self.book, lambda: self.url)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def offer(self, prices: list[Obj]) -> None:
        """Create initial prices: {"id", "name", "unit_amount", "currency", "interval"}; existing ones stay."""
        for price in prices:
            if price["id"] not in self.book.objects["price"]:
                made: Obj = {
                    **{name: str(price[name]) for name in ("id", "currency", "unit_amount")},
                    "product_data": {"name": price["name"]},
                    "currency_options": price.get("currency_options"),
                }
                if price.get("interval"):
                    made["recurring"] = {
                        "interval": price["interval"],
                        "interval_count": str(price.get("interval_count", 1)),
                    }
                self._api.handle("POST", "prices", made)

    def begin(self, params: Obj) -> Obj:
        """Create a checkout session, as the API does."""
        return self._api.handle("POST", "checkout/sessions", params)

    def open_portal(self, params: Obj) -> str:
        """Return the address of a billing page."""
        return str(self._api.handle("POST", "billing_portal/sessions", params)["url"])

    def serve(self) -> None:
        """Serve until it is stopped."""
        self._server.serve_forever()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self.deliveries.stop()

    def __enter__(self) -> Self:
        threading.Thread(target=self.serve, name="stripe", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _app(self, environ: Any, start_response: Any) -> Any:
        request = Request(environ)
        try:
            with self.book.lock if not request.path.startswith("/v1/") else threading.Lock():
                response = self._respond(request)
        except Refused as refused:
            response = _json({"error": refused.body}, refused.status)
        response.headers["Request-Id"] = f"req_{time.time_ns()}"
        return response(environ, start_response)

    def _respond(self, request: Request) -> Response:
        path = request.path.strip("/")
        match path.split("/"):
            case ["v1", *rest]:
                return self._ask("/".join(rest), request)
            case ["c", "pay", session_id]:
                return self._checkout(session_id, request)
            case ["p", "session", session_id]:
                return self._portal(session_id, request)
            case ["done" | "cancelled" as page]:
                return _html(pages.after(page))
            case ["_control", action]:
                content = self.control(action, request.get_json(silent=True) or {})
                self.book.save()
                return _json(content, 200)
        return Response("There is nothing here.", 404)

    def _ask(self, path: str, request: Request) -> Response:
        self.requests.append((request.method, path))
        if self.failures and path.startswith(self.failures[0].get("path", "")):
            failure = self.failures.popleft()
            time.sleep(failure.get("seconds", 0))
            if failure.get("lose"):
                self._call(path, request)
            if failure.get("drop") or failure.get("lose"):
                request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
                raise ConnectionAbortedError
            if "answer" in failure:
                return _json(failure["answer"], 200)
            if "status" in failure:
                kind = "rate_limit_error" if failure["status"] == 429 else "api_error"
                raise Refused("The stand-in was set to refuse this.", status=failure["status"], kind=kind)
        return self._call(path, request)

    def _call(self, path: str, request: Request) -> Response:
        if request.headers.get("Authorization") not in (f"Bearer {self._key}", _basic(self._key)):
            raise Refused("Invalid API Key provided.", status=401, kind="invalid_request_error")
        params = nested(dict((request.form if request.method == "POST" else request.args).items()))
        if request.method == "POST":
            params.pop("expand", None)
        with self.book.lock:
            return self._once(request, path, params)

    def _once(self, request: Request, path: str, params: Obj) -> Response:
        """The same Idempotency-Key gives the same response, errors of the request too."""
        key = request.headers.get("Idempotency-Key") if request.method == "POST" else None
        asked = json.dumps([path, params], sort_keys=True)
        if key is not None and key in self._responses:
            before, status, body = self._responses[key]
            if before != asked:
                raise Refused(
                    "Keys for idempotent requests can only be used with the same parameters.", kind="idempotency_error"
                )
            replayed = Response(body, status, mimetype="application/json")
            replayed.headers["Idempotent-Replayed"] = "true"
            return replayed
        try:
            content, status = self._api.handle(request.method, path, params), 200
        except Refused as refused:
            content, status = {"error": refused.body}, refused.status
        self.book.save()
        body = json.dumps(content)
        if key is not None:
            self._responses[key] = (asked, status, body)
        return Response(body, status, mimetype="application/json")

    def _checkout(self, session_id: str, request: Request) -> Response:
        session = self.book.get("checkout.session", session_id)
        if request.method == "GET":
            return _html(pages.checkout(self.book, session))
        what = request.form.get("do", "")
        if what == "cancel":
            return redirect(session["cancel_url"] or session["success_url"], 303)
        try:
            self.book.pay(session_id, what)
        except Refused as refused:
            return _html(pages.checkout(self.book, session, str(refused)))
        self.book.save()
        return redirect(session["success_url"].replace("{CHECKOUT_SESSION_ID}", session_id), 303)

    def _portal(self, session_id: str, request: Request) -> Response:
        session = self.book.get("billing_portal.session", session_id)
        if request.method == "POST":
            subscription = self.book.get("subscription", request.form.get("subscription", ""))
            if subscription["customer"] != session["customer"]:
                raise Refused("No such subscription.", status=404)
            if request.form.get("do") == "now":
                self.book.end(subscription)
            else:
                later = "true" if request.form.get("do") == "later" else "false"
                self.book.update(subscription, {"cancel_at_period_end": later})
            self.book.save()
        return _html(pages.portal(self.book, session))

    def control(self, action: str, params: Obj) -> Obj:
        """Run a control action. Raises Refused."""
        book = self.book
        actions: dict[str, Callable[[], Any]] = {
            "pay_session": lambda: book.pay(params["session"], params.get("outcome", "paid")),
            "expire_session": lambda: book.expire(book.get("checkout.session", params["session"])),
            "renew": lambda: book.renew(params["subscription"], paid=params.get("outcome", "paid") == "paid"),
            "decline": lambda: book.declining.add(book.get("subscription", params["subscription"])["customer"]),
            "pay_open_invoice": lambda: book.pay_open_invoice(params["invoice"]),
            "pay_part": lambda: book.pay_part(book.get("invoice", params["invoice"]), params["amount"]),
            "pause": lambda: book.stand(params["subscription"], "paused"),
            "resume": lambda: book.stand(params["subscription"], "resumed"),
            "trial_will_end": lambda: book.stand(params["subscription"], "trial_will_end"),
            "refund": lambda: book.refund(book.charge_of(params["of"]), params.get("amount")),
            "fail_refund": lambda: book.fail_refund(book.get("refund", params["refund"])),
            "void_invoice": lambda: book.give_up(book.get("invoice", params["invoice"]), void=True),
            "give_up_invoice": lambda: book.give_up(book.get("invoice", params["invoice"]), void=False),
            "dispute": lambda: book.dispute(book.charge_of(params["of"])),
            "close_dispute": lambda: book.close_dispute(
                book.get("dispute", params["dispute"]), won=params.get("outcome") == "won"
            ),
            "faults": lambda: self.failures.extend(params["next"]),
            "hold": lambda: self.deliveries.hold(True),
            "release": lambda: self.deliveries.hold(False),
            "redeliver": lambda: self.deliveries.send(book.get("event", params["event"])),
            "deliveries": lambda: {"deliveries": list(self.deliveries.log)},
            "objects": lambda: book.objects,
        }
        if action not in actions:
            raise Refused(f"There is no {action}; there are {', '.join(sorted(actions))}.", status=404)
        try:
            found = actions[action]()
        except KeyError as error:
            raise Refused(f"Missing required param: {error}.") from None
        return found if isinstance(found, dict) else {}


def _json(content: Any, status: int) -> Response:
    return Response(json.dumps(content), status, mimetype="application/json")


def _html(text: str) -> Response:
    return Response(text, mimetype="text/html")


def _basic(key: str) -> str:
    return "Basic " + b64encode(f"{key}:".encode()).decode()
