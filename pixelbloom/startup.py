"""How a process of ours begins: with every setting that it needs, or with one line that names the one at fault."""

import resource
import sys

from pixelbloom.config import Settings, settings
from pixelbloom.errors import ConfigurationError

#: Web and workers do nothing without these.
BACKEND = ("redis_url", "supabase_url", "supabase_service_role_key")
#: As of a wrong option of the command line.
EXIT_CODE = 2
#: With any other code of its worker, gunicorn starts a new one, for ever.
GUNICORN_EXIT_CODE = 4


def required_settings(*names: str, exit_code: int = EXIT_CODE) -> Settings:
    """The process's settings, in which these are set. Otherwise says so on stderr and ends the process."""
    try:
        found = settings()
        for name in names:
            found.require(name)
    except ConfigurationError as error:
        print(error.message, file=sys.stderr, flush=True)  # noqa: T201  (logs are not set up yet)
        raise SystemExit(exit_code) from None
    return found


def allow_open_files(wanted: int) -> int:
    """Raise this process's limit of open files to `wanted`, as far as its hard limit lets it. Answers the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        return allowed
    return soft
