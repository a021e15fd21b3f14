"""The checks of `doctor`: one function a part, each returning what was found and what to do."""

import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
import psycopg
import redis
from amqp.exceptions import AccessRefused, NotAllowed
from redis.exceptions import NoPermissionError
from redis.sentinel import MasterNotFoundError

from pixelbloom.cli.connect import api_address
from pixelbloom.cli.findings import START, TIMEOUT, Finding, down, off, ok, shown, warning
from pixelbloom.cli.providers import huggingface, ollama, stripe
from pixelbloom.config import Settings
from pixelbloom.core.addresses import is_loopback
from pixelbloom.core.queues import QUEUES
from pixelbloom.database import migrations
from pixelbloom.database.pooler import pools_transactions, share_a_session
from pixelbloom.events.client import connect
from pixelbloom.periodic import verdict as periodic
from pixelbloom.periodic.pulses import Pulses

if TYPE_CHECKING:
    from celery import Celery

#: Seconds for the workers to reply.
WORKERS_REPLY_SECONDS = 2.0


@dataclass(frozen=True)
class Check:
    """A part to check. Without a `required` one the system does not work."""

    name: str
    required: bool
    ask: Callable[[Settings], Finding]


def postgres(settings: Settings) -> Finding:
    """The database itself; with hosted Supabase only `migrate` needs it."""
    if settings.database_url is None:
        return off("DATABASE_URL is not set: runs cost more, and `pixelbloom migrate` needs it")
    url = settings.database_url.get_secret_value()
    try:
        with _connected(url) as first, _connected(url) as second:
            version = first.info.parameter_status("server_version") or "?"
            pooled = share_a_session(first, second)
            missing = len(migrations.missing(first))
    except psycopg.errors.InsufficientPrivilege:
        return ok(f"PostgreSQL {version}; this role cannot see which migrations are applied")
    except psycopg.Error as error:
        # The driver's message may contain the connection string.
        code = f" ({error.sqlstate})" if error.sqlstate else ""
        return down(f"no connection{code}", f"check DATABASE_URL, or {START}")
    if missing:
        return down(f"PostgreSQL {version}, {missing} migrations are missing", "run `pixelbloom migrate`")
    if pooled and not pools_transactions(url):
        advice = "let DATABASE_URL name the direct connection or a session pooler, or unset it"
        return down(f"PostgreSQL {version} through a transaction pooler", advice)
    return ok(f"PostgreSQL {version}, every migration is applied")


def _connected(url: str) -> psycopg.Connection:
    return psycopg.connect(url, connect_timeout=int(TIMEOUT), autocommit=True)


def postgrest(settings: Settings) -> Finding:
    """Supabase's REST interface, which the backend reads and writes through."""
    if settings.supabase_rest_url is None and settings.supabase_url is None:
        return down("SUPABASE_URL is not set", f"set SUPABASE_URL and SUPABASE_SERVICE_ROLE_KEY, or {START}")
    url = settings.supabase_rest_url or f"{settings.supabase_url}/rest/v1"
    if settings.supabase_service_role_key is None:
        return down("SUPABASE_SERVICE_ROLE_KEY is not set", "set it: the project's service role key")
    key = settings.supabase_service_role_key.get_secret_value()
    try:
        response = httpx.get(
            f"{url}/runs",
            params={"select": "id", "limit": "1"},
            headers={"apikey": key, "Authorization": f"Bearer {key}"},
            timeout=TIMEOUT,
            trust_env=False,
        )
    except (httpx.HTTPError, httpx.InvalidURL):
        return down(f"unreachable at {shown(url)}", f"check SUPABASE_URL, or {START}")
    match response.status_code:
        case 200:
            return ok(f"reachable at {shown(url)}")
        case 401 | 403:
            return down("it refuses the key", "set SUPABASE_SERVICE_ROLE_KEY to the service role key of this project")
        case 404:
            return down("it does not know the table runs", "run `pixelbloom migrate`, or `supabase db push`")
        case 503:
            return down("it has no connection to the database", "start the database, or wait for its restart to end")
        case status:
            return down(f"returned {status}", f"check that SUPABASE_URL ({shown(url)}) is that of the project")


