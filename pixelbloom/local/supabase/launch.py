"""How the local stack starts the gateway."""

import sys
from dataclasses import dataclass

from pixelbloom.local.child import Command
from pixelbloom.local.probes import answers
from pixelbloom.local.roles import ROOT

NAME = "supabase"


@dataclass(frozen=True)
class LocalSupabase:
    """The gateway at `port` of loopback, before the PostgREST at `rest_url`."""

    port: int
    rest_url: str

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def command(self) -> Command:
        """The command of the gateway."""
        argv = [sys.executable, "-m", "pixelbloom.local.supabase", "--port", str(self.port)]
        own = {"SUPABASE_REST_URL": self.rest_url, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
        return Command(NAME, argv, env=own)

    def ready(self) -> bool:
        """Whether it accepts requests."""
        return answers(self.port, "/auth/v1/health")
