"""Builds the distributions from a copy of the sources, as a release does."""

import subprocess
import sys
from pathlib import Path

from tests import ROOT

SCRIPT = "from setuptools import build_meta; print(build_meta.build_{kind}({folder!r}))"
#: Not in a distribution.
APART = ("tests/", "console/", "bench/")


def copy_sources(copy: Path) -> Path:
    """Copy the tracked files, and the console, which must be built, to a new folder."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    console = ROOT / "pixelbloom" / "web" / "console" / "static"
    built = [path.relative_to(ROOT).as_posix() for path in console.rglob("*")]
    for name in {*tracked, *built}:
        if (ROOT / name).is_file() and not name.startswith(APART):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    return copy


def made(kind: str, source: Path, folder: Path) -> Path:
    """Build the `wheel` or `sdist` of the sources into a folder. Returns its path."""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(kind=kind, folder=str(folder))],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder / done.stdout.splitlines()[-1]
