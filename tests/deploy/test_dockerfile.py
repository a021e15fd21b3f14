"""The Dockerfile, by hadolint; and its steps, carried out in a folder."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import ROOT
from tests.browser.console import build
from tests.deploy import DEPLOY
from tests.deploy.places import dockerfile, values
from tests.waiting import SECONDS

#: Where the Dockerfile installs, and where it builds.
PREFIX, SOURCE = "/opt/pixelbloom", "/source"
BUILT = "pixelbloom/web/console/static"


def stages() -> list[list[dict[str, str]]]:
    """The instructions of each stage, its FROM first."""
    found: list[list[dict[str, str]]] = []
    for one in dockerfile():
        if one["instruction"] == "FROM":
            found.append([])
        if found:
            found[-1].append(one)
    return found


def test_hadolint_finds_nothing() -> None:
    program = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([program, DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_image_does_not_run_as_root_and_has_no_build_tools() -> None:
    last = stages()[-1]
    users = [one["value"] for one in last if one["instruction"] == "USER"]
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", users[-1])
    assert last[0]["value"].endswith("-slim")
    assert [one["value"] for one in last if one["instruction"] == "COPY"] == [f"--from=build {PREFIX} {PREFIX}"]


def test_what_is_copied_exists_and_reaches_the_builder() -> None:
    lines = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    sent = {line.removeprefix("!") for line in lines if line.startswith("!")}
    sources = {part for value in values("COPY") if "--from" not in value for part in value.split()[:-1]}
    assert lines.index("*") < min(index for index, line in enumerate(lines) if line.startswith("!"))
    assert sources == sent
    assert [source for source in sources if not (ROOT / source).exists()] == []


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_its_steps_make_a_program_that_starts_without_the_clone(tmp_path: Path) -> None:
    build()
    prefix, source = tmp_path / "installed", tmp_path / "source"
    source.mkdir()
    for one in stages()[1]:
        if one["instruction"] == "COPY":
            *sources, target = [part for part in one["value"].split() if not part.startswith("--")]
            from_console = sources == [f"{SOURCE}/{BUILT}"]  # `build` made it, as the stage before does
            for name in [BUILT] if from_console else sources:
                copy(ROOT / name, source / target if len(sources) == 1 and target != "./" else source / target / name)
        elif one["instruction"] == "RUN":
            command = one["value"].replace(PREFIX, str(prefix)).replace("python -m", f"{sys.executable} -m", 1)
            run("sh", "-c", f"set -e; {command}", folder=source)
    shutil.rmtree(source)
    program = prefix / "bin" / "pixelbloom"
    assert re.fullmatch(r"pixelbloom \d+\.\d+\.\d+\n", run(str(program), "--version", folder=tmp_path))
    assert "health" in run(str(program), "--help", folder=tmp_path)
    # What is uninstalled at the end is needed by nothing.
    counted = "import pixelbloom.web.app; from pixelbloom.database import migrations as m; print(len(m.read_all()))"
    migrations = run(str(prefix / "bin" / "python"), "-c", counted, folder=tmp_path)
    assert int(migrations) == len(list((ROOT / "supabase/migrations").glob("*.sql")))


def copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        ignored = shutil.ignore_patterns("__pycache__", *(["static"] if source == ROOT / "pixelbloom" else []))
        shutil.copytree(source, target, ignore=ignored, dirs_exist_ok=True)
    else:
        shutil.copyfile(source, target)


def run(*argv: str, folder: Path) -> str:
    """Run a command outside of the clone. Returns its output."""
    env = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(argv, cwd=folder, env=env, capture_output=True, text=True, timeout=5 * SECONDS, check=False)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout
