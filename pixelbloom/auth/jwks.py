"""The project's public keys, fetched in the background and cached.

A request waits for a fetch only if its token names an unknown key, and for at most `wait` seconds. Known keys are
returned from memory, also while the endpoint is down: they stay until a valid response replaces them.
"""

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import jwt
import structlog

log = structlog.get_logger(__name__)

#: Seconds after which known keys are refreshed, in the background.
REFRESH_AFTER = 600.0
#: Fetches that tokens with unknown keys may cause at once, and the seconds to regain one.
BURST, REFILL_SECONDS = 5, 10.0
#: Seconds without fetches after a failed one; doubled after each further failure up to the second value.
COOL_DOWN, MAX_COOL_DOWN = 5.0, 60.0
FETCH_SECONDS = 5.0
MAX_BYTES = 256 * 1024
MAX_KEYS = 32
_MIN_RSA_BITS = 2048
_ALGORITHM_OF = {"RSA": "RS256", "EC": "ES256"}


class Jwks:
    """The keys of one JWKS URL. Safe to share between threads and greenlets."""

    def __init__(
        self,
        url: str,
        *,
        refresh_after: float = REFRESH_AFTER,
        cool_down: float = COOL_DOWN,
        wait: float = 3.0,
        fetch_seconds: float = FETCH_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._url = url
        self._refresh_after = refresh_after
        self._base_cool_down = cool_down
        self._wait = wait
        self._fetch_seconds = fetch_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._keys: tuple[jwt.PyJWK, ...] = ()
        self._fetched_at: float | None = None
        self._fetching: threading.Event | None = None
        self._failures = 0
        self._rest_until = 0.0
        self._allowance = float(BURST)
        self._allowance_at = clock()

    def keys(self, kid: str | None, algorithm: str) -> tuple[jwt.PyJWK, ...]:
        """Return the keys that may have signed a token of this `kid` and algorithm."""
        found = self._find(kid, algorithm)
        if found:
            if self._is_stale():
                self._refresh(spend=False)
            return found
        done = self._refresh(spend=True)
        if done is not None:
            done.wait(self._wait)
        return self._find(kid, algorithm)

    def _find(self, kid: str | None, algorithm: str) -> tuple[jwt.PyJWK, ...]:
        return tuple(
            key for key in self._keys if key.algorithm_name == algorithm and (kid is None or key.key_id == kid)
        )

    def _is_stale(self) -> bool:
        return self._fetched_at is None or self._clock() - self._fetched_at >= self._refresh_after

    def _refresh(self, *, spend: bool) -> threading.Event | None:
        """Start a fetch, or join the current one. Return None during a cool-down or without allowance."""
        with self._lock:
            if self._fetching is not None:
                return self._fetching
            now = self._clock()
            if now < self._rest_until or (spend and not self._spend(now)):
                return None
            done = self._fetching = threading.Event()
        threading.Thread(target=self._fetch, args=(done,), name="jwks", daemon=True).start()
        return done

    def _spend(self, now: float) -> bool:
        gained = (now - self._allowance_at) / REFILL_SECONDS
        self._allowance = min(float(BURST), self._allowance + gained)
        self._allowance_at = now
        if self._allowance < 1:
            return False
        self._allowance -= 1
        return True

    def _fetch(self, done: threading.Event) -> None:
        try:
            keys = parse(download(self._url, self._fetch_seconds))
        except (httpx.HTTPError, ValueError) as error:
            with self._lock:
                rest = min(self._base_cool_down * 2**self._failures, MAX_COOL_DOWN)
                self._failures = min(self._failures + 1, 16)
                self._rest_until = self._clock() + rest
            log.warning("jwks_fetch_failed", error=type(error).__name__, rest_seconds=rest, keys=len(self._keys))
        else:
            with self._lock:
                self._keys, self._fetched_at, self._failures = keys, self._clock(), 0
            log.info("jwks_fetched", keys=len(keys))
        finally:
            with self._lock:
                self._fetching = None
            done.set()


def download(url: str, seconds: float) -> bytes:
    """Return the document at `url`, within so many seconds and MAX_BYTES, without following redirects.

    Raises httpx.HTTPError or ValueError.
    """
    deadline = time.monotonic() + seconds
    with (
        httpx.Client(timeout=seconds / 2, follow_redirects=False) as client,
        client.stream("GET", url, headers={"Accept": "application/json"}) as response,
    ):
        if response.status_code != 200:
            raise ValueError(f"status {response.status_code}")
        body = bytearray()
        for part in response.iter_bytes():
            body += part
            if len(body) > MAX_BYTES:
                raise ValueError("the document is too large")
            if time.monotonic() > deadline:
                raise ValueError("the document came too slowly")
        return bytes(body)


def parse(document: bytes) -> tuple[jwt.PyJWK, ...]:
    """Return the usable signing keys of a JWKS: RSA of 2048 bits or more for RS256, P-256 for ES256.

    Other keys are ignored, above all symmetric ones: anyone could sign with a published one.
    Raises ValueError if it is not a JWKS.
    """
    try:
        listed = json.loads(document)["keys"]
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError("not a JWKS") from error
    if not isinstance(listed, list):
        raise ValueError("not a JWKS")
    return tuple(key for entry in listed[:MAX_KEYS] if (key := _usable(entry)) is not None)


def _usable(entry: Any) -> jwt.PyJWK | None:
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    algorithm = _ALGORITHM_OF.get(str(entry.get("kty")))
    if algorithm is None or entry.get("alg", algorithm) != algorithm:
        return None
    if algorithm == "ES256" and entry.get("crv") != "P-256":
        return None
    try:
        key = jwt.PyJWK(entry, algorithm)
        too_short = algorithm == "RS256" and key.key.key_size < _MIN_RSA_BITS
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError):
        return None
    return None if too_short else key
