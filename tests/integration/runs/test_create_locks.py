"""Submitting a run again while a worker is finishing it must not deadlock."""

import json
from typing import Any
from uuid import uuid4

import psycopg

from tests.waiting import Background


def submission(caller: str, user_queue: str) -> str:
    step = {"key": "chat_agent", "agent_type": "chat_agent", "input": {}}
    run = {
        "id": str(uuid4()),
        "kind": "agent",
        "agent_type": "chat_agent",
        "caller": caller,
        "user_queue": user_queue,
        "idempotency_key": "the-same",
        "request_hash": "h",
        "input": {},
        "steps": [step],
    }
    return json.dumps([run])


def test_a_repeated_key_does_not_lock_the_user_queue_while_it_waits_for_the_run(stack: Any) -> None:
    caller = f"test-{uuid4()}"
    create = "select public.create_runs(%s::jsonb, 4)"
    responses: list[Any] = []

    def repeat() -> None:
        with psycopg.connect(stack.database_url) as again:
            responses.append(again.execute(create, [submission(caller, caller)]).fetchone())

    with psycopg.connect(stack.database_url, autocommit=True) as watch, psycopg.connect(stack.database_url) as worker:
        watch.execute(create, [submission(caller, caller)])
        # As finish_steps does: first the run's row, then the user queue.
        worker.execute("update public.runs set progress = 0.5 where caller = %s", [caller])
        other = Background(repeat)
        other.start()
        try:
            blocked = "select count(*) from pg_stat_activity where %s = any(pg_blocking_pids(pid))"
            stack.wait_for(lambda: watch.execute(blocked, [worker.info.backend_pid]).fetchone() == (1,))
            user_queue = "select pg_try_advisory_xact_lock(hashtextextended('user_queue:' || %s, 0))"
            assert worker.execute(user_queue, [caller]).fetchone() == (True,)
        finally:
            worker.commit()
            other.result()

    [(response,)] = responses
    assert [run["created"] for run in response["runs"]] == [False]
