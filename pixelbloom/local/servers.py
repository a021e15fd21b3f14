"""The embedded servers as one thing: started in order, migrated, stopped in the other order."""

import time
from collections.abc import Callable

import psycopg

from pixelbloom.local import binaries, migrations
from pixelbloom.local.child import Child
from pixelbloom.local.errors import StackError
from pixelbloom.local.home import Home
from pixelbloom.local.output import Output
from pixelbloom.local.postgres import Postgres
from pixelbloom.local.postgrest import PostgREST, kept_port
from pixelbloom.local.redis_server import RedisServer
from pixelbloom.local.wait import Pause, until

#: Crash recovery of a large cluster may take its time.
POSTGRES_SECONDS = 60.0
POSTGREST_SECONDS = 30.0
REDIS_SECONDS = 30.0
STOP_SECONDS = 4.0


class Servers:
    """Starts Postgres, PostgREST and Redis, each where wanted, and says what became of them in `env`.

    `children` are the running ones, in the order of their start. `env` is the settings that reach them.
    """

    def __init__(self, home: Home, output: Output, pause: Pause = time.sleep, *, durable: bool = True) -> None:
        self.home = home
        self.output = output
        self.pause = pause
        self.durable = durable
        self.children: list[Child] = []
        self.env: dict[str, str] = {}

    def start_database(self, keys: dict[str, str]) -> None:
        """Postgres, the bootstrap and the migrations, then PostgREST: its schema cache is then right from the start.

        `keys` holds SUPABASE_JWT_SECRET and SUPABASE_ANON_KEY.
        """
        database = Postgres(self.home, durable=self.durable)
        program = binaries.postgrest(self.home.root, self.output.say)
        self._start(Child(database.command(), self.home.records, self.output), database.ready, POSTGRES_SECONDS)
        with psycopg.connect(database.url(), autocommit=True) as connection:
            migrations.bootstrap(connection)
            migrations.migrate(connection, say=self.output.say)
        front = PostgREST(
            program, database, kept_port(self.home), keys["SUPABASE_JWT_SECRET"], keys["SUPABASE_ANON_KEY"]
        )
        self._start(Child(front.command(), self.home.records, self.output), front.ready, POSTGREST_SECONDS)
        self.env |= {
            "SUPABASE_URL": front.url,
            "SUPABASE_REST_URL": front.url,
            "DATABASE_URL": database.url(),
        }

    def start_redis(self) -> None:
        """Redis. Data that it cannot read is set aside, once."""
        server = RedisServer(self.home, lambda: self.output.tail("redis"), self.output.say, durable=self.durable)
        try:
            self._start(Child(server.command(), self.home.records, self.output), server.ready, REDIS_SECONDS)
        except StackError:
            if not server.damaged():
                raise
            self.children.pop()
            self._start(Child(server.command(), self.home.records, self.output), server.ready, REDIS_SECONDS)
        self.env["REDIS_URL"] = server.url

    def stop(self) -> None:
        """Stop what runs, the last first. Safe to repeat."""
        while self.children:
            self.children.pop().stop(STOP_SECONDS)

    def _start(self, child: Child, ready: Callable[[], bool], seconds: float) -> None:
        self.children.append(child)
        child.start()
        until(ready, child, seconds=seconds, pause=self.pause)
