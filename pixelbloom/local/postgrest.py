"""The embedded PostgREST, the REST interface of Supabase."""

import http.client
import random
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pixelbloom.local.child import Command
from pixelbloom.local.home import Home
from pixelbloom.local.postgres import Postgres

HOST = "127.0.0.1"
#: Below the range of outgoing connections, so that no other process takes it during a restart of PostgREST.
PORTS = range(20_000, 32_000)


def free_port() -> int:
    """Return a port without a listener."""
    for port in random.sample(PORTS, 200):
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise OSError("no free port")


def stored_port(home: Home, name: str = "postgrest") -> int:
    """Return the port of the last start if it is still free: tokens and front ends contain the address."""
    file = home.root / f"{name}.port"
    try:
        port = int(file.read_text())
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
    except (OSError, ValueError, OverflowError):
        port = free_port()
        file.write_text(str(port))
    return port


@dataclass(frozen=True)
class PostgREST:
    program: Path
    database: Postgres
    port: int
    jwt_secret: str
    anon_key: str

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def command(self) -> Command:
        return Command("postgrest", [str(self.program)], env=self._environment())

    def ready(self) -> bool:
        """Return whether it is reachable, with its schema cache loaded."""
        connection = http.client.HTTPConnection(HOST, self.port, timeout=2)
        try:
            connection.request("HEAD", "/", headers={"Authorization": f"Bearer {self.anon_key}"})
            return connection.getresponse().status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _environment(self) -> Mapping[str, str]:
        return {
            "PGRST_DB_URI": self.database.url("authenticator"),
            "PGRST_DB_SCHEMAS": "public",
            "PGRST_DB_EXTRA_SEARCH_PATH": "public,extensions",
            "PGRST_DB_ANON_ROLE": "anon",
            "PGRST_DB_POOL": "10",
            "PGRST_DB_POOL_ACQUISITION_TIMEOUT": "10",
            "PGRST_DB_MAX_ROWS": "1000",  # Supabase's default
            "PGRST_JWT_SECRET": self.jwt_secret,
            "PGRST_SERVER_HOST": HOST,
            "PGRST_SERVER_PORT": str(self.port),
            "PGRST_LOG_LEVEL": "error",
        }
