"""Clients that three generators make of the API document: they compile, and reach the running API."""

import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import ROOT, frontend
from tests.integration.http import Api
from tests.stack import Stack

CLIENTS = frontend.FOLDER / "clients"
LOCK = ROOT / "requirements" / "clients.txt"
#: The results of each client's calls, including an update with a stale ETag.
DONE = {"name": "Ada", "company": "Northwind", "stale": "CONFLICT", "status": "queued"}


@pytest.fixture(scope="module")
def web(stack: Stack) -> Iterator[Api]:
    process = stack.start("web")
    yield Api(process.url, None, stack.settings).as_user()
    process.kill()


@pytest.fixture(scope="module")
def document(web: Api, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("document") / "openapi.json"
    path.write_text(web.get("/api/openapi.json").text)
    return path


def environment(web: Api) -> dict[str, str]:
    return {"API_URL": web.url, "TOKEN": web.token or ""}


@pytest.fixture(scope="module")
def compiled(document: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both TypeScript clients, generated and compiled under --strict, type declarations of their libraries too."""
    folder = tmp_path_factory.mktemp("typescript")
    packages = frontend.workplace(folder)
    for source in CLIENTS.glob("*.[tj]s*"):
        shutil.copy(source, folder)
    shutil.copy(document, folder / "openapi.json")
    frontend.node(packages / "openapi-typescript" / "bin" / "cli.js", "openapi.json", "-o", "schema.d.ts", cwd=folder)
    frontend.node(packages / "@hey-api" / "openapi-ts" / "bin" / "run.js", cwd=folder)
    frontend.node(packages / "typescript" / "bin" / "tsc", "-p", folder)
    return folder / "compiled"


@pytest.mark.parametrize("script", ["fetch.js", "hey.js"])
def test_a_typescript_client_compiles_and_calls(web: Api, compiled: Path, script: str) -> None:
    output = frontend.node(compiled / script, env=environment(web))

    assert json.loads(output.splitlines()[-1]) == DONE


def generator() -> Path:
    """The folder of openapi-python-client's commands, in an environment of its own that follows its lock."""
    folder = CLIENTS / ".venv"
    done = folder / ".installed"
    with LOCK.open() as shared:
        fcntl.flock(shared, fcntl.LOCK_EX)  # test processes run concurrently
        if not done.exists() or done.read_text() != LOCK.read_text():
            venv.create(folder, with_pip=True, clear=True)
            options = ("--quiet", "--disable-pip-version-check", "--require-hashes", "-r", LOCK)
            subprocess.run([folder / "bin" / "python", "-m", "pip", "install", *options], check=True)
            done.write_text(LOCK.read_text())
    return folder / "bin"


def test_the_python_client_has_every_operation_imports_and_calls(web: Api, document: Path, tmp_path: Path) -> None:
    commands = generator()
    made = tmp_path / "generated"
    options = ("--fail-on-warning", "--meta", "none", "--path", document, "--output-path", made)

    done = subprocess.run(
        [commands / "openapi-python-client", "generate", *options],
        env={"PATH": f"{commands}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.sub(r"\s", "", done.stdout + done.stderr) == "Generating" + re.sub(r"\s", "", str(made))
    operations: list[dict[str, Any]] = [
        operation for path in json.loads(document.read_text())["paths"].values() for operation in path.values()
    ]
    wanted = {re.sub(r"(?=[A-Z])", "_", operation["operationId"]).lower() for operation in operations}
    assert {path.stem for path in made.glob("api/*/*.py")} - {"__init__"} == wanted
    assert [path.name for path in made.glob("models/*_type_0.py")] == []  # each type has a name

    shutil.copy(CLIENTS / "call.py", tmp_path)
    everything = "import generated.models, importlib, pathlib\n" + (
        "for path in pathlib.Path('generated').glob('api/*/*.py'):"
        " importlib.import_module('.'.join(path.with_suffix('').parts))"
    )
    for arguments in (["-c", everything], ["call.py"]):
        called = subprocess.run(
            [sys.executable, "-W", "error", *arguments],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path), **environment(web)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert called.returncode == 0, called.stdout + called.stderr
    assert json.loads(called.stdout.splitlines()[-1]) == DONE
