"""The parts of a process."""

import pytest

from pixelbloom.config import Settings
from pixelbloom.container import Container


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
