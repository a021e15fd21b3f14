"""Startup checks: a process has all required settings, or exits with one line that names the missing one."""

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
    except ConfigurationError as error:
        print(error.message, file=sys.stderr, flush=True)  # noqa: T201  (logs are not set up yet)
        raise SystemExit(exit_code) from None
    return found


def allow_open_files(wanted: int) -> int:
    """Raise this process's soft limit of open files to `wanted`, up to its hard limit. Return the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        return allowed
    return soft
