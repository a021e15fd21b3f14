"""Analytics over 90 days on millions of rows: `python -m bench.figures [ROWS]`. `figures.sql` says how many of what.

First the figures of agents and models are counted from the rows, then they are read from the roll-ups. Prints how long
the roll-ups took to fill, what they occupy, and how fast the purges delete.
"""

import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg

from bench import analytics
from pixelbloom.config import DEVELOPMENT_USER
from pixelbloom.periodic.retention import BATCH
from tests.stack import Stack

ROWS = 1_000_000
SQL = Path(__file__).with_suffix(".sql")
FILL_BATCH = 10_000
DAYS = "null, current_date - 89, current_date"
CALLS = {
    "/agents/summary": f"select public.agent_summary({DAYS}, 'Europe/Vienna')",
    "/agents/trends": f"select public.agent_trends({DAYS}, 'daily', 'Europe/Vienna', null)",
    "/models/metrics": f"select public.model_summary({DAYS}, 'daily', 'Europe/Vienna')",
}
PURGE_BATCHES = 40
PURGES = {
    "agent_logs": "select public.purge_rows('agent_logs', now(), %s)",
    "model_metrics": "select public.purge_rows('model_metrics', now(), %s)",
    "runs, with steps and logs": "select public.purge_runs(now(), %s)",
}
TABLES = ("figure_cells_everybody", "figure_cells_user", "figure_days")


def main() -> None:
    """Fill a database and print a table of all addresses, without and with roll-ups."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else ROWS
    with tempfile.TemporaryDirectory(prefix="pb-bench-") as folder:
        stack = Stack(Path(folder))
        try:
            stack.start_servers()
            with psycopg.connect(stack.database_url, autocommit=True) as db:
                insert(db, rows)
                analytics.say(f"## {rows:,} runs in 180 days, counted from the rows once\n")
                counted = {name: timed(db, name) for name in CALLS}
                fill(db)
                for name, figures in counted.items():
                    assert timed(db, name) == figures, name
            analytics.say(f"\n## {rows:,} runs in 180 days, with roll-ups\n")
            analytics.times(stack)
            with psycopg.connect(stack.database_url, autocommit=True) as db:
                purge(db)
        finally:
            stack.close()


def insert(db: psycopg.Connection, rows: int) -> None:
    """Add the rows without triggers."""
    began = time.monotonic()
    db.execute("set session_replication_role = replica")
    db.execute("select set_config('figures.rows', %s, false)", [str(rows)])
    db.execute("select set_config('figures.owner', %s, false)", [str(DEVELOPMENT_USER)])
    db.execute(SQL.read_text(encoding="utf-8"))
    db.execute("set session_replication_role = default")
    db.execute("select public.reset_figures()")
    db.execute("vacuum analyze")
    analytics.say(f"filled in {time.monotonic() - began:.0f} s\n")


def fill(db: psycopg.Connection) -> None:
    """Fill the roll-ups as the maintenance worker does."""
    began, batches = time.monotonic(), 0
    while db.execute("select public.fill_figures(%s)", [FILL_BATCH]).fetchone() == (True,):
        batches += 1
    took = time.monotonic() - began
    db.execute("vacuum analyze")
    sizes = ", ".join(f"{table} {size(db, table)}" for table in TABLES)
    analytics.say(f"\nroll-ups filled in {took:.0f} s and {batches + 1} batches: {sizes}")


def timed(db: psycopg.Connection, name: str) -> Any:
    """Return everybody's figures, and print how long Postgres took."""
    began = time.monotonic()
    row = db.execute(CALLS[name]).fetchone()
    assert row is not None
    analytics.say(f"{name}: {(time.monotonic() - began) * 1000:,.0f} ms")
    return row[0]


def purge(db: psycopg.Connection) -> None:
    """Print how many rows a second the purges delete, in the batches of the maintenance worker."""
    analytics.say("\n| purge | rows a second |\n| --- | ---: |")
    for name, call in PURGES.items():
        began, gone = time.monotonic(), 0
        for _ in range(PURGE_BATCHES):
            row = db.execute(call, [BATCH]).fetchone()
            assert row is not None
            gone += row[0]
        analytics.say(f"| {name} | {gone / (time.monotonic() - began):,.0f} |")


def size(db: psycopg.Connection, table: str) -> str:
    row = db.execute("select pg_size_pretty(pg_total_relation_size(%s))", [f"internal.{table}"]).fetchone()
    assert row is not None
    return str(row[0])


if __name__ == "__main__":
    main()
