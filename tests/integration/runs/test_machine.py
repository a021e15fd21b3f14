"""The rules of a run hold for any order of acts of workers, people and sweeps.

Hypothesis plays several workers against the real SQL functions: claims, renewals, ends of every kind, late and repeated
calls, leases that run out, sweeps, cancels, retries and decisions. After each call the rules are checked, and in the
end every run is brought to its end, so that nothing is stuck.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import psycopg
import pytest
from hypothesis import HealthCheck, note, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from tests.integration.runs.calls import LANE_LIMIT, SHAPES, Held, RunCalls
from tests.stack import Stack

ENDED = ("completed", "skipped", "failed", "cancelled")
TERMINAL = ("completed", "failed", "cancelled")


@dataclass
class Known:
    """What was seen of a run, to compare with."""

    progress: float = 0.0
    rev: int = 0
    outputs: dict[str, Any] = field(default_factory=dict)


class RunMachine(RunCalls):
    @initialize()
    def begin(self) -> None:
        self.user_queue = "machine"
        self.db.execute("delete from public.runs where user_queue = %s", [self.user_queue])
        self.known: dict[str, Known] = {}
        self.held: list[Held] = []
        self.strays = 0
        self.done: list[dict[str, Any]] = []

    # What callers do

    @precondition(lambda self: len(self.known) < 4)
    @rule(shape=st.sampled_from(sorted(SHAPES)))
    def create(self, shape: str) -> None:
        # The same in each play of an example, so that hypothesis can play it again.
        run_id = str(UUID(int=len(self.known) + 1))
        workflow = {"kind": "workflow", "workflow_id": "machine", "workflow_version": 1}
        of_agent = {"kind": "agent", "agent_type": "chat_agent"}
        row = {
            "id": run_id,
            "caller": self.user_queue,
            "user_queue": self.user_queue,
            "input": {},
            "steps": SHAPES[shape],
            **(of_agent if shape == "one" else workflow),
        }
        self.call("create_runs", [row], LANE_LIMIT)
        self.known[run_id] = Known()

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        self.call("cancel_run", self.a_run(data), LANE_LIMIT)

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        run_id = self.a_run(data)
        before = self.run(run_id)["status"]
        [item] = self.call("retry_runs", [{"run_id": run_id}], LANE_LIMIT)["items"]
        assert (item["outcome"] == "retried") == (before in ("failed", "cancelled"))

    @precondition(lambda self: self.known)
    @rule(data=st.data(), approved=st.booleans())
    def decide(self, data: st.DataObject, approved: bool) -> None:
        run_id = self.a_run(data)
        before = {s["key"]: s["status"] for s in self.steps(run_id)}
        response = self.call("decide_step", run_id, "p", approved, "because", "somebody", LANE_LIMIT)
        if "p" not in before:
            assert response["outcome"] == "gone"
        else:
            assert (response["outcome"] == "decided") == (before["p"] == "waiting")

    # What workers do

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def claim(self, data: st.DataObject) -> None:
        run_id = self.a_run(data)
        published = [s["key"] for s in self.steps(run_id) if s["published_at"] is not None]
        if published:
            self.take(run_id, data.draw(st.sampled_from(published)))

    @precondition(lambda self: self.known)
    @rule(data=st.data())
    def claim_by_a_stray_message(self, data: st.DataObject) -> None:
        run_id = self.a_run(data)
        unpublished = [s["key"] for s in self.steps(run_id) if s["published_at"] is None]
        if unpublished and self.take(run_id, data.draw(st.sampled_from(unpublished))):
            self.strays += 1

    @precondition(lambda self: self.held)
    @rule(data=st.data(), what=st.sampled_from(["completed", "skipped", "failed", "fatal", "handed_back"]))
    def finish(self, data: st.DataObject, what: str) -> None:
        self.end(self.held.pop(data.draw(st.integers(0, len(self.held) - 1))), what)

    @precondition(lambda self: self.done)
    @rule(data=st.data())
    def finish_again(self, data: st.DataObject) -> None:
        item = {**data.draw(st.sampled_from(self.done)), "output": {"late": True}}
        [response] = self.call("finish_steps", [item], LANE_LIMIT)["items"]
        assert response["outcome"] in ("already", "stale")

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def renew(self, data: st.DataObject) -> None:
        held = data.draw(st.sampled_from(self.held))
        [response] = self.call("renew_leases", [{"run_id": held.run_id, "key": held.key, "token": held.token}], 15)
        row = next(s for s in self.steps(held.run_id) if s["key"] == held.key)
        assert response["held"] == (row["status"] == "running" and row["lease_token"] == held.token)

    # What time does

    @precondition(lambda self: self.known)
    @rule()
    def leases_run_out(self) -> None:
        self.db.execute(
            "update public.run_steps set lease_expires_at = now() - interval '1 second'"
            " where user_queue = %s and lease_expires_at is not null",
            [self.user_queue],
        )
        self.sweep()
        # The backoff is random.
        self.db.execute("update public.run_steps set available_at = now() where user_queue = %s", [self.user_queue])

    @precondition(lambda self: self.known)
    @rule()
    def deadlines_pass(self) -> None:
        self.db.execute(
            "update public.run_steps set deadline_at = now() - interval '1 second'"
            " where user_queue = %s and status = 'waiting'",
            [self.user_queue],
        )
        self.sweep()

    @precondition(lambda self: self.known)
    @rule()
    def the_broker_loses_everything(self) -> None:
        self.sweep(lost_before="2100-01-01")

    # The rules

    @invariant()
    def rules_hold(self) -> None:
        out = 0
        for run_id, known in getattr(self, "known", {}).items():
            run, steps = self.run(run_id), self.steps(run_id)
            by_key = {s["key"]: s for s in steps}
            note(f"{run['status']} {run['progress']:.2f} { {s['key']: s['status'] for s in steps} }")
            assert run["rev"] >= known.rev
            assert run["progress"] >= known.progress - 1e-9, "progress went backwards"
            known.rev, known.progress = run["rev"], run["progress"]
            opened = [s for s in steps if s["status"] not in ENDED]
            if run["status"] in TERMINAL:
                assert not opened, "a run that has ended has open steps"
            else:
                assert opened, "a run is open and has nothing left to do"
            if run["status"] == "completed":
                assert run["progress"] == 1
                for s in steps:
                    fine = s["status"] in ("completed", "skipped") or s["on_error"] == "continue"
                    assert fine, f"{s['key']} is {s['status']}"
            for s in steps:
                if s["status"] in ("running", "waiting", "completed"):
                    assert s["attempt"] == s["lease_token"] - s["interruptions"]
                own = [e for e in s["errors"] if e["code"] not in ("WORKER_LOST", "WORKER_STOPPING")]
                assert s["attempt"] <= 1 + len(own) + run["retries"], "an interruption used up an attempt"
                if s["status"] == "running" and s["lease_expires_at"] is None:
                    assert s["kind"] == "map"
                if s["status"] in ("running", "waiting", "completed", "skipped"):
                    for need in s["needs"]:
                        n = by_key[need]
                        passed = n["status"] in ("completed", "skipped")
                        assert passed or (n["status"] == "failed" and n["on_error"] == "continue"), "ran too early"
                if s["status"] == "completed":
                    first = known.outputs.setdefault(s["key"], s["output"])
                    assert first == s["output"], "an output was recorded twice"
                out += s["published_at"] is not None and s["status"] in ("pending", "running")
            for m in (s for s in steps if s["kind"] == "map"):
                started = [s for s in steps if s["parent"] == m["key"] and s["ready"] and s["status"] not in ENDED]
                assert len(started) <= m["max_parallel"]
        assert out <= LANE_LIMIT + getattr(self, "strays", 0), "a user queue has more published steps than its limit"

    def teardown(self) -> None:
        """Nothing is stuck: workers that do their work bring every run to its end."""
        if not getattr(self, "known", None):
            return
        for _ in range(200):
            self.leases_run_out()
            self.held.clear()
            open_runs = [run_id for run_id in self.known if self.run(run_id)["status"] not in TERMINAL]
            if not open_runs:
                break
            for run_id in open_runs:
                self.call("decide_step", run_id, "p", True, None, "somebody", LANE_LIMIT)
                for s in self.steps(run_id):
                    if s["published_at"] is not None and s["status"] == "pending" and self.take(run_id, s["key"]):
                        self.end(self.held.pop(), "completed")
            self.rules_hold()
        else:
            raise AssertionError("a run does not end")
        self.db.execute("delete from public.runs where user_queue = %s", [self.user_queue])


@pytest.fixture
def machine(db: psycopg.Connection) -> Iterator[type[RunMachine]]:
    db.execute("truncate public.runs, public.event_outbox cascade")
    db.execute(
        "insert into public.workflows (workflow_id, version, definition) values ('machine', 1, '{}')"
        " on conflict do nothing"
    )
    yield type("Machine", (RunMachine,), {"db": db})
    db.execute("delete from public.runs where workflow_id = 'machine'")
    db.execute("delete from public.workflows where workflow_id = 'machine'")


def test_the_rules_of_a_run_hold_in_any_order_of_calls(stack: Stack, machine: type[RunMachine]) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=120,
            stateful_step_count=40,
            deadline=None,
            print_blob=True,
            suppress_health_check=list(HealthCheck),
        ),
    )
