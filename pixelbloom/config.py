"""Settings: the only reader of the environment.

Each value is looked up in the environment, then in `.env`, then in what the running local stack
wrote into its home (`stack.env`, `secrets.env`). An empty value counts as not set.
"""

import os
from collections.abc import Mapping
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from pixelbloom.core import celery_variables
from pixelbloom.core.addresses import redis_url
from pixelbloom.core.textfile import EnvFiles, NotText
from pixelbloom.errors import ConfigurationError
from pixelbloom.setting_types import (
    BrokerUrl,
    Certificates,
    DatabaseUrl,
    Duration,
    HttpUrl,
    Issuers,
    Key,
    Logins,
    LogLevels,
    Names,
    OllamaUrl,
    Origins,
    Port,
    RateLimit,
    RedisUrl,
    Secrets,
    SentryDsn,
    SigningSecret,
    WebhookSecrets,
)

#: Written by the local stack into its home: the settings of a running stack, and its stored secrets.
STACK_FILE = "stack.env"
SECRETS_FILE = "secrets.env"
#: The user of local development: `pixelbloom up` prints a token for this user; other commands act as this user.
DEVELOPMENT_USER = UUID("00000000-0000-4000-8000-00000000d0e5")


#: The files that `load` reads; later ones take precedence.
_files: ContextVar[tuple[Path, ...]] = ContextVar("files", default=())
#: The characters that `str.strip` removes, and a byte order mark.
_AROUND = "".join(
    chr(code) for code in (*range(0x21), 0x7F, 0x85, 0xA0, *range(0x2000, 0x2010), 0x2028, 0x2029, 0xFEFF)
)


