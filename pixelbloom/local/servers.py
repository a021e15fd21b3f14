"""The embedded servers together: started concurrently, migrated, stopped one after the other."""

import time
from collections.abc import Callable

import psycopg

from pixelbloom.database import migrations
from pixelbloom.database.bootstrap import bootstrap
from pixelbloom.errors import StackError
from pixelbloom.local import binaries
from pixelbloom.local.child import Child, Command
from pixelbloom.local.home import Home
from pixelbloom.local.output import Output
from pixelbloom.local.postgres import Postgres
from pixelbloom.local.postgrest import PostgREST, stored_port
from pixelbloom.local.redis_server import RedisServer
from pixelbloom.local.supabase.launch import NAME as GATEWAY
from pixelbloom.local.supabase.launch import LocalSupabase
from pixelbloom.local.wait import Pause, until

#: Crash recovery of a large cluster may take its time.
POSTGRES_SECONDS = 60.0
POSTGREST_SECONDS = 30.0
REDIS_SECONDS = 30.0
GATEWAY_SECONDS = 60.0
STOP_SECONDS = 4.0


class Servers:
    """Starts Postgres, PostgREST with the Supabase gateway before it, and Redis, each where wanted.

    `children` are the running ones, in the order of their start. `env` is the settings that reach them.
    """

    def __init__(self, home: Home, output: Output, pause: Pause = time.sleep, *, durable: bool = True) -> None:
        self.home = home
        self.output = output
        self.pause = pause
        self.durable = durable
        self.children: list[Child] = []
        self.env: dict[str, str] = {}
        self._front: PostgREST | None = None
        self._gateway: LocalSupabase | None = None

    def start(self, keys: dict[str, str] | None, *, redis: bool) -> None:
        """Postgres, PostgREST and the migrations where there are `keys`, and Redis where wanted; all are ready then.

        `keys` holds SUPABASE_JWT_SECRET and SUPABASE_ANON_KEY.
        """
        self.launch(keys, redis=redis)
        self.finish()

    def launch(self, keys: dict[str, str] | None, *, redis: bool) -> None:
        """Start Postgres and Redis concurrently, and wait only for Redis. `env` is complete then."""
        # It may have to be fetched: before anything runs.
        program = binaries.postgrest(self.home.root, self.output.say) if keys is not None else None
        server = RedisServer(self.home, lambda: self.output.tail("redis"), self.output.say, durable=self.durable)
        if redis:
            self._start(server.command())
            self.env["REDIS_URL"] = server.url
        if keys is not None and program is not None:
            database = Postgres(self.home, durable=self.durable)
            self._start(database.command())
            self._front = PostgREST(
                program, database, stored_port(self.home), keys["SUPABASE_JWT_SECRET"], keys["SUPABASE_ANON_KEY"]
            )
            self._gateway = LocalSupabase(
                stored_port(self.home, GATEWAY), self._front.url, database.url(), keys["SUPABASE_JWT_SECRET"]
            )
            self.env |= {
                "SUPABASE_URL": self._gateway.url,
                "SUPABASE_REST_URL": self._front.url,
                "DATABASE_URL": database.url(),
            }
            self._start(self._gateway.command())
        if redis:
            self._wait_for_redis(server)

    def finish(self) -> None:
        """Run the bootstrap and the migrations, then start PostgREST, so that its schema cache is current."""
        if self._front is None or self._gateway is None:
            return
        database = self._front.database
        self._wait(self._child("postgres"), database.ready, POSTGRES_SECONDS)
        with psycopg.connect(database.url(), autocommit=True) as connection:
            bootstrap(connection)
            migrations.migrate(connection, say=self.output.say)
        self._wait(self._start(self._front.command()), self._front.ready, POSTGREST_SECONDS)
        self._wait(self._child(GATEWAY), self._gateway.ready, GATEWAY_SECONDS)

    def stop(self) -> None:
        """Stop what runs, the last first. Safe to repeat."""
        while self.children:
            self.children.pop().stop(STOP_SECONDS)

    def _wait_for_redis(self, server: RedisServer) -> None:
        """Wait for Redis. Unreadable data is set aside, once."""
        child = self._child("redis")
        try:
            self._wait(child, server.ready, REDIS_SECONDS)
        except StackError:
            if not server.damaged():
                raise
            child.start()
            self._wait(child, server.ready, REDIS_SECONDS)

    def _child(self, name: str) -> Child:
        return next(child for child in self.children if child.name == name)

    def _start(self, command: Command) -> Child:
        child = Child(command, self.home.records, self.output)
        self.children.append(child)
        child.start()
        return child

    def _wait(self, child: Child, ready: Callable[[], bool], seconds: float) -> None:
        until(ready, child, seconds=seconds, pause=self.pause)
