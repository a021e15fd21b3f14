"""Startup checks: a process has all required settings, or exits with one line that names the missing one."""

import importlib.util
import resource
import sys

from pixelbloom.config import Settings, settings
from pixelbloom.errors import ConfigurationError

#: Required by the web tier and the workers.
BACKEND = ("redis_url", "supabase_url", "supabase_service_role_key")
#: The same as for an invalid command-line option.
EXIT_CODE = 2
#: With any other exit code of its worker, gunicorn restarts it forever.
GUNICORN_EXIT_CODE = 4


def required_settings(*names: str, exit_code: int = EXIT_CODE) -> Settings:
    """Return the process's settings with these set. Otherwise print an error on stderr and exit."""
    try:
        found = settings()
        for name in names:
            found.require(name)
        _check_extras(found)
    except ConfigurationError as error:
        print(error.message, file=sys.stderr, flush=True)  # noqa: T201  (logs are not set up yet)
        raise SystemExit(exit_code) from None
    return found


def _check_extras(found: Settings) -> None:
    """Raise ConfigurationError if a setting needs packages that are not installed."""
    endpoint = found.otel_exporter_otlp_endpoint or found.otel_exporter_otlp_traces_endpoint
    wanted = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": ("opentelemetry", endpoint is not None and not found.otel_sdk_disabled),
        "SENTRY_DSN": ("sentry_sdk", found.sentry_dsn is not None),
    }
    for variable, (package, needed) in wanted.items():
        if needed and importlib.util.find_spec(package) is None:
            raise ConfigurationError(f"{variable} is set: install the extra, pip install 'pixelbloom[telemetry]'")


def allow_open_files(wanted: int) -> int:
    """Raise this process's soft limit of open files to `wanted`, up to its hard limit. Return the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        return allowed
    return soft
