"""Whether the hot calls cost the same with few and many stored runs: `python -m bench.growth [RUNS ...]`.

Each size is reached by inserting completed runs. Then the same calls are made one at a time: transitions over a
connection to Postgres, reads through PostgREST. Each figure is the median of 200.
"""

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import psycopg

from pixelbloom.database.gateway import Gateway
from pixelbloom.exporter.store import SystemFigureStore
from pixelbloom.runs.service import RunFilter
from pixelbloom.runs.status import RunStatus
from pixelbloom.runs.store import RunStore
from tests.stack import Stack

SIZES = (0, 100_000, 2_000_000)
TIMES = 200
CHUNK = 100_000
#: The owners of the stored runs; one of them lists its own.
OWNERS = 1_000
OWNER = UUID(int=1)
INSERT = """
with added as (
    insert into public.runs (
        id, kind, agent_type, user_id, caller, user_queue, status, rev, progress, step, input, result, provider, model,
        attempts, created_at, started_at, finished_at, updated_at
    )
    select
        gen_random_uuid(), 'agent', 'chat_agent', lpad(to_hex(n %% %(owners)s), 32, '0')::uuid, 'user', 'seed',
        'completed', 3, 1, 'chat_agent', '{"message": "How long does a landing page take?"}',
        '{"reply": "A landing page takes two weeks."}', 'fallback', null, 1, t, t, t, t
    from (
        select n, clock_timestamp() - make_interval(secs => 90 * 86400.0 * random()) as t
        from generate_series(1, %(runs)s) as n
    ) as s
    returning id, input, result, created_at
)
insert into public.run_steps (
    run_id, key, agent_type, user_queue, status, ready, publications, attempt, lease_token, input, output, created_at,
    started_at, finished_at
)
select
    id, 'chat_agent', 'chat_agent', 'seed', 'completed', true, 1, 1, 1, input, result, created_at, created_at,
    created_at
from added
"""


def main() -> None:
    """Measure at each size and print a table."""
    sizes = tuple(int(text) for text in sys.argv[1:]) or SIZES
    with tempfile.TemporaryDirectory(prefix="pb-bench-") as folder:
        stack = Stack(Path(folder))
        try:
            stack.start_servers()
            table: dict[str, list[str]] = {}
            with psycopg.connect(stack.database_url, autocommit=True) as db:
                for size in sizes:
                    fill(db, size)
                    for name, shown in measured(stack).items():
                        table.setdefault(name, []).append(shown)
            print(f"| call | {' | '.join(f'{size:,} runs' for size in sizes)} |\n| --- |{' ---: |' * len(sizes)}")
            for name, cells in table.items():
                print(f"| {name} | {' | '.join(cells)} |", flush=True)
        finally:
            stack.close()


def fill(db: psycopg.Connection, size: int) -> None:
    """Add completed runs until there are this many."""
    row = db.execute("select count(*) from public.runs").fetchone()
    assert row is not None
    missing = size - int(row[0])
    db.execute("set session_replication_role = replica")
    while missing > 0:
        db.execute(INSERT, {"owners": OWNERS, "runs": min(CHUNK, missing)})
        missing -= CHUNK
    db.execute("set session_replication_role = origin")
    db.execute("vacuum analyze public.runs, public.run_steps")


def measured(stack: Stack) -> dict[str, str]:
    """Return the median duration of each call."""
    gateway = Gateway(stack.settings)
    store = RunStore(gateway, user_queue_limit=64, lease_seconds=15)
    figures = SystemFigureStore(gateway)
    took: dict[str, list[float]] = {}

    def timed(name: str, call: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        found = call()
        took.setdefault(name, []).append((time.perf_counter() - began) * 1000)
        return found

    own = RunFilter(owner=OWNER)
    for n in range(TIMES):
        step = {"key": "chat_agent", "agent_type": "chat_agent", "input": {"message": "hello"}}
        run = {
            "id": str(uuid4()), "kind": "agent", "agent_type": "chat_agent", "user_id": str(OWNER), "caller": "user",
            "user_queue": str(OWNER), "input": {"message": "hello"}, "metadata": {"notify": False}, "steps": [step],
        }  # fmt: skip
        timed("submit", partial(store.create, run))
        run_id = UUID(str(run["id"]))
        claimed = timed("claim", partial(store.claim, run_id, "chat_agent", "bench", str(n)))
        ending = {
            "run_id": str(run_id), "key": "chat_agent", "token": claimed["token"], "what": "completed",
            "input": {"message": "hello"}, "output": {"reply": "hello"}, "provider": "fallback",
        }  # fmt: skip
        timed("finish", partial(store.finish, ending))
        timed("poll", partial(store.get, run_id))
        timed("list of a user", partial(page, store, own))
        timed("list of all", partial(page, store, RunFilter(owner=None)))
        timed("figures of the exporter", figures.read)
        timed("list of failed runs", partial(page, store, RunFilter(owner=None, status=RunStatus.FAILED)))
    gateway.close()
    return {name: f"{statistics.median(times):.2f} ms" for name, times in took.items()}


def page(store: RunStore, wanted: RunFilter) -> Any:
    return store.page(limit=20, filters=wanted.columns(), created_after=None, created_before=None, before=None)


if __name__ == "__main__":
    main()
