"""A short run of `make chaos`: every kind of workflow, while processes and servers are killed at random."""

import os
from pathlib import Path

import pytest

from tests.acceptance.chaos import one_seed

#: Whole stacks are started and killed.
pytestmark = pytest.mark.timeout(900)

SEED = int(os.environ.get("CHAOS_SEED", "1"))


def test_every_accepted_run_ends_once_whatever_is_killed(tmp_path: Path) -> None:
    report = one_seed(tmp_path / "home", seed=SEED, runs=20, kills=5)
    assert not report.errors, report.line()
