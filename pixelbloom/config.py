"""Settings: the only reader of the environment.

Each value is looked up in the environment, then in `.env`, then in what the running local stack
wrote into its home (`stack.env`, `secrets.env`). An empty value counts as not set.
"""

import base64
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit
from uuid import UUID

from limits import parse_many
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from pixelbloom.errors import ConfigurationError

#: Written by the local stack into its home; the settings of a running one, and the secrets it keeps.
STACK_FILE = "stack.env"
SECRETS_FILE = "secrets.env"
#: The user of local development: `pixelbloom up` prints a token of theirs, the other commands act as them.
DEVELOPMENT_USER = UUID("00000000-0000-4000-8000-00000000d0e5")


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


def _split(value: object) -> object:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


#: HS256 asks for a key as long as its hash: RFC 7518, section 3.2.
SHORTEST_SECRET_BYTES = 32
_DURATION = re.compile(r"[+-]?(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+", re.ASCII)


def _long_enough(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value().encode("utf-8", "surrogateescape")) < SHORTEST_SECRET_BYTES:
        raise ValueError(f"is shorter than {SHORTEST_SECRET_BYTES} bytes; `openssl rand -hex 32` makes one")
    return value


def _duration(value: str) -> str:
    """A duration as Go reads it, which Ollama does; a bare number is seconds."""
    text = value.strip()
    if re.fullmatch(r"[+-]?\d{1,9}", text, re.ASCII):
        return f"{text}s"
    if not _DURATION.fullmatch(text):
        raise ValueError("must be a duration like 10m, 1h30m or 300s; 0 means not at all, -1 for ever")
    return text


def _origin(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        parts = _parts(value)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.path or parts.query:
            raise ValueError("must be origins without a path, like https://app.example.com, separated by commas")
    return values


def _rate(value: str) -> str | None:
    if value.strip().lower() == "off":
        return None
    try:
        parse_many(value)
    except ValueError:
        raise ValueError("must be a rate like 6000/minute or 10/minute;100/day, or off") from None
    return value


HttpUrl = Annotated[str, _url("http", "https")]
RedisUrl = Annotated[str, _url("redis", "rediss", "unix")]


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
RateLimit = Annotated[str | None, AfterValidator(_rate)]
Port = Annotated[int, Field(ge=1, le=65535)]
Origins = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_origin)]
Names = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]
Secrets = Annotated[tuple[SecretStr, ...], NoDecode, BeforeValidator(_split)]
SigningSecret = Annotated[SecretStr, AfterValidator(_long_enough)]
Duration = Annotated[str, AfterValidator(_duration)]