class Settings(BaseSettings):
    """Every variable that PixelBloom reads, with its default. `docs/configuration.md` explains each."""

    model_config = SettingsConfigDict(
        frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True, case_sensitive=False
    )

    # The process
    port: Port = 8000
    flower_port: Port = 5555
    flower_basic_auth: Logins | None = None
    pixelbloom_home: Path = Path(".pixelbloom")
    log_format: Literal["auto", "json", "pretty"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_levels: LogLevels = ()
    metrics_port: Port | None = None
    metrics_address: str = "127.0.0.1"
    otel_exporter_otlp_endpoint: HttpUrl | None = None
    otel_exporter_otlp_traces_endpoint: HttpUrl | None = None
    otel_service_name: str | None = None
    otel_sdk_disabled: bool = False
    sentry_dsn: SentryDsn | None = None
    cors_origins: Origins = ()
    pixelbloom_console: Literal["on", "off"] = "on"
    pixelbloom_demo_accounts: Path | None = None
    websocket_send_buffer: Annotated[int, Field(ge=0, le=2**30)] = 0

    # Supabase
    supabase_url: HttpUrl | None = None
    supabase_rest_url: HttpUrl | None = None
    supabase_anon_key: Key | None = None
    supabase_service_role_key: Key | None = None
    supabase_jwt_secret: SigningSecret | None = None
    supabase_jwt_issuer: Issuers = ()
    api_jwt_secret: SigningSecret | None = None
    database_url: DatabaseUrl | None = None
    authenticator_password: Key | None = None
    role_seconds: float = Field(30, ge=0.1, le=3600)

    # The command line and its API
    pixelbloom_debug: bool = False
    api_url: HttpUrl | None = None
    pixelbloom_token: Key | None = None

    # Redis, and RabbitMQ
    redis_tls_ca: Certificates | None = None
    redis_url: RedisUrl | None = None
    broker_tls_ca: Certificates | None = None
    broker_url: BrokerUrl | None = None

    # Models
    ollama_host: OllamaUrl = "http://localhost:11434"
    ollama_model: str | None = None
    ollama_temperature: float = Field(0.7, ge=0, le=2)
    ollama_keep_alive: Duration = "10m"
    ollama_think: bool = False
    model_timeout: float = Field(60, gt=0, le=3600)
    huggingface_api_key: Key | None = None
    huggingface_model: str = "meta-llama/Llama-3.1-8B-Instruct"
    huggingface_base_url: HttpUrl = "https://router.huggingface.co/v1"

    pixelbloom_model: Literal["local"] | None = None
    model_port: Port = 11600

    # Runs
    agent_concurrency: int = Field(8, ge=1, le=256)
    lease_seconds: float = Field(15, ge=2, le=600)
    user_concurrency: int = Field(64, ge=1, le=10_000)
    run_rate_limit: RateLimit = "6000/minute"
    waits_per_user: int = Field(50, ge=0, le=10_000)
    searches_per_user: int = Field(4, ge=1, le=1_000)
    search_queue_seconds: float = Field(5, ge=0, le=60)
    figures_per_user: int = Field(20, ge=1, le=10_000)
    waits_per_process: int = Field(1_000, ge=0, le=100_000)
    webhook_secret: WebhookSecrets = ()
    webhook_allow_private: bool = False
    webhook_user_concurrency: int = Field(3, ge=1, le=1_000)
    webhook_host_concurrency: int = Field(6, ge=1, le=1_000)

    # Retention
    run_retention_days: float | None = Field(None, gt=0, le=36_500)
    agent_log_retention_days: float | None = Field(None, gt=0, le=36_500)
    model_metric_retention_days: float | None = Field(None, gt=0, le=36_500)
    notification_retention_days: float = Field(90, gt=0, le=36_500)
    unread_notification_retention_days: float | None = Field(None, gt=0, le=36_500)
    webhook_delivery_retention_days: float | None = Field(None, gt=0, le=36_500)
    event_retention_days: float = Field(7, ge=1, le=36_500)
    stripe_event_retention_days: float | None = Field(None, ge=30, le=36_500)
    removed_row_retention_days: float | None = Field(None, gt=0, le=36_500)

    # Visitors and anonymous users
    quote_rate_limit: RateLimit = "60/minute"
    visitors: bool = True
    anonymous_users: Literal["limited", "full", "off"] = "limited"
    visitor_session_limit: RateLimit = "20/hour"
    visitor_lead_limit: RateLimit = "5/hour"
    visitor_message_limit: RateLimit = "10/minute;100/day"
    checkout_rate_limit: RateLimit = "20/hour"
    connections_per_address: int = Field(500, ge=0, le=100_000)
    trusted_proxies: int = Field(0, ge=0, le=10)

    # Stripe
    stripe_api_key: Key | None = None
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
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003  (it reads UTF-8 only)
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  (the library's signature)
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, EnvFiles(settings_cls, _files.get())

    @model_validator(mode="before")
    @classmethod
    def _stripped(cls, values: Any) -> Any:
        """Strip surrounding whitespace; a blank value is not set."""
        if not isinstance(values, dict):
            return values
        texts = {
            name: value.strip(_AROUND) if isinstance(value, str) and name in cls.model_fields else value
            for name, value in values.items()
        }
        return {name: value for name, value in texts.items() if value != ""}

    @field_validator("redis_url")
    @classmethod
    def _verified(cls, value: str | None, info: ValidationInfo) -> str | None:
        ca = info.data.get("redis_tls_ca")
        return value and redis_url(value, None if ca is None else str(ca))

    def require(self, name: str) -> str:
        """Return the value of a required setting.

        Raises ConfigurationError, which names the variable, if it is not set.
        """
        value = getattr(self, name)
        if value is None or value == "":
            raise ConfigurationError(
                f"{name.upper()} is not set: set it in the environment or in .env, or start the local stack"
            )
        return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def load(*, home_files: bool = True, overrides: Mapping[str, object] | None = None) -> Settings:
    """Read the settings. Raises ConfigurationError that names each invalid variable, on one line.

    `home_files=False` ignores the files of a running local stack; `pixelbloom up` uses it.
    """
    try:
        celery_variables.refuse(os.environ)
    except ValueError as error:
        raise ConfigurationError(str(error)) from None
    try:
        here = _read((Path(".env"),), overrides)
        if not home_files:
            return here
        home = here.pixelbloom_home
        # The home's keys are for its own Postgres and invalid for another Supabase.
        keys = () if here.supabase_url else (home / SECRETS_FILE,)
        return _read((*keys, home / STACK_FILE, Path(".env")), overrides)
    except NotText as error:
        raise ConfigurationError(str(error)) from None
    except ValidationError as error:
        errors = error.errors(include_url=False, include_input=False)
        details = "; ".join(f"{str(item['loc'][0]).upper()} {_describe(item)}" for item in errors)
        raise ConfigurationError(f"invalid setting: {details}") from None


def _read(files: tuple[Path, ...], overrides: Mapping[str, object] | None) -> Settings:
    token = _files.set(files)
    try:
        return Settings(**(overrides or {}))  # type: ignore[arg-type]
    finally:
        _files.reset(token)


def _describe(error: ErrorDetails) -> str:
    """Return the error of a value, to follow the name of its variable; never the value itself."""
    limits = error.get("ctx", {})
    match error["type"]:
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
            return f"is invalid: {error['msg']}"


@cache
def settings() -> Settings:
    """Return the process's settings, read once."""
    return load()
