"""One round of a system under load, alternating rounds of two systems, and the stack at rest."""

import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

import psycopg
import redis

from bench.runs import cpu
from bench.runs.load import Client
from bench.runs.report import Rest, Round, percentile
from bench.runs.sides import PixelBloom, Side

AT_ONCE = 20
#: Runs before the first round.
WARM_UP = 40
#: Seconds after the last run that count as its work: acknowledgements and the like.
TAIL_SECONDS = 1.0
ROUND_SECONDS = 120.0
#: The stack is at rest when two windows agree. Longer than a session of Postgres takes to report what it did.
WINDOW_SECONDS = 11.0
#: Differences of two windows that agree: database calls, and CPU seconds as a share of the larger one.
SAME_CALLS, SAME_CPU = 2, 0.25


def one_round(side: Side, job: str, runs: int) -> Round:
    """Submit this many runs, 20 in flight, and wait for the end of all."""
    side.begin(job)
    with closing(Client(side.port, side.request(job), requests=runs, at_once=AT_ONCE)) as client:
        before = side.cpu()
        sent = client.send(ROUND_SECONDS)
    ended = sent.ended if side.waits else side.completed(runs, ROUND_SECONDS)
    time.sleep(TAIL_SECONDS)
    used = cpu.used(before, side.cpu())
    return Round(
        submitted=runs / (sent.ended - sent.began),
        completed=runs / (ended - sent.began),
        p50=percentile(sent.took, 0.5) * 1000,
        p99=percentile(sent.took, 0.99) * 1000,
        cpu={kind: seconds * 1000 / runs for kind, seconds in used.items()},
        client=sent.cpu * 1000 / runs,
    )


@contextmanager
def alone(side: Side | None, others: Sequence[Side]) -> Iterator[None]:
    """Stop the processes of the others by signal in the block, so that only this one uses the CPU; None: stop all."""
    resting = [other for other in others if other is not side]
    stopped = [pid for other in resting for pid in other.roles()]
    cpu.signal_all(stopped, signal.SIGSTOP)
    try:
        yield
    finally:
        cpu.signal_all(stopped, signal.SIGCONT)
    time.sleep(max((other.resume_seconds for other in resting), default=0.0))


def warm_up(side: Side, jobs: Sequence[str]) -> None:
    """Complete some runs of each kind."""
    for job in jobs:
        one_round(side, job, WARM_UP)


def agree(one: tuple[int, float], other: tuple[int, float]) -> bool:
    """Return whether two windows, as database calls and CPU seconds, are of a stack that does the same in both."""
    cpu_same = abs(one[1] - other[1]) <= SAME_CPU * max(one[1], other[1])
    return abs(one[0] - other[0]) <= SAME_CALLS and cpu_same


def _settle(side: PixelBloom, database: psycopg.Connection, seconds: float) -> None:
    """Wait until earlier work has come to its end and two windows agree, for at most some seconds."""
    end, before = time.monotonic() + seconds, None
    while time.monotonic() + WINDOW_SECONDS < end:
        calls, used = _calls(database), side.cpu()
        time.sleep(WINDOW_SECONDS)
        window = _calls(database) - calls, sum(cpu.used(used, side.cpu()).values())
        if before is not None and agree(before, window):
            return
        before = window


def at_rest(side: PixelBloom, database_url: str, redis_url: str, seconds: float, *, settle: float) -> Rest:
    """Measure the stack without work for some seconds, once it has settled, which may take `settle` seconds.

    Database calls are the transactions of the database, seen from another one, so that the readings do not count.
    """
    elsewhere = psycopg.conninfo.make_conninfo(database_url, dbname="template1")
    with (
        psycopg.connect(elsewhere, autocommit=True) as database,
        redis.Redis.from_url(redis_url) as client,
    ):
        _settle(side, database, settle)
        calls, commands, before, began = _calls(database), _commands(client), side.cpu(), time.monotonic()
        time.sleep(seconds)
        took = time.monotonic() - began
        used = cpu.used(before, side.cpu())
        made = _calls(database) - calls
        after = _commands(client)
    counts = {name: after[name] - commands.get(name, 0) for name in after}
    counts["info"] = counts.get("info", 0) - 1  # the first reading
    ran = {name: count for name, count in sorted(counts.items(), key=lambda one: -one[1]) if count > 0}
    return Rest(
        seconds=took,
        cpu={kind: of_kind * 1000 / took for kind, of_kind in used.items()},
        calls_a_minute=made * 60 / took,
        commands_a_second=sum(ran.values()) / took,
        commands=ran,
    )


def _calls(database: psycopg.Connection) -> int:
    row = database.execute(
        "select xact_commit + xact_rollback from pg_stat_database where datname = 'postgres'"
    ).fetchone()
    assert row is not None
    return int(row[0])


def _commands(client: redis.Redis) -> dict[str, int]:
    """Return how often each command ran. `INFO` counts itself only afterwards."""
    found = client.info("commandstats")
    assert isinstance(found, dict)
    return {name.removeprefix("cmdstat_"): int(values["calls"]) for name, values in found.items()}
