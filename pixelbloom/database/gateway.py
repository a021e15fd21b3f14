"""The one gateway to Supabase: builds the client, sends calls, and translates errors."""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import httpx
import psycopg
import structlog
from postgrest.exceptions import APIError
from supabase import Client, create_client
from supabase.lib.client_options import SyncClientOptions
from tenacity import Retrying, retry_if_exception_type, stop_after_attempt
from yarl import URL

from pixelbloom.config import Settings
from pixelbloom.database.direct import FUNCTIONS, DirectCalls
from pixelbloom.database.pooler import pools_transactions
from pixelbloom.errors import Conflict, InvalidInput, PixelBloomError, Unavailable

log = structlog.get_logger(__name__)
T = TypeVar("T")

#: Codes with which PostgREST and Postgres refuse a call for now.
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
AGAIN = Retrying(
    retry=retry_if_exception_type((httpx.NetworkError, httpx.RemoteProtocolError)),
    stop=stop_after_attempt(2),
    reraise=True,
)


class RejectedData(InvalidInput):
    """The database rejects this data; sending it again cannot help."""


class QuotaReached(RejectedData):
    """The user has reached the limit of rows."""

    code = "CONFLICT"


class StoreError(PixelBloomError):
    """An internal error in a call to the database."""


class Gateway:
    """The process's Supabase client, built on first use, and with DATABASE_URL its connections to Postgres.

    The library's retries are off: only callers that know a write is idempotent repeat it.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        url = settings.database_url.get_secret_value() if settings.database_url else None
        self._direct = DirectCalls(url) if url and not pools_transactions(url) else None
        self._lock = threading.Lock()
        self._client: Client | None = None
        #: Whether the last call reached the database; no call did so far.
        self.reached = False

    def client(self) -> Client:
        """Return the client with the service role's key. Raises ConfigurationError if it is not configured."""
        if self._client is None:
            with self._lock:
                if self._client is None:
                    self._client = self._build()
        return self._client

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        if self._direct is not None:
            self._direct.close()
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
        """Call an SQL function and return its JSON. Our functions are idempotent: a broken connection is retried.

        `columns` selects columns of a function that returns a table's rows. With DATABASE_URL, the functions of the
        hot paths are called over a connection to Postgres, the others through PostgREST.

        Raises Unavailable if the database is unreachable, RejectedData if it rejects the data.
        """
        if self._direct is not None and function in FUNCTIONS:
            with self._observed():
                return _send_direct(self._direct, function, params)
        return self.send(lambda client: again(lambda: _called(client, function, params, columns)), name=function)

    def select(self, query: Callable[[Client], Any], *, name: str) -> list[dict[str, Any]]:
        """Return the rows of a query; `name` identifies it in the logs. Raises as `send` does."""
        rows: list[dict[str, Any]] = self.send(lambda client: again(lambda: query(client).execute().data), name=name)
        return rows

    def check(self) -> None:
        """Check that the database is reachable. Raises as `send` does."""
        self.select(lambda client: client.table("user_profiles").select("user_id").limit(1), name="check")

    def send(self, call: Callable[[Client], T], *, name: str) -> T:
        """Send one request to Supabase; `name` identifies it in the logs."""
        with self._observed():
            try:
                return call(self.client())
            except APIError as error:
                raise translate(str(error.code or ""), error.message, name) from error
            except httpx.HTTPError as error:
                raise _unreachable(error, name) from error

    @contextmanager
    def _observed(self) -> Iterator[None]:
        """Note whether a call reached the database; one that refuses the data was reached."""
        try:
            yield
        except (RejectedData, Conflict):
            self.reached = True
            raise
        except Exception:
            self.reached = False
            raise
        self.reached = True


def _called(client: Client, function: str, params: Mapping[str, Any], columns: str) -> Any:
    call: Any = client.rpc(function, dict(params))
    return (call if columns == "*" else call.select(columns)).execute().data


def _send_direct(direct: DirectCalls, function: str, params: Mapping[str, Any]) -> Any:
    try:
        return direct.call(function, params)
    except psycopg.Error as error:
        if error.sqlstate is None:
            raise _unreachable(error, function) from error
        raise translate(error.sqlstate, error.diag.message_primary, function) from error


def _unreachable(error: Exception, name: str) -> Unavailable:
    log.warning("store_unreachable", call=name, reason=type(error).__name__)
    return Unavailable("The database is unreachable; try again shortly.", RETRY_AFTER_SECONDS)


def again(call: Callable[[], T]) -> T:
    """Call, and once more if the connection broke: the server may have closed an idle one.

    For idempotent calls. A timeout is not retried: the database is slow, not gone.
    """
    return AGAIN(call)


def translate(code: str, message: str | None, name: str) -> PixelBloomError:
    """Return our error for a code of PostgREST or Postgres; the message goes only to the log."""
    if code in UNAVAILABLE_CODES:
        log.warning("store_unavailable", call=name, sqlstate=code)
        return Unavailable("The database cannot take the request now; try again shortly.", RETRY_AFTER_SECONDS)
    if code == "PT409":
        return QuotaReached(message or "A user may have no more rows; permanently remove some first.")
    if code == "23505":
        return Conflict("That already exists.")
    if code.startswith(("22", "23")):
        log.info("store_rejected", call=name, sqlstate=code)
        return RejectedData("The database cannot store this input; check its values.")
    log.error("store_failed", call=name, sqlstate=code, reason=message)
    return StoreError("The database returned an error.")
