"""Startup of a process."""

import resource
import subprocess
import sys

import pytest

SCRIPT = """
import resource
from pixelbloom.startup import allow_open_files
print(allow_open_files(600), *resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(
    ("soft", "hard", "said"),
    [(256, 1_000, "600 600 1000"), (256, 400, "400 400 400"), (800, 1_000, "800 800 1000")],
    ids=["low", "as far as it goes", "enough"],
)
def test_the_limit_of_open_files_is_raised_up_to_the_hard_limit(soft: int, hard: int, said: str) -> None:
    found = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard)),
    )

    assert found.stdout.strip() == said
