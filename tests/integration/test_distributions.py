"""What is in the wheel and in the source distribution."""

import tarfile
import zipfile
from pathlib import Path

from pixelbloom.core.shipped import DOCS, MIGRATIONS
from tests import ROOT
from tests.browser.console import build
from tests.distributions import copy_sources, made


def test_both_distributions_are_whole_and_give_the_same_wheel(tmp_path: Path) -> None:
    build()
    console = ROOT / "pixelbloom" / "web" / "console" / "static"
    wanted = {path.relative_to(ROOT).as_posix() for path in console.rglob("*") if path.is_file()}
    assert "pixelbloom/web/console/static/index.html" in wanted

    copy = copy_sources(tmp_path / "copy")
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
    migrations = {f"pixelbloom/shipped/migrations/{path.name}" for path in MIGRATIONS.glob("*.sql")}
    guides = {f"pixelbloom/shipped/docs/{path.name}" for path in DOCS.glob("*.md")}
    lua = {path.relative_to(ROOT).as_posix() for path in (ROOT / "pixelbloom").rglob("*.lua")}
    modules = {"wsgi.py", "celeryconfig.py", "workers/agents.py", "pixelbloom/web/gunicorn_settings.py"}
    assert migrations | guides | lua | modules <= names[0]
