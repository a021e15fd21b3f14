"""Which writes wake a sleeping beat."""

from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

import psycopg
import pytest

from pixelbloom.periodic.listener import CHANNEL
from pixelbloom.runs.store import RunStore
from tests.integration.periodic import rows
from tests.integration.periodic.rows import IN_AN_HOUR, waiting
from tests.integration.runs.steps import claim, ending, failing, submit
from tests.migrations.rows import acting
from tests.stack import Stack

Write = Callable[[psycopg.Connection, RunStore], None]


def _retry(_db: psycopg.Connection, runs: RunStore) -> None:
    run_id = submit(runs)
    runs.finish(failing(run_id, claim(runs, run_id)["token"], retryable=False))
    asleep(_db)
    runs.retry([run_id])


def _approve(db: psycopg.Connection, runs: RunStore) -> None:
    run_id = waiting(db, runs)
    asleep(db)
    runs.decide(run_id, "ask", approved=True, comment=None, by="x")


def _cancel(db: psycopg.Connection, runs: RunStore) -> None:
    run_id = waiting(db, runs)
    asleep(db)
    runs.cancel(run_id)


def _browser(db: psycopg.Connection, _runs: RunStore) -> None:
    db.execute("begin")
    db.execute(
        "select set_config('request.jwt.claims', %s, true)", [f'{{"sub": "{uuid4()}", "role": "authenticated"}}']
    )
    db.execute("set local role authenticated")
    db.execute("insert into public.leads (user_id, name) values (auth.uid(), 'Ada')")
    db.execute("commit")


def _notify(db: psycopg.Connection, _runs: RunStore) -> None:
    db.execute(
        "insert into public.notifications (user_id, notification_type, title, message) values (%s, 'news', 'Hi', 'Hi')",
        [uuid4()],
    )


def _resume(db: psycopg.Connection, _runs: RunStore) -> None:
    rows.schedule(db, datetime.now(UTC))
    db.execute("update public.schedules set active = false")
    asleep(db)
    db.execute("update public.schedules set active = true")


def _redeliver(db: psycopg.Connection, _runs: RunStore) -> None:
    rows.delivery(db, datetime.now(UTC))
    db.execute("update public.webhook_deliveries set status = 'failed', finished_at = now()")
    asleep(db)
    db.execute("select public.redeliver_webhook(id) from public.webhook_deliveries")


def _replay(db: psycopg.Connection, _runs: RunStore) -> None:
    rows.stripe_event(db, datetime.now(UTC))
    db.execute("update public.stripe_events set status = 'failed'")
    asleep(db)
    db.execute("select public.replay_stripe_event(id) from public.stripe_events")


WRITES: dict[str, Write] = {
    "a run": lambda _db, runs: void(submit(runs)),
    "a run for later": lambda _db, runs: void(submit(runs, run_at=(datetime.now(UTC) + IN_AN_HOUR).isoformat())),
    "a retried run": _retry,
    "a decision": _approve,
    "a cancelled run": _cancel,
    "a lead": lambda db, _runs: rows.lead(db),
    "a browser's lead": _browser,
    "a notification": _notify,
    "a schedule": lambda db, _runs: rows.schedule(db, datetime.now(UTC)),
    "a resumed schedule": _resume,
    "a broadcast": lambda db, _runs: rows.broadcast(db),
    "a webhook": lambda db, _runs: rows.delivery(db, datetime.now(UTC)),
    "a webhook sent again": _redeliver,
    "an event of Stripe": lambda db, _runs: rows.stripe_event(db, datetime.now(UTC)),
    "a replayed event of Stripe": _replay,
}


def void(_value: object) -> None:
    """Discard a result."""


def asleep(db: psycopg.Connection, until: str = "infinity") -> None:
    db.execute("update public.system_state set next_look_at = %s", [until])


def notices(stack: Stack, write: Callable[[], None]) -> list[str]:
    """Return the payloads that a beat receives of this write."""
    with psycopg.connect(stack.database_url, autocommit=True) as beat:
        beat.execute(f"listen {CHANNEL}")
        write()
        beat.execute("select pg_notify(%s, 'end')", [CHANNEL])
        found = []
        for notice in beat.notifies(timeout=60):
            if notice.payload == "end":
                return found
            found.append(notice.payload)
    raise AssertionError(found)


@pytest.mark.parametrize("name", WRITES)
def test_a_sleeping_beat_is_woken(rest: psycopg.Connection, stack: Stack, runs: RunStore, name: str) -> None:
    asleep(rest)
    assert "" in notices(stack, lambda: WRITES[name](rest, runs))


def test_beat_is_not_woken_if_it_looks_by_then_anyway(rest: psycopg.Connection, stack: Stack, runs: RunStore) -> None:
    def write() -> None:
        rest.execute("update public.system_state set next_look_at = now() + interval '0.9 seconds'")
        submit(runs)
        rest.execute("update public.system_state set next_look_at = now() + interval '30 minutes'")
        rows.schedule(rest, datetime.now(UTC) + IN_AN_HOUR)

    assert notices(stack, write) == []


def test_another_beat_is_woken_if_a_look_is_overdue(rest: psycopg.Connection, stack: Stack, runs: RunStore) -> None:
    asleep(rest, "-infinity")
    assert "" in notices(stack, lambda: void(submit(runs)))


def test_the_steps_of_a_running_run_wake_nobody(rest: psycopg.Connection, stack: Stack, runs: RunStore) -> None:
    run_id = submit(runs)
    asleep(rest)
    assert notices(stack, lambda: void(runs.finish(ending(run_id, claim(runs, run_id)["token"])))) == []


def test_browsers_may_not_wake_beat_themselves(rest: psycopg.Connection) -> None:
    for call in ("internal.wake_beat(now())", "public.look_for_due(null, null, true)"):
        with acting(rest, "authenticated", uuid4()), pytest.raises(psycopg.errors.InsufficientPrivilege):
            rest.execute(f"select {call}")
