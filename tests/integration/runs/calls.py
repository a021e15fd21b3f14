"""The SQL functions of runs as workers and sweeps call them, and shapes of runs."""

import json
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import psycopg
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

LANE_LIMIT = 3


def step(key: str, *needs: str, **more: Any) -> dict[str, Any]:
    kind = more.get("kind", "agent")
    agent = {} if kind == "approval" else {"agent_type": "chat_agent"}
    return {"key": key, "kind": kind, "needs": list(needs), "max_attempts": 2, "backoff_seconds": 0, **agent, **more}


SHAPES: dict[str, list[dict[str, Any]]] = {
    "one": [step("a")],
    "chain": [step("a", next_key="b"), step("b", "a", next_key="c"), step("c", "b")],
    "diamond": [step("a"), step("b", "a"), step("c", "a", on_error="continue"), step("d", "b", "c")],
    "map": [step("a"), step("m", "a", kind="map", max_parallel=2), step("z", "m")],
    "careless map": [step("m", kind="map", max_parallel=3, on_error="continue"), step("z", "m")],
    "approval": [step("a"), step("p", "a", kind="approval"), step("z", "p")],
    "lenient approval": [step("p", kind="approval", on_error="continue"), step("b"), step("z", "p", "b")],
}


@dataclass(frozen=True)
class Held:
    run_id: str
    key: str
    kind: str
    token: int


class RunCalls(RuleBasedStateMachine):
    """A state machine whose rules call the SQL functions for the runs of one user queue."""

    db: psycopg.Connection
    user_queue: str
    known: dict[str, Any]
    held: list[Held]
    done: list[dict[str, Any]]

    def a_run(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(sorted(self.known)))

    def call(self, function: str, *args: Any) -> Any:
        marks = ", ".join("%s::jsonb" if isinstance(arg, list | dict) else "%s" for arg in args)
        values = [json.dumps(arg) if isinstance(arg, list | dict) else arg for arg in args]
        row = self.db.execute(f"select public.{function}({marks})", values).fetchone()
        assert row is not None
        return row[0]

    def run(self, run_id: str) -> dict[str, Any]:
        return self.rows("select to_jsonb(r) from public.runs as r where id = %s", run_id)[0]

    def steps(self, run_id: str) -> list[dict[str, Any]]:
        return self.rows(
            "select to_jsonb(s) from public.run_steps as s where run_id = %s order by position, key", run_id
        )

    def rows(self, query: str, run_id: str) -> list[dict[str, Any]]:
        return [row for (row,) in self.db.execute(query, [run_id]).fetchall()]

    def take(self, run_id: str, key: str) -> bool:
        [response] = self.call("claim_steps", [{"run_id": run_id, "key": key, "claim": uuid4().hex}], "worker", 15)
        if response["outcome"] != "claimed":
            return False
        self.held.append(Held(run_id, key, response["kind"], response["token"]))
        return True

    def end(self, held: Held, what: str) -> None:
        if what == "skipped" and self.run(held.run_id)["kind"] == "agent":
            what = "completed"  # only a workflow's step has a condition
        item: dict[str, Any] = {"run_id": held.run_id, "key": held.key, "token": held.token, "what": what}
        if what == "completed" and held.kind == "map":
            item |= {"what": "expanded", "items": [{"n": n} for n in range(held.token % 4)]}
        elif what == "completed" and held.kind == "approval":
            item |= {"what": "waiting", "input": {"message": "may I?", "approvers": "owner"}}
        elif what == "completed":
            item |= {"output": {"by": held.token}, "provider": "fallback"}
        elif what == "handed_back":
            item |= {"error": "the worker stops", "error_code": "WORKER_STOPPING"}
        elif what in ("failed", "fatal"):
            item |= {"what": "failed", "error": "it broke", "error_code": "X", "retryable": what == "failed"}
        [response] = self.call("finish_steps", [item], LANE_LIMIT)["items"]
        if response["outcome"] == "recorded":
            self.done.append(item)

    def sweep(self, lost_before: str = "2000-01-01") -> None:
        self.db.execute("update public.system_state set next_sweep_at = '-infinity', last_sweep_at = clock_timestamp()")
        self.call("sweep_runs", 1.5, 15, {"0": lost_before}, LANE_LIMIT, 100)
