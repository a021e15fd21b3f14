"""The workflows of chaos, the model that they call, and the audit of their steps."""

import random
import threading
from typing import Any

from tests.servers.ollama import OllamaServer
from tests.servers.script import Script

#: Counts, in the database itself, each time that a step is recorded as completed.
AUDIT = """
create table if not exists public.chaos_audit (run_id uuid, key text, attempt integer);
create or replace function public.chaos_note() returns trigger language plpgsql as $$
begin
    if new.status = 'completed' and old.status <> 'completed' then
        insert into public.chaos_audit values (new.run_id, new.key, new.attempt);
    end if;
    return new;
end
$$;
create or replace trigger chaos_note after update on public.run_steps
for each row execute function public.chaos_note();
"""


def chat(key: str, *needs: str, **more: Any) -> dict[str, Any]:
    return {
        "key": key,
        "agent": "chat_agent",
        "needs": list(needs),
        "input": {"message": "inputs.message"},
        "retry": {"attempts": 20, "backoff": 0.2},
        **more,
    }


WORKFLOWS: dict[str, list[dict[str, Any]]] = {
    "chaos_chain": [chat("a"), chat("b", "a"), chat("c", "b"), chat("d", "c")],
    "chaos_diamond": [chat("a"), chat("b", "a"), chat("c", "a"), chat("d", "b", "c"), chat("e", "d")],
    "chaos_map": [
        chat("a"),
        chat("m", "a", kind="map", over="inputs.items", max_parallel=3, input={"message": "item"}),
        chat("z", "m", input={"message": "to_string(length(outputs.m))"}),
    ],
    "chaos_routes": [
        chat("a"),
        chat("left", "a", when="inputs.left"),
        chat("right", "a", when="!(inputs.left)"),
        chat("z", "left", "right"),
    ],
    # Its second step never succeeds, and the run goes on without it.
    "chaos_lenient": [
        chat("a"),
        chat("b", "a", input={"message": "`1`"}, on_error="continue"),
        chat("c", "b", when="steps.b.status == 'failed'"),
    ],
    # Its second step never succeeds, and the run fails with it.
    "chaos_failing": [chat("a"), chat("b", "a", input={"message": "`1`"}), chat("c", "b")],
}
EXPECTED = {"chaos_failing": "failed"}


class FlakyOllama(OllamaServer):
    """Slow, failing and interrupted replies beside good ones, by a seed."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._random = random.Random(seed)
        self._choosing = threading.Lock()

    def next_script(self) -> Script:
        with self._choosing:
            kind, delay = self._random.random(), self._random.uniform(0.005, 0.06)
        if kind < 0.70:
            return Script(delay=delay)
        if kind < 0.78:
            return Script(first_delay=0.5, delay=delay)
        if kind < 0.84:
            return Script(status=500)
        if kind < 0.90:
            return Script(delay=delay, break_after=5)
        if kind < 0.95:
            return Script(delay=delay, error_after=5)
        return Script(delay=delay, unfinished=True)
