"""Webhooks of the stand-in: signed as Stripe signs them, one after the other, with retries."""

import json
import threading
import time
from collections import deque
from typing import Any

import httpx
import stripe

from pixelbloom.local.stripe.objects import Obj

#: Seconds before each further attempt.
PAUSES = (0.2, 1.0, 3.0, 10.0, 30.0)


class Deliveries:
    """A thread that posts events to `url`. Their outcomes are in `log`."""

    def __init__(self, url: str | None, secret: str) -> None:
        self.url = url
        self.secret = secret
        self.log: deque[dict[str, Any]] = deque(maxlen=1000)
        self.paused = False
        self._waiting: deque[tuple[Obj, int]] = deque()
        self._wake = threading.Condition()
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="stripe-webhooks", daemon=True)
        self._thread.start()

    def send(self, event: Obj) -> None:
        """Queue an event."""
        with self._wake:
            self._waiting.append((event, 0))
            self._wake.notify()

    def hold(self, paused: bool) -> None:
        """Hold events back, or release them."""
        with self._wake:
            self.paused = paused
            self._wake.notify()

    def stop(self) -> None:
        """Send no more."""
        with self._wake:
            self._stopped = True
            self._wake.notify()
        self._thread.join(timeout=20)

    def _run(self) -> None:
        while True:
            with self._wake:
                while not self._stopped and (self.paused or not self._waiting):
                    self._wake.wait()
                if self._stopped:
                    return
                event, attempt = self._waiting.popleft()
            if self.url is not None and not self._taken(event) and attempt < len(PAUSES):
                timer = threading.Timer(PAUSES[attempt], self._again, (event, attempt + 1))
                timer.daemon = True
                timer.start()

    def _again(self, event: Obj, attempt: int) -> None:
        with self._wake:
            self._waiting.append((event, attempt))
            self._wake.notify()

    def _taken(self, event: Obj) -> bool:
        body = json.dumps(event)
        signature = stripe.WebhookSignature.generate_signature_header(body, self.secret, int(time.time()))
        headers = {"Stripe-Signature": signature, "Content-Type": "application/json; charset=utf-8"}
        try:
            status = httpx.post(str(self.url), content=body, headers=headers, timeout=15, trust_env=False).status_code
        except httpx.HTTPError:
            status = 0
        self.log.append({"event": event["id"], "type": event["type"], "status": status})
        return 200 <= status < 300
