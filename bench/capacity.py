"""What a run leaves in Postgres and Redis, and what each process holds: `python -m bench.capacity [RUNS]`.

All processes but Flower run on durable local servers. Runs of one step and of two steps, without a model, are submitted
with the token of a user. Postgres is measured after a vacuum. Prints the tables of docs/capacity.md.
"""

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psycopg
import redis

from bench.runs.cpu import tree
from bench.runs.measure import one_round
from bench.runs.report import ONE, TWO
from bench.runs.sides import TOKEN_SECONDS, PixelBloom
from pixelbloom.auth.mint import mint_user
from pixelbloom.config import DEVELOPMENT_USER
from tests.stack import Stack
from tests.waiting import until

RUNS = 2_000
WARM_UP = 40
RELATIONS = """
select
    c.oid::regclass::text,
    pg_relation_size(c.oid),
    pg_indexes_size(c.oid),
    pg_table_size(c.oid) - pg_relation_size(c.oid)
from pg_class as c
where c.relkind = 'r' and c.relnamespace = any(array['public', 'internal']::regnamespace[])
"""
UPDATES = """
select relname, n_tup_upd, n_tup_hot_upd from pg_stat_user_tables
where relname = any(array['runs', 'run_steps', 'system_state', 'periodic_tasks', 'agent_workers'])
"""
#: Without those of PostgREST, whose pool has a life of its own.
SESSIONS = """
select count(*) from pg_stat_activity
where backend_type = 'client backend' and application_name !~ '^PostgREST' and pid <> pg_backend_pid()
"""
#: A session of Postgres reports its statistics after up to ten seconds without work.
REPORT_SECONDS = 11.0
#: After a process ended, until its connections are closed.
STOP_SECONDS = 2.0


class Capacity:
    """The stack under measurement."""

    def __init__(self, stack: Stack, db: psycopg.Connection, client: redis.Redis) -> None:
        self._stack = stack
        self._db = db
        self._redis = client
        token = mint_user(stack.settings, DEVELOPMENT_USER, expires_in=TOKEN_SECONDS)
        self._side = PixelBloom(stack, token)

    def measure(self, runs: int) -> None:
        """Run the load and print the tables."""
        rest = self._memory()
        for job in (ONE, TWO):
            one_round(self._side, job, WARM_UP)
        for job in (ONE, TWO):
            self._runs(job, runs)
        self._expiry(rest)
        self._processes()

    def _runs(self, job: str, runs: int) -> None:
        time.sleep(REPORT_SECONDS)
        self._settle()
        sizes, updates, memory, keys = self._table(RELATIONS), self._table(UPDATES), self._memory(), self._keys()
        position = self._value("select pg_current_wal_lsn()")
        one_round(self._side, job, runs)
        written = self._value("select pg_wal_lsn_diff(pg_current_wal_lsn(), %s)::bigint", position)
        memory, keys = self._memory() - memory, self._keys() - keys
        time.sleep(REPORT_SECONDS)
        updated = self._table(UPDATES)
        self._settle()
        found = {
            name: [(after - before) / runs for before, after in zip(sizes[name], now, strict=True)]
            for name, now in self._table(RELATIONS).items()
        }
        say(f"\n## {job}, {runs:,} runs\n\n| table | heap | indexes | TOAST and maps |\n| --- | ---: | ---: | ---: |")
        for name, parts in sorted(found.items(), key=lambda item: -sum(item[1])):
            if sum(parts) >= 1:
                say(f"| `{name}` | {' | '.join(f'{part:,.0f}' for part in parts)} |")
        total = [sum(parts[place] for parts in found.values()) for place in range(3)]
        say(f"| all | {' | '.join(f'{part:,.0f}' for part in total)} |")
        say(f"\nPostgres: {sum(total):,.0f} bytes a run, WAL: {written / runs:,.0f} bytes a run")
        say(f"Redis: {memory / runs:,.0f} bytes and {keys / runs:.1f} keys a run")
        for name, (every, hot) in updated.items():
            many = every - updates[name][0]
            if many:
                say(f"updates of {name}: {many / runs:.2f} a run, {(hot - updates[name][1]) / many:.0%} HOT")

    def _expiry(self, rest: int) -> None:
        """Print what is left in Redis once all keys that expire have expired, which is made to happen at once."""
        lasting, full = Counter[str](), self._memory()
        for key in self._redis.scan_iter(count=1000):
            if int(self._redis.ttl(key)) < 0:
                lasting[key.decode()] += 1
            else:
                self._redis.expire(key, 1)
        time.sleep(1)
        until(lambda: self._keys() < len(lasting) + 20, 60)
        say(f"\nRedis: {rest:,} bytes before the runs, {full:,} after them, {self._memory():,} once all keys expired")
        say(f"keys that do not expire: {', '.join(sorted(lasting))}")

    def _processes(self) -> None:
        say("\n| process | memory (USS) | threads | descriptors | sessions of Postgres | connections to Redis |")
        say("| --- | ---: | ---: | ---: | ---: | ---: |")
        for child in self._stack.servers:
            say(f"| {child.name} | {held(child.pid)} | | |")
        shown = {role: held(role.pid) for role in self._stack.running}
        # A connection belongs to the process with whose end it ends.
        for role, cells in shown.items():
            sessions, clients = self._value(SESSIONS), self._clients()
            role.stop()
            time.sleep(STOP_SECONDS)
            gone = f"{sessions - self._value(SESSIONS)} | {clients - self._clients()}"
            say(f"| {role.name.rpartition('-')[0]} | {cells} | {gone} |")
        names = "select application_name || ' ' || count(*) from pg_stat_activity"
        left = self._db.execute(f"{names} where backend_type = 'client backend' group by application_name").fetchall()
        say(f"\nsessions of others: {', '.join(sorted(name for (name,) in left))}")

    def _settle(self) -> None:
        """Fold what is due and vacuum, so that only what stays is measured."""
        self._db.execute("select public.fold_figures(1000000)")
        self._db.execute("vacuum analyze")

    def _table(self, query: Any) -> dict[str, tuple[int, ...]]:
        return {str(name): tuple(int(value) for value in values) for name, *values in self._db.execute(query)}

    def _value(self, query: Any, *arguments: object) -> Any:
        row = self._db.execute(query, arguments).fetchone()
        assert row is not None
        return row[0]

    def _memory(self) -> int:
        return int(self._info("memory")["used_memory"])

    def _clients(self) -> int:
        return int(self._info("clients")["connected_clients"])

    def _info(self, section: str) -> dict[str, Any]:
        found = self._redis.info(section)
        assert isinstance(found, dict)
        return found

    def _keys(self) -> int:
        keys = self._redis.dbsize()
        assert isinstance(keys, int)
        return keys


def main() -> None:
    """Start the stack and measure."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else RUNS
    with tempfile.TemporaryDirectory(prefix="pb-bench-") as folder:
        stack = Stack(Path(folder), durable=True)
        try:
            stack.start_servers()
            with (
                psycopg.connect(stack.database_url, autocommit=True) as db,
                redis.Redis.from_url(stack.redis_url) as client,
            ):
                Capacity(stack, db, client).measure(runs)
        finally:
            stack.close()


def held(pid: int) -> str:
    """Return the memory, threads and descriptors of a process and its descendants, as cells of a table."""
    members = tree(pid)
    memory = sum(one.memory_full_info().uss for one in members) / 2**20
    threads, descriptors = sum(one.num_threads() for one in members), sum(one.num_fds() for one in members)
    return f"{memory:.0f} MB | {threads} | {descriptors}"


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
