"""The wheel, installed into an environment of its own, far from any clone: it starts everything."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from pixelbloom import __version__
from pixelbloom.config import DEVELOPMENT_USER
from pixelbloom.local.probes import responds
from tests import ROOT
from tests.acceptance.up import RunningStack, end
from tests.browser.console import build
from tests.distributions import copy_sources, made
from tests.waiting import until

#: An environment is installed, and a whole stack started.
pytestmark = [pytest.mark.timeout(1200), pytest.mark.slow]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs of an environment that has the wheel and what it requires."""
    build()
    folder = tmp_path_factory.mktemp("wheel")
    wheel = made("wheel", copy_sources(folder / "sources"), folder)
    subprocess.run([sys.executable, "-m", "venv", folder / "environment"], check=True)
    programs = folder / "environment" / "bin"
    pip = [programs / "python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    for what in (["--require-hashes", "-r", ROOT / "requirements" / "local.txt"], ["--no-deps", wheel]):
        done = subprocess.run([*pip, *what], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
    return programs


@pytest.fixture(scope="module")
def up(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    running = RunningStack(tmp_path_factory.mktemp("empty") / "home", PYTHONPATH="")
    running.start(str(installed / "pixelbloom"), "up")
    try:
        running.wait_ready()
        yield running
    finally:
        end(running)


def run(installed: Path, up: RunningStack, *command: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [installed / command[0], *command[1:]],
        env={**os.environ, "PIXELBLOOM_HOME": str(up.home), "PYTHONPATH": ""},
        cwd=up.home.parent,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def test_the_wheel_starts_everything_outside_of_a_clone(installed: Path, up: RunningStack) -> None:
    version = run(installed, up, "pixelbloom", "--version")
    assert version.stdout == f"pixelbloom {__version__}\n"
    where = run(installed, up, "python", "-c", "import pixelbloom; print(pixelbloom.__file__)")
    assert where.stdout.startswith(str(installed.parent))

    curl = re.search(r"^curl -s.*?'$", up.output, re.DOTALL | re.MULTILINE)
    assert curl
    response = subprocess.run(["bash", "-c", curl.group()], capture_output=True, text=True, timeout=300, check=True)
    run_id = re.search(r'"request_id": ?"([0-9a-f-]+)"', response.stdout)
    assert run_id
    up.user_id = DEVELOPMENT_USER
    up.wait_for(lambda: up.get(f"/api/agents/runs/{run_id[1]}")["status"] == "completed")

    assert '<div id="app">' in requests.get(up.url, timeout=60).text
    assert "Webhooks" in requests.get(f"{up.url}/api/docs/guides/webhooks", timeout=60).text
    said: list[str] = []

    def succeeds() -> bool:
        """On a busy machine a worker may reply late."""
        doctor = run(installed, up, "pixelbloom", "doctor")
        said[:] = [doctor.stdout]
        return doctor.returncode == 0

    until(succeeds, saw=lambda: said)
    assert "every migration is applied" in said[0]


def test_doctor_does_not_take_an_empty_database_for_a_migrated_one(installed: Path, up: RunningStack) -> None:
    url = up.database_url.replace("/postgres?", "/template1?")
    done = subprocess.run(
        [installed / "pixelbloom", "doctor"],
        env={**os.environ, "PIXELBLOOM_HOME": str(up.home), "PYTHONPATH": "", "DATABASE_URL": url},
        cwd=up.home.parent,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 1
    assert re.search(
        r"DOWN +postgres: PostgreSQL [0-9.]+, \d+ migrations are missing -> run `pixelbloom migrate`", done.stdout
    )


def test_a_server_starts_by_its_own_name_too(installed: Path, up: RunningStack) -> None:
    """`gunicorn wsgi:app` and `celery -A workers.agents` find their modules in the environment."""
    found = run(installed, up, "python", "-m", "celery", "-A", "workers.clock", "report")
    assert found.returncode == 0, found.stderr
    checked = run(
        installed, up, "gunicorn", "--check-config", "-c", "python:pixelbloom.web.gunicorn_settings", "wsgi:app"
    )
    assert checked.returncode == 0, checked.stderr
    assert responds(up.port, "/healthz")
