"""The parts of a process."""

import pytest

from pixelbloom.config import Settings
from pixelbloom.container import Container
from pixelbloom.tasks.container import WorkerContainer


@pytest.mark.parametrize("name", ["schedules", "stripe_events", "workflows", "checkouts"])
def test_what_the_web_tier_uses_builds_no_metrics_of_a_worker(name: str) -> None:
    container = Container(
        Settings(
            metrics_port=9100,
            supabase_url="http://127.0.0.1:9",
            supabase_service_role_key="x" * 40,
            redis_url="redis://127.0.0.1:9",
        )
    )
    assert getattr(container, name)
    assert "metrics" not in vars(container)


def test_processes_with_the_same_host_and_id_have_different_names() -> None:
    """As those of a container that restarts in place: its new process takes no lease of the old one for its own."""
    first, second = (WorkerContainer(Settings()) for _ in range(2))
    assert first.worker != second.worker