def supabase(settings: Settings) -> Finding:
    """Where browsers sign in and read: the local gateway, or hosted Supabase. The backend may use another address."""
    if settings.supabase_url is None:
        return off("SUPABASE_URL is not set", "set it where browsers use supabase-js")
    address = shown(settings.supabase_url)
    key = settings.supabase_anon_key.get_secret_value() if settings.supabase_anon_key else None
    local = is_loopback(urlsplit(settings.supabase_url).hostname)
    try:
        response = httpx.get(
            f"{settings.supabase_url}/auth/v1/health",
            headers={"apikey": key} if key else {},
            timeout=TIMEOUT,
            trust_env=not local,
        )
    except (httpx.HTTPError, httpx.InvalidURL):
        return warning(f"unreachable at {address}: browsers cannot sign in", f"check SUPABASE_URL, or {START}")
    match response.status_code:
        case 200:
            return ok(f"reachable at {address}")
        case 401 | 403:
            return warning("it refuses the key", "set SUPABASE_ANON_KEY to the anon key of this project")
        case status:
            return warning(f"returned {status}", f"check that SUPABASE_URL ({address}) is that of the project")


def redis_server(settings: Settings) -> Finding:
    """The channel of events, and the broker unless BROKER_URL is set."""
    if settings.redis_url is None:
        return down("REDIS_URL is not set", f"set REDIS_URL, or {START}")
    address = shown(settings.redis_url)
    try:
        with connect(settings.redis_url, timeout_seconds=TIMEOUT, connections=1, retries=0) as client:
            client.ping()
            info = _server_info(client)
    except redis.AuthenticationError:
        return down(f"{address} refuses the password", "correct the password in REDIS_URL")
    except MasterNotFoundError:
        advice = "check the names, passwords, certificates and `master` of REDIS_URL"
        return down(f"no Sentinel of {address} names a reachable master", advice)
    except NoPermissionError as error:
        return down(f"{address} refuses the user a command: {error}", "give the user the rights in docs/brokers.md")
    except (redis.RedisError, OSError, ValueError) as error:
        return _tls_failed(error, address) or down(f"unreachable at {address}", f"check REDIS_URL, or {START}")
    valkey = info.get("valkey_version")
    version = f"Valkey {valkey}" if valkey else f"Redis {info.get('redis_version', '?')}"
    policy = info.get("maxmemory_policy", "noeviction")
    if info.get("maxmemory") and policy != "noeviction":
        return warning(f"{version} throws keys away when it is full ({policy})", "set maxmemory-policy to noeviction")
    return ok(version)


def _tls_failed(error: BaseException | None, where: str, setting: str = "REDIS") -> Finding | None:
    """Return the TLS error of a failed connection, or None if it failed for another reason.

    `setting` is what the names of the settings begin with.
    """
    while error is not None and not isinstance(error, ssl.SSLError):
        error = error.__cause__ or error.__context__
    if error is None:
        return None
    if isinstance(error, ssl.SSLCertVerificationError):
        authority = f"set {setting}_TLS_CA to the certificate of the authority that signed it"
        advice = f"{authority}, and use the name that it is for"
        return down(f"TLS: the certificate of {where} is not valid: {error.verify_message.rstrip('.')}", advice)
    reason = (error.reason or "the handshake failed").lower().replace("_", " ")
    scheme = "rediss" if setting == "REDIS" else "amqps"
    advice = f"check that {setting}_URL ({scheme}://) names a port that speaks TLS"
    return down(f"TLS with {where} failed: {reason}", advice)


def _server_info(client: redis.Redis) -> dict[str, Any]:
    """Return what the server reports about itself; nothing if the user may not ask."""
    try:
        info: Any = client.info()
    except NoPermissionError:
        return {}
    return dict(info)


def _celery(settings: Settings) -> "Celery":
    """Return a Celery app that gives up soon. Not the process's own, which uses the settings that were read first."""
    from celery import Celery

    from pixelbloom.celery_app import broker_options

    app = Celery(set_as_current=False)
    app.conf.update(broker_options(settings))
    if settings.broker_url is None:
        app.conf.broker_transport_options |= {"socket_timeout": TIMEOUT, "socket_connect_timeout": TIMEOUT}
    return app


