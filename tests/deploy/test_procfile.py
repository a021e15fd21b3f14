"""The Procfile, by honcho."""

import subprocess
import sys

from tests.deploy import DEPLOY


def test_honcho_accepts_it() -> None:
    command = [sys.executable, "-m", "honcho", "-f", str(DEPLOY / "Procfile"), "check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Valid procfile detected (release, web, agents, events" in done.stdout + done.stderr
