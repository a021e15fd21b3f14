"""Every command and every setting that a file of `deploy/` names exists."""

from typing import Any

import pytest
import typer.main

from pixelbloom import health
from pixelbloom.cli import build
from pixelbloom.config import Settings
from pixelbloom.processes import WORKERS
from tests.deploy.places import Command, commands, variables

#: Of other programs, by what reads them.
FOREIGN = {
    "WEB_CONCURRENCY": "gunicorn",
    "TMPDIR": "Python",
    "PATH": "the system",
    "PYTHONUNBUFFERED": "Python",
    "PYTHONDONTWRITEBYTECODE": "Python",
    "PIP_NO_CACHE_DIR": "pip",
    "PIP_DISABLE_PIP_VERSION_CHECK": "pip",
    "POSTGRES_PASSWORD": "compose.yaml",
    "REDIS_PASSWORD": "compose.yaml",
}
COMMANDS = tuple(commands())


@pytest.mark.parametrize("command", COMMANDS, ids=str)
def test_the_command_exists(command: Command) -> None:
    name, *arguments = command.argv
    group: Any = typer.main.get_command(build())
    assert name in group.commands
    with group.commands[name].make_context(name, arguments) as context:  # it rejects options that do not exist
        role = context.params.get("role")
    if name == "worker":
        assert role in WORKERS
    elif name == "health":
        assert role in health.ROLES


@pytest.mark.parametrize("file", ["compose.yaml", "kubernetes", "Procfile", "systemd"])
def test_all_roles_are_started(file: str) -> None:
    started = [command.argv for command in COMMANDS if command.file == file]
    for role in (*health.ROLES, "exporter"):
        wanted = ("worker", role) if role in WORKERS else ("serve" if role == "web" else role,)
        assert [argv for argv in started if argv[: len(wanted)] == wanted], role


@pytest.mark.parametrize(("place", "name"), sorted(set(variables())))
def test_the_setting_exists(place: str, name: str) -> None:
    assert name.lower() in Settings.model_fields or name in FOREIGN, f"{place} names {name}"
