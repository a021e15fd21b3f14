"""How long each address of `/api/analytics` takes over 90 days of many rows: `python -m bench.analytics`."""

import statistics
import tempfile
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import httpx
import psycopg

from pixelbloom.analytics.ranges import Range
from pixelbloom.analytics.store import AnalyticsStore
from pixelbloom.auth.mint import mint_user
from pixelbloom.config import DEVELOPMENT_USER
from pixelbloom.database.gateway import Gateway
from pixelbloom.local.seed import fill
from pixelbloom.local.seed.plan import Plan
from tests.stack import Stack

ROWS = {"leads": 200_000, "messages": 1_000_000, "subscriptions": 50_000}
DAYS = 90
TIMES = 15
#: The bound of the issue for every address, in milliseconds.
BOUND_MS = 300
ZONE = "Europe/Vienna"
TODAY = datetime.now(UTC).date()


def main() -> None:
    """Seed a database, ask for everybody's figures and for those of the user with the most, and print tables."""
    with tempfile.TemporaryDirectory(prefix="pb-bench-") as folder:
        stack = Stack(Path(folder))
        try:
            stack.start_servers()
            with psycopg.connect(stack.database_url, autocommit=True) as db:
                seed(db)
                indexes(db)
            times(stack)
        finally:
            stack.close()


def seed(db: psycopg.Connection) -> None:
    began = time.monotonic()
    added = fill.scale(db, Plan(1, TODAY, DEVELOPMENT_USER), **ROWS)
    say(f"{', '.join(f'{many:,} {table}' for table, many in added.items())} in {time.monotonic() - began:.0f} s\n")


def times(stack: Stack) -> None:
    """Over HTTP, one request at a time."""
    web = stack.start("web")
    query = {"start_date": (TODAY - timedelta(days=DAYS - 1)).isoformat(), "time_zone": ZONE}
    token = mint_user(stack.settings, DEVELOPMENT_USER, admin=True)
    say("| address | everybody's | slowest | of the user with the most | slowest |")
    say("| --- | ---: | ---: | ---: | ---: |")
    slowest = 0.0
    with httpx.Client(base_url=web.url, headers={"Authorization": f"Bearer {token}"}, timeout=60) as api:
        for path in addresses(api):
            all_of_it = [ask(api, path, query) for _ in range(TIMES)]
            of_one = [ask(api, path, {**query, "user_id": str(DEVELOPMENT_USER)}) for _ in range(TIMES)]
            slowest = max(slowest, *all_of_it, *of_one)
            shown = [
                f"{value:.0f} ms" for took in (all_of_it, of_one) for value in (statistics.median(took), max(took))
            ]
            say(f"| `{path.removeprefix('/api/analytics')}` | {' | '.join(shown)} |")
    web.stop()
    say(f"\nslowest of all: {slowest:.0f} ms; bound: {BOUND_MS} ms")


def indexes(db: psycopg.Connection) -> None:
    """Which indexes the plans of each function use."""
    store = AnalyticsStore(cast(Gateway, Direct(db)))
    days = Range(start_date=TODAY - timedelta(days=DAYS - 1), time_zone=ZONE)
    page = {"limit": 200, "before": None}
    more: dict[str, dict[str, Any]] = {
        "agent_trends": {"agent_type": None},
        "conversations": {"status": None, **page},
        "subscriptions": {"status": None, **page},
        "agent_logs": {"agent_type": None, "level": None, **page},
    }
    say("| figures | indexes for everybody's | for one user's |\n| --- | --- | --- |")
    for name in (name for name in vars(AnalyticsStore) if not name.startswith("_")):
        shown = []
        for who in (None, DEVELOPMENT_USER):
            before = used(db)
            getattr(store, name)(who, days, **more.get(name, {}))
            shown.append(", ".join(sorted(index for index, many in used(db).items() if many > before[index])))
        say(f"| {name} | {' | '.join(shown)} |")
    say("")


class Direct:
    """Calls functions on a connection of its own, whose statistics are visible at once."""

    def __init__(self, db: psycopg.Connection) -> None:
        self._db = db

    def rpc(self, function: str, params: Mapping[str, Any]) -> Any:
        arguments = ", ".join(f"{name} => %({name})s" for name in params)
        row = self._db.execute(f"select public.{function}({arguments})", params).fetchone()
        assert row is not None
        return row[0]


def addresses(api: httpx.Client) -> list[str]:
    paths: dict[str, Any] = api.get("/api/openapi.json").json()["paths"]
    return [path for path in paths if path.startswith("/api/analytics/")]


def ask(api: httpx.Client, path: str, query: dict[str, str]) -> float:
    """Milliseconds of one request."""
    began = time.perf_counter()
    response = api.get(path, params=query)
    took = (time.perf_counter() - began) * 1000
    assert response.status_code == 200, response.text
    return took


def used(db: psycopg.Connection) -> dict[str, int]:
    """How often each index was used until now."""
    db.execute("select pg_stat_force_next_flush()")
    rows = db.execute("select indexrelname, idx_scan from pg_stat_user_indexes where schemaname = 'public'").fetchall()
    return dict(rows)


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    main()
