"""The local stack with given servers: conflicts are reported before anything runs."""

from pathlib import Path

import pytest

from pixelbloom.local import secrets
from tests.acceptance.up import RunningStack, end

#: Whole stacks are started and killed.
pytestmark = pytest.mark.timeout(900)

NOBODY = "http://127.0.0.1:9"


def refused(stack: RunningStack) -> str:
    """Start a stack that cannot start. Returns its last line, once all its processes have ended."""
    stack.start()
    try:
        stack.wait_for(lambda: stack.exit_code() is not None)
        assert stack.exit_code() != 0
        assert stack.processes() == []
        stack.wait_for(lambda: stack.output.endswith("\n"))
        assert "Traceback" not in stack.output
        assert "Warning" not in stack.output
        return stack.output.splitlines()[-1]
    finally:
        end(stack)


def test_a_key_without_its_project_is_named(tmp_path: Path) -> None:
    key = secrets.project_keys("the secret of another project, far away")["SUPABASE_SERVICE_ROLE_KEY"]
    said = refused(RunningStack(tmp_path / "home", SUPABASE_SERVICE_ROLE_KEY=key))
    assert said.startswith("SUPABASE_SERVICE_ROLE_KEY ")
    assert "SUPABASE_URL" in said


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"SUPABASE_URL": NOBODY}, "SUPABASE_SERVICE_ROLE_KEY"),
        ({"SUPABASE_REST_URL": NOBODY}, "SUPABASE_REST_URL"),
        ({"DATABASE_URL": "postgresql://nobody@127.0.0.1:9/nothing"}, "DATABASE_URL is set and SUPABASE_URL is not"),
        (
            {
                "SUPABASE_URL": NOBODY,
                "SUPABASE_SERVICE_ROLE_KEY": "any",
                "REDIS_URL": "redis://127.0.0.1:9",
                "DATABASE_URL": "postgresql://nobody@127.0.0.1:9/nothing",
            },
            "DATABASE_URL",
        ),
    ],
    ids=["no key", "no project", "a database alone", "no database"],
)
def test_a_missing_setting_or_unreachable_part_is_named(tmp_path: Path, given: dict[str, str], named: str) -> None:
    assert refused(RunningStack(tmp_path / "home", **given)).startswith(named)
