"""The local Supabase gateway as a program of the stack, served by gunicorn with threads."""

import os
from argparse import ArgumentParser
from typing import Any

from gunicorn.app.base import BaseApplication

from pixelbloom.auth.tokens import issuer
from pixelbloom.local.supabase.api_keys import ApiKeys
from pixelbloom.local.supabase.auth import Auth
from pixelbloom.local.supabase.gateway import Gateway
from pixelbloom.local.supabase.limits import Rates
from pixelbloom.local.supabase.tokens import AccessTokens

HOST = "127.0.0.1"
THREADS = 32
#: The servers of the stack get 4 seconds to stop.
GRACEFUL_SECONDS = 2


class _Server(BaseApplication):  # type: ignore[misc]
    """gunicorn without its configuration files and variables: those are the web tier's."""

    def __init__(self, port: int) -> None:
        self._port = port
        super().__init__()

    def load_config(self) -> None:
        settings: dict[str, Any] = {
            "bind": f"{HOST}:{self._port}",
            "worker_class": "gthread",
            "threads": THREADS,
            "keepalive": 30,
            "graceful_timeout": GRACEFUL_SECONDS,
            "limit_request_line": 0,  # filters like `id=in.(...)` are long
            "loglevel": "warning",
            "proc_name": "pixelbloom-supabase",
            "control_socket_disable": True,
        }
        for name, value in settings.items():
            self.cfg.set(name, value)

    def load(self) -> Gateway:
        signed_by = issuer(f"http://{HOST}:{self._port}")
        assert signed_by is not None
        secret = os.environ["SUPABASE_JWT_SECRET"]
        auth = Auth(os.environ["DATABASE_URL"], AccessTokens(secret, signed_by), Rates())
        return Gateway(os.environ["SUPABASE_REST_URL"], auth, ApiKeys(secret))


def main() -> None:
    """Serve until a signal ends the process, with DATABASE_URL, SUPABASE_REST_URL and SUPABASE_JWT_SECRET."""
    parser = ArgumentParser(prog="python -m pixelbloom.local.supabase", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    _Server(parser.parse_args().port).run()


if __name__ == "__main__":
    main()