class Settings(BaseSettings):
    """Every variable that PixelBloom reads, with its default. `docs/configuration.md` explains each."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True, case_sensitive=False
    )

    # The process
    port: Port = 8000
    flower_port: Port = 5555
    pixelbloom_home: Path = Path(".pixelbloom")
    log_format: Literal["auto", "json", "pretty"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    cors_origins: Origins = ()
    websocket_send_buffer: Annotated[int, Field(ge=0, le=2**30)] = 0

    # Supabase
    supabase_url: HttpUrl | None = None
    supabase_rest_url: HttpUrl | None = None
    supabase_anon_key: SecretStr | None = None
    supabase_service_role_key: SecretStr | None = None
    supabase_jwt_secret: SigningSecret | None = None
    api_jwt_secret: SigningSecret | None = None
    database_url: SecretStr | None = None
    role_seconds: float = Field(30, ge=0.1, le=3600)

    # The command line's way to the API
    api_url: HttpUrl | None = None
    pixelbloom_token: SecretStr | None = None

    # Redis
    redis_url: RedisUrl | None = None

    # Models
    ollama_host: HttpUrl = "http://localhost:11434"
    ollama_model: str | None = None
    ollama_temperature: float = Field(0.7, ge=0, le=2)
    ollama_keep_alive: Duration = "10m"
    model_timeout: float = Field(60, gt=0, le=3600)
    huggingface_api_key: SecretStr | None = None
    huggingface_model: str = "meta-llama/Llama-3.1-8B-Instruct"
    huggingface_base_url: HttpUrl = "https://router.huggingface.co/v1"

    # Runs
    agent_concurrency: int = Field(8, ge=1, le=256)
    lease_seconds: float = Field(15, ge=2, le=600)
    user_concurrency: int = Field(64, ge=1, le=10_000)
    run_rate_limit: RateLimit = "6000/minute"
    waits_per_user: int = Field(50, ge=0, le=10_000)
    waits_per_process: int = Field(1_000, ge=0, le=100_000)
    webhook_secret: WebhookSecrets = ()
    webhook_allow_private: bool = False
    run_retention_days: float | None = Field(None, gt=0, le=36_500)
    notification_retention_days: float = Field(90, gt=0, le=36_500)

    # Whoever is not signed in
    quote_rate_limit: RateLimit = "60/minute"
    visitors: bool = True
    visitor_session_limit: RateLimit = "20/hour"
    visitor_lead_limit: RateLimit = "5/hour"
    visitor_message_limit: RateLimit = "10/minute;100/day"
    connections_per_address: int = Field(500, ge=0, le=100_000)
    trusted_proxies: int = Field(0, ge=0, le=10)

    # Stripe
    stripe_api_key: SecretStr | None = None
    stripe_webhook_secret: Secrets = ()
    stripe_price_id: str | None = None
    stripe_extra_price_ids: Names = ()
    stripe_mode: Literal["subscription", "payment"] = "subscription"
    stripe_success_url: HttpUrl | None = None
    stripe_cancel_url: HttpUrl | None = None
    stripe_api_base: HttpUrl = "https://api.stripe.com"
    pixelbloom_stripe: Literal["local"] | None = None
    stripe_port: Port = 12111

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003  (the library's signature)
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  (the library's signature)
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, dotenv_settings

    def require(self, name: str) -> str:
        """The value of a setting that this process cannot do without.

        Raises ConfigurationError, which names the variable, where it is not set.
        """
        value = getattr(self, name)
        if value is None or value == "":
            raise ConfigurationError(
                f"{name.upper()} is not set: set it in the environment or in .env, or start the local stack"
            )
        return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def load(*, home_files: bool = True, overrides: Mapping[str, object] | None = None) -> Settings:
    """Read the settings anew. Raises ConfigurationError that names each variable at fault, on one line.

    `home_files=False` leaves out what a running local stack wrote: `pixelbloom up` itself reads so.
    """
    try:
        here = Settings(_env_file=".env", **(overrides or {}))  # type: ignore[arg-type]
        if not home_files:
            return here
        home = here.pixelbloom_home
        # The home's keys are those of its own Postgres: beside another Supabase they would be wrong.
        keys = () if here.supabase_url else (home / SECRETS_FILE,)
        files = (*keys, home / STACK_FILE, Path(".env"))
        return Settings(_env_file=files, **(overrides or {}))  # type: ignore[arg-type]
    except ValidationError as error:
        faults = error.errors(include_url=False, include_input=False)
        said = "; ".join(f"{str(fault['loc'][0]).upper()} {_in_words(fault)}" for fault in faults)
        raise ConfigurationError(f"wrong setting: {said}") from None


def _in_words(fault: ErrorDetails) -> str:
    """What is wrong with a value, after the name of its variable; never the value."""
    limits = fault.get("ctx", {})
    match fault["type"]:
        case "value_error":
            return str(limits["error"])
        case "int_parsing" | "int_parsing_size" | "int_from_float":
            return "must be a whole number"
        case "float_parsing":
            return "must be a number"
        case "greater_than":
            return f"must be more than {limits['gt']:g}"
        case "greater_than_equal":
            return f"must be at least {limits['ge']:g}"
        case "less_than_equal":
            return f"must be at most {limits['le']:g}"
        case "literal_error":
            return f"must be {limits['expected'].replace(chr(39), '')}"
        case _:
            return f"cannot be taken: {fault['msg']}"


@cache
def settings() -> Settings:
    """The process's settings, read once."""
    return load()
