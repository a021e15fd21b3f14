"""The command as a process: what it prints where it fails."""

import subprocess
import sys
from pathlib import Path

HIDDEN = "hunter2hunter2"


def test_a_failure_of_the_command_itself_is_one_line(tmp_path: Path) -> None:
    program = (
        "import sys\nfrom pixelbloom import cli\n"
        f"def broken(): raise RuntimeError('{HIDDEN}')\n"
        "cli.build = lambda: lambda **_: broken()\ncli.main([])"
    )
    process = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
    )
    assert process.stderr == ("An unexpected error (RuntimeError): PIXELBLOOM_DEBUG=true shows where it happened.\n")
    assert process.returncode == 70
