"""Types of settings: their parsing and error messages."""

import base64
import re
import ssl
from pathlib import Path
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from limits import parse_many
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr
from pydantic_settings import NoDecode

from pixelbloom.core.addresses import libpq_url, ollama_url


def _parts(url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError:
        raise ValueError("is not a URL; write it like https://example.com") from None


def _url(*schemes: str) -> AfterValidator:
    def check(value: str) -> str:
        parts = _parts(value)
        if parts.scheme not in schemes:
            raise ValueError(f"must be a URL that starts with {' or '.join(f'{s}://' for s in schemes)}")
        if not parts.netloc and not (parts.scheme == "unix" and parts.path):
            raise ValueError("must name a host, like https://example.com")
        return value.rstrip("/")

    return AfterValidator(check)


def _broker(value: str) -> str:
    """Validate the address of RabbitMQ; several nodes are separated by semicolons, as kombu reads them."""
    urls = [url.strip() for url in value.split(";") if url.strip()]
    for url in urls:
        parts = _parts(url)
        if parts.scheme not in ("amqp", "amqps"):
            raise ValueError("must be a URL that starts with amqp:// or amqps:// (RabbitMQ); Redis is set by REDIS_URL")
        if not parts.hostname:
            raise ValueError("must name a host, like amqp://user:password@rabbit.example.com:5672/vhost")
        if parts.query or parts.fragment:
            raise ValueError("must have no parameters; BROKER_TLS_CA names the certificates of amqps://")
    if len({_parts(url).scheme for url in urls}) > 1:
        raise ValueError("must have the same scheme for all nodes, amqp:// or amqps://")
    return ";".join(urls)


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


#: HS256 asks for a key as long as its hash: RFC 7518, section 3.2.
SHORTEST_SECRET_BYTES = 32
_DURATION = re.compile(r"[+-]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+", re.ASCII)


def _long_enough(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value().encode("utf-8", "surrogateescape")) < SHORTEST_SECRET_BYTES:
        raise ValueError(f"is shorter than {SHORTEST_SECRET_BYTES} bytes; `openssl rand -hex 32` makes one")
    return value


_GAP = re.compile(r"[\s\x00-\x1f\x7f-\x9f\ufeff]")


def _one_line(value: SecretStr) -> SecretStr:
    if _GAP.search(value.get_secret_value()):
        raise ValueError("has a blank or a line break in it; copy it once more, on one line")
    return value


_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def _levels(value: object) -> object:
    """Parse `celery=WARNING,pixelbloom.runs=DEBUG` into pairs of a logger and its level."""
    if not isinstance(value, str):
        return value
    pairs = [part.partition("=") for part in value.split(",") if part.strip()]
    found = tuple((name.strip(), level.strip().upper()) for name, _, level in pairs)
    if any(not name or level not in _LEVELS for name, level in found):
        raise ValueError("must be pairs of a logger and a level, like celery=WARNING,pixelbloom.runs=DEBUG")
    return found


def _sentry_dsn(value: SecretStr) -> SecretStr:
    parts = _parts(value.get_secret_value())
    if parts.scheme not in ("http", "https") or not parts.username or not parts.hostname or not parts.path.strip("/"):
        raise ValueError("must be a DSN of Sentry: https://KEY@HOST/PROJECT")
    return value


def _database_address(value: SecretStr) -> SecretStr:
    return SecretStr(libpq_url(value.get_secret_value()))


def _logins(value: SecretStr) -> SecretStr:
    for login in value.get_secret_value().split(","):
        user, colon, password = login.partition(":")
        if not user or not colon or not password:
            raise ValueError("must be user:password, or several of them separated by commas")
    return value


def _certificates(value: Path) -> Path:
    try:
        ssl.create_default_context(cafile=value)
    except (OSError, ssl.SSLError):
        raise ValueError("must be a file of certificates in PEM form that can be read") from None
    return value.absolute()


def _duration(value: str) -> str:
    """Validate a duration in Go's format, as Ollama expects; a bare number is seconds."""
    text = value.strip()
    if re.fullmatch(r"[+-]?\d{1,9}", text, re.ASCII):
        return f"{text}s"
    if not _DURATION.fullmatch(text):
        raise ValueError("must be a duration like 10m, 1h30m or 300s; 0 means not at all, -1 forever")
    return text


def _origin(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        parts = _parts(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path or parts.query:
            raise ValueError("must be origins without a path, like https://app.example.com, separated by commas")
    return values


def _issuers(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if _parts(value).scheme not in ("http", "https") or not _parts(value).hostname:
            raise ValueError("must be URLs like https://auth.example.com/auth/v1, separated by commas")
    return tuple(value.rstrip("/") for value in values)


def _rate(value: str) -> str | None:
    if value.strip().lower() == "off":
        return None
    try:
        parse_many(value)
    except ValueError:
        raise ValueError("must be a rate like 6000/minute or 10/minute;100/day, or off") from None
    return value


HttpUrl = Annotated[str, _url("http", "https")]
RedisUrl = Annotated[str, _url("redis", "rediss", "unix", "sentinel", "sentinels")]
BrokerUrl = Annotated[str, AfterValidator(_broker)]


def _webhook_secrets(values: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
    for value in values:
        text = value.get_secret_value().removeprefix("whsec_")
        try:
            enough = len(base64.b64decode(text + "=" * (-len(text) % 4), validate=True)) >= 24
        except ValueError:
            enough = False
        if not enough:
            raise ValueError("must be whsec_ and at least 24 bytes in base64")
    return values


WebhookSecrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split), AfterValidator(_webhook_secrets)]
Issuers = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_issuers)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
LogLevels = Annotated[tuple[tuple[str, str], ...], NoDecode, BeforeValidator(_levels)]
SentryDsn = Annotated[SecretStr, AfterValidator(_sentry_dsn)]
#: Sent in a header: without blanks and line breaks.
Key = Annotated[SecretStr, AfterValidator(_one_line)]
OllamaUrl = Annotated[
    str,
    BeforeValidator(lambda value: ollama_url(value) if isinstance(value, str) else value),
    _url("http", "https"),
]
#: As Flower reads them.
Logins = Annotated[SecretStr, AfterValidator(_logins)]
Certificates = Annotated[Path, AfterValidator(_certificates)]
DatabaseUrl = Annotated[SecretStr, AfterValidator(_database_address)]
RateLimit = Annotated[str | None, AfterValidator(_rate)]
Port = Annotated[int, Field(ge=1, le=65535)]
Origins = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_origin)]
Secrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split)]
SigningSecret = Annotated[SecretStr, AfterValidator(_long_enough)]
Duration = Annotated[str, AfterValidator(_duration)]
