"""How the local stack starts the gateway."""

import sys
from dataclasses import dataclass

from pixelbloom.core.shipped import CLONE
from pixelbloom.local.child import Command
from pixelbloom.local.probes import responds

NAME = "supabase"


@dataclass(frozen=True)
class LocalSupabase:
    """The gateway at `port` of loopback, before PostgREST and its database."""

    port: int
    rest_url: str
    database_url: str
    jwt_secret: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> Command:
        """The command of the gateway."""
        argv = [sys.executable, "-m", "pixelbloom.local.supabase", "--port", str(self.port)]
        own = {
            "DATABASE_URL": self.database_url,
            "SUPABASE_REST_URL": self.rest_url,
            "SUPABASE_JWT_SECRET": self.jwt_secret,
        }
        return Command(NAME, argv, env={**own, "PYTHONPATH": str(CLONE), "PYTHONUNBUFFERED": "1"})

    def ready(self) -> bool:
        """Whether it accepts requests."""
        return responds(self.port, "/auth/v1/health")
