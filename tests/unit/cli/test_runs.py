import io
from typing import Any
from uuid import uuid4

import pytest
from rich.console import Console

from pixelbloom.agents import registry
from pixelbloom.cli.runs import table

STATUSES = ("queued", "running", "completed", "failed", "cancelled")


def runs() -> list[dict[str, Any]]:
    """A run of each agent in each state."""
    return [
        {
            "request_id": str(uuid4()),
            "agent_type": agent,
            "status": status,
            "progress": {"queued": 0, "running": 0.42}.get(status, 1),
            "created_at": "2026-11-24T12:00:12Z",
            "model": "meta-llama/Llama-3.1-8B-Instruct",
            "provider": "huggingface",
        }
        for agent in (agent.agent_type for agent in registry.all())
        for status in STATUSES
    ]


def lines(items: list[dict[str, Any]], width: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width)
    console.print(table(items, width))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


@pytest.mark.parametrize("width", [80, 100, 132, 200])
def test_each_run_is_one_line_with_its_whole_id_status_and_time(width: int) -> None:
    items = runs()
    head, *rows = lines(items, width)
    assert len(rows) == len(items)
    assert all(len(line.rstrip()) <= width for line in (head, *rows))
    for item, row in zip(items, rows, strict=True):
        status = "running 42%" if item["status"] == "running" else item["status"]
        assert row.startswith(item["request_id"])
        assert f" {status} " in row
        assert "11-2" in row


def test_at_80_columns_the_agents_are_still_distinguishable() -> None:
    shown = {row.split()[-1] for row in lines(runs(), 80)[1:]}
    assert len(shown) == len(registry.all())
    assert "digital_marketing_…" in shown


def test_a_wide_terminal_also_shows_the_model() -> None:
    assert "meta-llama/Llama-3.1-8B-Instruct" in lines(runs(), 132)[1]
