"""Processes started by hand with a missing or invalid setting: they print one line that names it, and exit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pixelbloom.config import Settings
from pixelbloom.local.postgrest import free_port
from tests import ROOT

GIVEN = {
    "REDIS_URL": "redis://127.0.0.1:9",
    "SUPABASE_URL": "http://127.0.0.1:9",
    "SUPABASE_SERVICE_ROLE_KEY": "a-key",
}
GUNICORN = ("gunicorn", "wsgi:app")
CELERY = ("celery", "--quiet", "-A")
WORKERS = tuple((*CELERY, f"workers.{name}", "worker") for name in ("agents", "events", "maintenance"))
CLOCK = (*CELERY, "workers.clock", "beat")
FLOWER = (*CELERY, "workers.clock", "flower", "--port=0")


def run(folder: Path, *command: str, **env: str) -> "subprocess.CompletedProcess[str]":
    """The command in an empty folder, with no settings but these, until it ends by itself."""
    blank = {name.upper(): "" for name in Settings.model_fields}
    return subprocess.run(
        [sys.executable, "-m", *command],
        env={**os.environ, **blank, "PYTHONPATH": str(ROOT), "PORT": str(free_port()), **GIVEN, **env},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize(
    "command", [("-c", f"{ROOT}/gunicorn.conf.py"), ("-c", f"{ROOT}/gunicorn.conf.py", "--preload")]
)
@pytest.mark.parametrize(
    ("name", "value"),
    [("REDIS_URL", ""), ("SUPABASE_URL", ""), ("SUPABASE_SERVICE_ROLE_KEY", ""), ("API_JWT_SECRET", "short")],
)
def test_the_web_tier_reports_an_invalid_setting_on_one_line_and_exits(
    tmp_path: Path, command: tuple[str, ...], name: str, value: str
) -> None:
    ended = run(tmp_path, *GUNICORN, *command, **{name: value})
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    assert name in ended.stderr


@pytest.mark.parametrize("command", [(), ("--preload",)])
def test_the_web_tier_exits_with_another_configuration_file_too(tmp_path: Path, command: tuple[str, ...]) -> None:
    """gunicorn itself starts, and must not start its worker again and again."""
    ended = run(tmp_path, *GUNICORN, "--bind=127.0.0.1:0", *command, REDIS_URL="")
    assert ended.returncode == 4
    assert "Traceback" not in ended.stderr
    assert len([line for line in ended.stderr.splitlines() if line.startswith("REDIS_URL is not set")]) == 1


@pytest.mark.parametrize("command", [*WORKERS, CLOCK, FLOWER], ids=lambda command: " ".join(command[3:5]))
@pytest.mark.parametrize(("name", "value"), [("REDIS_URL", ""), ("OLLAMA_KEEP_ALIVE", "soon")])
def test_celery_reports_an_invalid_setting_on_one_line_and_exits(
    tmp_path: Path, command: tuple[str, ...], name: str, value: str
) -> None:
    ended = run(tmp_path, *command, **{name: value})
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    assert name in ended.stderr


@pytest.mark.parametrize(
    "command", [(*GUNICORN, "-c", f"{ROOT}/gunicorn.conf.py"), WORKERS[0], CLOCK], ids=["web", "worker", "beat"]
)
@pytest.mark.parametrize("name", ["CELERY_BROKER_URL", "CELERY_RESULT_BACKEND"])
def test_a_variable_that_celery_would_prefer_is_refused_on_one_line(
    tmp_path: Path, command: tuple[str, ...], name: str
) -> None:
    ended = run(tmp_path, *command, **{name: "redis://127.0.0.1:9/7"})
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    assert ended.stderr.startswith(f"{name} is set")
    assert "unset it" in ended.stderr


def test_a_redis_as_broker_url_is_refused_with_what_to_do(tmp_path: Path) -> None:
    # The celery command itself reads this variable, too.
    ended = run(tmp_path, *WORKERS[0], BROKER_URL="redis://127.0.0.1:9/7")
    assert ended.returncode == 2
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    assert "BROKER_URL must be a URL that starts with amqp:// or amqps://" in ended.stderr
    assert "REDIS_URL" in ended.stderr


@pytest.mark.parametrize("command", [WORKERS[0], CLOCK], ids=["worker", "beat"])
@pytest.mark.parametrize("name", ["SUPABASE_URL", "SUPABASE_SERVICE_ROLE_KEY"])
def test_a_worker_or_beat_without_a_database_setting_does_not_start(
    tmp_path: Path, name: str, command: tuple[str, ...]
) -> None:
    ended = run(tmp_path, *command, **{name: ""})
    assert ended.returncode == 2
    assert ended.stderr.splitlines() == [
        f"{name} is not set: set it in the environment or in .env, or start the local stack"
    ]
