import os
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from pixelbloom.cli import doctor, invoke, migrate, runs, token
from pixelbloom.config import Settings

SECRET = "a-secret-of-the-tests-that-is-long-enough-for-hs256"
Cli = Callable[..., Result]


@pytest.fixture
def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Runs a command in an empty folder, with no settings but those given by name."""
    monkeypatch.chdir(tmp_path)
    for name in Settings.model_fields:
        for variable in (name, name.upper()):
            monkeypatch.delenv(variable, raising=False)
    app = typer.Typer()
    for module in (doctor, invoke, migrate, runs, token):
        module.register(app)

    def run(*arguments: str, stdin: str | bytes | None = None, **variables: str) -> Result:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        result = CliRunner().invoke(app, arguments, input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    assert "PIXELBLOOM_TOKEN" not in os.environ
    return run


def one_line(result: Result) -> str:
    """What the command said, which must be one line on stderr and nothing on stdout."""
    assert result.stdout == ""
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    return lines[0]