def rabbitmq(settings: Settings) -> Finding:
    """The broker, where BROKER_URL names RabbitMQ."""
    address = "; ".join(shown(url) for url in str(settings.broker_url).split(";"))
    app = _celery(settings)
    try:
        with app.connection_for_write(connect_timeout=TIMEOUT) as connection:
            connection.ensure_connection(max_retries=address.count(";"), timeout=TIMEOUT)
            server = connection.connection.server_properties
    except (AccessRefused, NotAllowed):
        return down(f"{address} refuses the user, the password or the vhost", "correct them in BROKER_URL")
    except Exception as error:  # kombu lets each transport's own errors through
        return _tls_failed(error, address, "BROKER") or down(f"unreachable at {address}", "check BROKER_URL")
    return ok(f"{server.get('product', 'AMQP')} {server.get('version', '?')}")


def workers(settings: Settings) -> Finding:
    """A worker takes from each queue."""
    if settings.redis_url is None and settings.broker_url is None:
        return down("no broker to reach them through", "set REDIS_URL first")
    app = _celery(settings)
    try:
        with app.connection_for_write(connect_timeout=TIMEOUT) as connection:
            connection.ensure_connection(max_retries=0, timeout=TIMEOUT)
            inspect = app.control.inspect(timeout=WORKERS_REPLY_SECONDS, connection=connection)
            replies = inspect.active_queues() or {}
    except Exception as error:  # kombu lets each transport's own errors through
        tls, see = ("REDIS", "redis") if settings.broker_url is None else ("BROKER", "broker")
        return _tls_failed(error, "the broker", tls) or down("the broker is unreachable", f"see {see}")
    served = {queue["name"] for queues in replies.values() for queue in queues}
    silent = [queue for queue in QUEUES if queue not in served]
    names = ", ".join(sorted(replies)) or "none"
    if silent:
        starts = "; ".join(periodic.worker(queue) for queue in silent)
        return down(f"replying: {names}; no worker takes from {', '.join(silent)}", f"start: {starts}")
    return ok(f"replying: {names}")


def beat(settings: Settings) -> Finding:
    """Beat and the workers that it sends to run: the sweep, the schedules, the relay of events, the webhooks."""
    unknown = down("not known without Redis", "see redis")
    if settings.redis_url is None:
        return unknown
    try:
        with connect(settings.redis_url, timeout_seconds=TIMEOUT, connections=1, retries=0) as client:
            ages = Pulses(client).ages()
    except (redis.RedisError, OSError, ValueError):
        return unknown
    verdict = periodic.judge(ages)
    if verdict.problem is None:
        return ok(verdict.detail)
    return down(f"{verdict.detail}; {verdict.problem}", f"{verdict.advice}, or {START}")


def api(settings: Settings) -> Finding:
    """The web tier. Other parts work without it, and it may run elsewhere."""
    url = api_address(settings)
    try:
        response = httpx.get(f"{url}/readyz", timeout=TIMEOUT, trust_env=False)
        body = response.json()
    except (httpx.HTTPError, ValueError):
        return warning(f"unreachable at {url}", f"{START}, `gunicorn wsgi:app`, or set API_URL")
    if response.status_code == 200:
        return ok(f"reachable at {url}")
    checks = body.get("checks") if isinstance(body, dict) else None
    faulty = [
        name for name, check in (checks if isinstance(checks, dict) else {}).items() if check.get("status") != "ok"
    ]
    return warning(f"{url} is not ready{': ' if faulty else ''}{', '.join(faulty)}", "see the parts above")


def checks(settings: Settings) -> Sequence[Check]:
    """Return the checks of the parts that these settings name."""
    if settings.broker_url is None:
        return CHECKS
    return (*CHECKS[:4], Check("broker", True, rabbitmq), *CHECKS[4:])


CHECKS = (
    Check("postgres", True, postgres),
    Check("postgrest", True, postgrest),
    Check("supabase", False, supabase),
    Check("redis", True, redis_server),
    Check("workers", True, workers),
    Check("beat", True, beat),
    Check("api", False, api),
    Check("ollama", False, ollama),
    Check("huggingface", False, huggingface),
    Check("stripe", False, stripe),
)
