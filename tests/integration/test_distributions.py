"""What is in the wheel and in the source distribution."""

import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

from tests.browser.console import ROOT, build

SCRIPT = "from setuptools import build_meta; print(build_meta.build_{kind}({folder!r}))"


def made(kind: str, source: Path, folder: Path) -> Path:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.format(kind=kind, folder=str(folder))],
        cwd=source,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return folder / done.stdout.splitlines()[-1]


def test_both_distributions_have_the_built_console_and_give_the_same_wheel(tmp_path: Path) -> None:
    build()
    console = ROOT / "pixelbloom" / "web" / "console" / "static"
    wanted = {path.relative_to(ROOT).as_posix() for path in console.rglob("*") if path.is_file()}
    assert "pixelbloom/web/console/static/index.html" in wanted

    copy = tmp_path / "copy"
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    for name in {*tracked, *wanted}:
        if (ROOT / name).is_file() and not name.startswith(("tests/", "console/", "bench/")):
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            (copy / name).write_bytes((ROOT / name).read_bytes())
    source = made("sdist", copy, tmp_path)
    with tarfile.open(source) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    unpacked = next((tmp_path / "unpacked").iterdir())
    assert wanted <= {path.relative_to(unpacked).as_posix() for path in unpacked.rglob("*")}

    names = []
    for folder in (copy, unpacked):
        target = tmp_path / f"wheel-{folder.name}"
        target.mkdir()
        with zipfile.ZipFile(made("wheel", folder, target)) as archive:
            names.append(set(archive.namelist()))
    assert wanted <= names[0]
    assert names[0] == names[1]
