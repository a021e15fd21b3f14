"""ModelManager under concurrent calls: what it records, and the bounds of its prompts."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

from structlog.testing import capture_logs

from pixelbloom.models.control import CallControl
from pixelbloom.models.manager import ModelManager
from pixelbloom.models.request import Message, ModelRequest, NullStream
from tests.servers.script import Script
from tests.unit.models.requests import REQUEST


def test_eight_threads_share_a_manager_and_none_waits_for_another(world):
    """All eight calls must be inside of Ollama at once: the barrier opens only then."""
    together = threading.Barrier(8, timeout=60)
    world.ollama.always(Script(pieces=["a", "b"]))
    manager = world.manager()

    class Meeting(NullStream):
        met = False

        def token(self, text: str) -> None:
            if not self.met:
                self.met = True
                together.wait()

    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda _: manager.generate(REQUEST, CallControl(60), Meeting()), range(16)))

    assert {(reply.text, reply.provider) for reply in replies} == {("ab", "ollama")}
    assert len(world.calls) == 16


def test_each_attempt_is_recorded_with_its_run(world, control, stream):
    run_id = uuid4()
    world.ollama.play(Script(status=500, error="boom"))
    request = ModelRequest("lead_agent", REQUEST.messages, "llama3.1:8b", run_id=run_id)

    world.manager().generate(request, control, stream)

    first, second = world.calls
    assert (first.run_id, first.agent_type, first.model, first.outcome) == (
        run_id,
        "lead_agent",
        "llama3.1:8b",
        "error",
    )
    assert "boom" in (first.error or "")
    assert first.latency_ms >= 0
    assert (second.provider, second.error) == ("huggingface", None)
    assert second.completion_tokens > 0


def test_a_failing_recorder_does_not_fail_the_run(world, control, stream):
    def record(call: Any) -> None:
        raise RuntimeError("no database")

    with capture_logs() as logs:
        reply = ModelManager(world.settings(), record).generate(REQUEST, control, stream)

    assert reply.provider == "ollama"
    assert any(line["event"] == "model_call_not_recorded" for line in logs)


def test_a_prompt_of_any_size_is_sent_within_bounds(world, control, stream):
    history = [Message("user" if i % 2 else "assistant", f"{i} " + "x" * 4000) for i in range(50)]
    messages = (Message("system", "RULES"), *history, Message("user", "LAST " + "y" * 30_000 + " END"))

    world.manager().generate(ModelRequest("chat_agent", messages, "llama3.1:8b"), control, stream)

    sent = world.ollama.requests[0]["body"]["messages"]
    assert sum(len(message["content"]) for message in sent) <= 18_000
    assert sent[0]["content"] == "RULES"
    assert sent[-1]["content"].startswith("LAST")
    assert sent[-1]["content"].endswith("END")
