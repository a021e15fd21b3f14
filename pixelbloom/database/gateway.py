"""The one gateway to Supabase: builds the client, sends the call, and turns what went wrong into our errors."""

import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import httpx
import structlog
from postgrest.exceptions import APIError
from supabase import Client, create_client
from supabase.lib.client_options import SyncClientOptions
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt
from yarl import URL

from pixelbloom.config import Settings
from pixelbloom.errors import Conflict, InvalidInput, PixelBloomError, Unavailable

log = structlog.get_logger(__name__)
T = TypeVar("T")

#: PostgREST and Postgres saying that they cannot take the call now.
UNAVAILABLE_CODES = frozenset(
    {
        "PGRST000",  # no connection to the database
        "PGRST001",
        "PGRST002",  # the schema cache is not loaded yet
        "PGRST003",  # no free connection in time
        "PGRST202",  # the function is not in the schema cache (yet)
        "57014",  # statement timeout
        "57P01",  # the server is shutting down
        "57P02",
        "57P03",
        "40P01",  # deadlock
        "55P03",  # lock timeout
        "53300",  # too many connections
        "08006",
        "502",
        "503",
        "504",
        "520",
    }
)
RETRY_AFTER_SECONDS = 2.0


class RejectedData(InvalidInput):
    """The database refuses this very data; sending it again cannot help."""


class QuotaReached(RejectedData):
    """The user has as many rows as one may have."""

    code = "CONFLICT"


class StoreError(PixelBloomError):
    """A fault of ours in talking to the database."""


class Gateway:
    """A Supabase client of the process, built on first use and again after a fork.

    Retries of the library are off: a call that changes something is repeated only by those who know that it may be.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._client: Client | None = None
        self._pid = 0

    def client(self) -> Client:
        """The client, with the service role's key. Raises ConfigurationError where it is not configured."""
        if self._client is None or self._pid != os.getpid():
            with self._lock:
                if self._client is None or self._pid != os.getpid():
                    self._client, self._pid = self._build(), os.getpid()
        return self._client

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        with self._lock:
            if self._client is not None and self._client.options.httpx_client is not None:
                self._client.options.httpx_client.close()
            self._client = None

    def _build(self) -> Client:
        settings = self._settings
        http = httpx.Client(
            timeout=httpx.Timeout(15.0, connect=2.0, pool=5.0),
            limits=httpx.Limits(max_connections=64, max_keepalive_connections=16, keepalive_expiry=10.0),
            http2=False,
            trust_env=False,
        )
        client = create_client(
            settings.require("supabase_url"),
            settings.require("supabase_service_role_key"),
            SyncClientOptions(
                httpx_client=http,
                postgrest_client_retry=False,
                auto_refresh_token=False,
                persist_session=False,
            ),
        )
        if settings.supabase_rest_url:
            client.rest_url = URL(settings.supabase_rest_url)
        return client

    def rpc(self, function: str, params: Mapping[str, Any], *, columns: str = "*") -> Any:
        """Call an SQL function and return its JSON. Ours may all be repeated: a broken connection is tried again.

        `columns` names those that are wanted of the rows of one that returns a table's.

        Raises Unavailable when the database does not answer, RejectedData when it refuses the data.
        """
        return self.send(lambda client: again(lambda: _called(client, function, params, columns)), name=function)

    def select(self, query: Callable[[Client], Any], *, name: str) -> list[dict[str, Any]]:
        """The rows that a query answers; `name` says in the logs which. Raises as `send` does."""
        rows: list[dict[str, Any]] = self.send(lambda client: again(lambda: query(client).execute().data), name=name)
        return rows

    def send(self, call: Callable[[Client], T], *, name: str) -> T:
        """Run one request against Supabase; `name` says in the logs which."""
        try:
            return call(self.client())
        except APIError as error:
            raise translate(error, name) from error
        except httpx.HTTPError as error:
            log.warning("store_unreachable", call=name, reason=type(error).__name__)
            raise Unavailable("The database does not answer; try again shortly.", RETRY_AFTER_SECONDS) from error


def _called(client: Client, function: str, params: Mapping[str, Any], columns: str) -> Any:
    call: Any = client.rpc(function, dict(params))
    return (call if columns == "*" else call.select(columns)).execute().data


def again(call: Callable[[], T]) -> T:
    """Call, and once more where the connection broke: a kept one may have been closed at the other end.

    For calls that may be repeated. A timeout is not repeated: the database is slow, not gone.
    """
    return Retrying(
        retry=retry_if_exception_type((httpx.NetworkError, httpx.RemoteProtocolError)),
        stop=stop_after_attempt(2),
        reraise=True,
    )(call)


def translate(error: APIError, name: str) -> PixelBloomError:
    """Our error for what PostgREST answered; its words stay in the log."""
    code = str(error.code or "")
    if code in UNAVAILABLE_CODES:
        log.warning("store_unavailable", call=name, sqlstate=code)
        return Unavailable("The database cannot take the request now; try again shortly.", RETRY_AFTER_SECONDS)
    if code == "PT409":
        return QuotaReached(error.message or "A user may have no more rows; remove some for good first.")
    if code == "23505":
        return Conflict("That already exists.")
    if code.startswith(("22", "23")):
        log.info("store_rejected", call=name, sqlstate=code)
        return RejectedData("The database cannot keep this input; check its values.")
    log.error("store_failed", call=name, sqlstate=code, reason=error.message)
    return StoreError("The database answered with an error.")
