"""The demo's runs: what the agents did, which model was used, how long it took."""

from datetime import timedelta
from typing import Any

from pixelbloom.agents import registry
from pixelbloom.local.seed.people import Person, Work
from pixelbloom.local.seed.plan import Plan, Row

MODELS = {"ollama": "llama3", "huggingface": "HuggingFaceH4/zephyr-7b-beta"}
PROVIDERS = {"ollama": 86, "huggingface": 6, "fallback": 8}
FAILURE = 0.03


def runs(plan: Plan, works: list[Work]) -> dict[str, list[Row]]:
    """`runs`, `run_steps`, `model_metrics` and `agent_logs` of all work, oldest first."""
    dice = plan.dice("work")
    tables: dict[str, list[Row]] = {"runs": [], "run_steps": [], "model_metrics": [], "agent_logs": []}
    for work in sorted(works, key=lambda each: each.at):
        run_id, provider = dice.uuid(), dice.one_of(PROVIDERS)
        failed = dice.happens(FAILURE)
        took = timedelta(seconds=round(min(0.05 if provider == "fallback" else dice.lognormvariate(1.1, 0.5), 40), 3))
        prompt, completion = dice.randrange(180, 900), dice.randrange(60, 500)
        error = "The step did not end within its time." if failed else None
        ended: dict[str, Any] = {
            "status": "failed" if failed else "completed",
            "error": error,
            "error_code": "TIMEOUT" if failed else None,
            "provider": None if failed else provider,
            "model": None if failed else MODELS.get(provider),
            "created_at": work.at,
            "started_at": work.at,
            "finished_at": work.at + took,
        }
        tables["runs"].append(
            {
                "id": run_id,
                "kind": "agent",
                "agent_type": work.agent_type,
                "user_id": plan.owner,
                "caller": f"user:{plan.owner}",
                "user_queue": str(plan.owner),
                "input": work.input,
                "attempts": 1,
                "progress": 0 if failed else 1,
                "result": None if failed else work.output,
                **ended,
                "step": work.agent_type,
                "metadata": {"source": "demo"},
                "updated_at": work.at + took,
            }
        )
        tables["run_steps"].append(
            {
                "run_id": run_id,
                "key": work.agent_type,
                "agent_type": work.agent_type,
                "writes": registry.get(work.agent_type).writes,
                "user_queue": str(plan.owner),
                "ready": True,
                "attempt": 1,
                "input": work.input,
                "output": None if failed else work.output,
                **ended,
                "prompt_tokens": 0 if failed or provider == "fallback" else prompt,
                "completion_tokens": 0 if failed or provider == "fallback" else completion,
            }
        )
        if provider != "fallback":
            tables["model_metrics"].append(
                {
                    "run_id": run_id,
                    "agent_type": work.agent_type,
                    "provider": provider,
                    "model": MODELS[provider],
                    "outcome": "timeout" if failed else "ok",
                    "error": error,
                    "latency_ms": int(took.total_seconds() * 1000),
                    "created_at": work.at + took,
                    "prompt_tokens": 0 if failed else prompt,
                    "completion_tokens": 0 if failed else completion,
                }
            )
        tables["agent_logs"].append(
            {
                "id": dice.uuid(),
                "run_id": run_id,
                "user_id": plan.owner,
                "agent_type": work.agent_type,
                "level": "error" if failed else "warning" if provider == "fallback" else "info",
                "event": "step_failed" if failed else "step_completed",
                "detail": {"step": work.agent_type, "attempt": 1, **({"error": error} if error else {})},
                "created_at": work.at + took,
            }
        )
    return tables


def notifications(plan: Plan, found: list[Person]) -> list[Row]:
    """Notify the owner of hot leads; those of the last days are unread."""
    dice = plan.dice("notifications")
    return [
        {
            "id": dice.uuid(),
            "user_id": plan.owner,
            "notification_type": "lead_qualified",
            "severity": "success",
            "title": "A hot lead",
            "message": person.row["analysis"]["summary"][:4000],
            "action_url": f"/leads/{person.row['id']}",
            "metadata": {"lead_id": str(person.row["id"]), "score": person.row["score"]},
            "read": (read := plan.end - person.row["created_at"] > timedelta(days=4)),
            "read_at": person.row["analyzed_at"] + timedelta(hours=2) if read else None,
            "created_at": person.row["analyzed_at"],
            "updated_at": person.row["analyzed_at"],
        }
        for person in found
        if person.tier == "hot"
    ][-20:]
