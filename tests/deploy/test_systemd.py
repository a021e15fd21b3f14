"""The units of systemd, by systemd-analyze."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy import DEPLOY
from tests.programs import debian_program

#: The most that `systemd-analyze security` may count, of 100; 96 is a service without any protection.
EXPOSURE = 20


@pytest.fixture
def units(tmp_path: Path) -> Path:
    """The units, with a program that exists here."""
    folder = tmp_path / "units"
    shutil.copytree(DEPLOY / "systemd", folder)
    programs = {
        "/opt/pixelbloom/bin/pixelbloom ": f"{Path(sys.executable).with_name('pixelbloom')} ",
        "/usr/local/bin/postgrest ": "/bin/true ",
    }
    for unit in folder.glob("*.service"):
        text = unit.read_text()
        [named] = [name for name in programs if f"ExecStart={name}" in text]
        unit.write_text(text.replace(named, programs[named]))
    return folder


def analyze(units: Path, *arguments: str) -> str:
    """Run it on these units and the system's. Returns its output, warnings among it."""
    done = subprocess.run(
        [debian_program("systemd-analyze", "systemd"), *arguments],
        env={**os.environ, "SYSTEMD_UNIT_PATH": f"{units}:"},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    return said


def test_systemd_understands_every_line(units: Path) -> None:
    files = sorted(str(path) for path in units.iterdir() if path.is_file())
    assert len(files) == 7
    assert analyze(units, "verify", "--man=no", *files) == ""


@pytest.mark.parametrize("name", ["web", "worker@", "beat", "flower", "exporter", "postgrest"])
def test_the_unit_is_confined(units: Path, name: str) -> None:
    unit = str(units / f"pixelbloom-{name}.service")
    analyze(units, "security", "--offline=true", f"--threshold={EXPOSURE}", "--no-pager", unit)
