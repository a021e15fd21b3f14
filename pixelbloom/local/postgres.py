"""The embedded Postgres: its cluster, its command line, its readiness."""

import shutil
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

import psycopg

from pixelbloom.errors import StackError
from pixelbloom.local import account, binaries, leftovers
from pixelbloom.local.child import Command
from pixelbloom.local.home import Home

MAJOR_VERSION = "18"
#: For tests only: a crash of the machine may cost the cluster, a crash of Postgres does not.
FAST_AND_LOOSE = ("fsync=off", "synchronous_commit=off", "full_page_writes=off")
SETTINGS = (
    "listen_addresses=",
    "unix_socket_permissions=0700",
    "max_connections=60",
    "shared_buffers=64MB",
    "wal_level=minimal",
    "max_wal_senders=0",
    "max_wal_size=256MB",
    "jit=off",
    "timezone=UTC",
    "log_timezone=UTC",
    "log_line_prefix=%m [%p] ",
    "log_checkpoints=off",
    "log_lock_waits=on",
    "idle_in_transaction_session_timeout=5min",
)


@dataclass(frozen=True)
class Postgres:
    """One cluster in a home. It listens on a unix socket only; the socket's folder controls access."""

    home: Home
    durable: bool = True

    @property
    def sockets(self) -> Path:
        return self.home.postgres_sockets

    def url(self, user: str = "postgres") -> str:
        return f"postgresql://{user}@/postgres?host={self.sockets}"

    def command(self) -> Command:
        """Return the command of the server. Raises StackError if its program is missing or root cannot run it."""
        settings = SETTINGS if self.durable else SETTINGS + FAST_AND_LOOSE
        options = [part for setting in settings for part in ("-c", setting)]
        return Command(
            "postgres",
            [
                *(str(binaries.postgres_folder() / "postgres"), "-D", str(self.home.postgres)),
                *("-k", str(self.sockets), *options),
            ],
            launch=account.for_postgres(self.home).launch,
            stop_signal=signal.SIGINT,  # "fast": sessions are ended, all is written
            before=self._prepare,
        )

    def ready(self) -> bool:
        try:
            psycopg.connect(self.url(), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _prepare(self) -> None:
        who = account.for_postgres(self.home)
        self.sockets.mkdir(mode=0o700, exist_ok=True)
        if not (self.home.postgres / "PG_VERSION").exists():
            self._create(who)
        version = (self.home.postgres / "PG_VERSION").read_text().strip()
        if version != MAJOR_VERSION:
            raise StackError(
                f"{self.home.postgres} was made by Postgres {version}, this is {MAJOR_VERSION}: "
                "dump it with the old one, or start with another PIXELBLOOM_HOME"
            )
        who.own(self.home.postgres)
        who.own(self.sockets)
        self._clear_stale()

    def _create(self, who: account.Account) -> None:
        """Make the cluster beside its place, then rename: an interrupted start leaves no partial cluster."""
        new = self.home.root / "postgres.new"
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir(mode=0o700)
        who.own(new)
        argv = [str(binaries.postgres_folder() / "initdb"), "-D", str(new), "-U", "postgres", "-A", "trust"]
        argv += ["--encoding=UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
        argv += [] if self.durable else ["--no-sync"]
        done = subprocess.run(who.wrap(argv), capture_output=True, text=True, check=False, cwd="/")
        if done.returncode != 0:
            raise StackError(f"initdb cannot make {self.home.postgres}:\n{done.stderr.strip()}")
        shutil.rmtree(self.home.postgres, ignore_errors=True)
        new.rename(self.home.postgres)

    def _clear_stale(self) -> None:
        """End processes that still run on this cluster, and remove its lock files.

        Postgres takes any process with that pid for itself, a zombie too, and would not start.
        """
        leftovers.end_all_in(self.home.postgres, "postgres")
        for stale in (self.home.postgres / "postmaster.pid", self.sockets / ".s.PGSQL.5432.lock"):
            stale.unlink(missing_ok=True)
