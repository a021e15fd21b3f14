"""Copies the migrations and the docs, which are outside of the package, into the wheel."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

HERE = Path(__file__).parent
#: By their folder in pixelbloom/shipped/ (pixelbloom/core/shipped.py).
SHIPPED = {"migrations": HERE / "supabase" / "migrations", "docs": HERE / "docs"}


class BuildWithFiles(build_py):
    def run(self) -> None:
        super().run()
        if not self.editable_mode:
            for name, folder in SHIPPED.items():
                wanted = Path(self.build_lib) / "pixelbloom" / "shipped" / name
                shutil.rmtree(wanted, ignore_errors=True)
                shutil.copytree(folder, wanted, ignore=shutil.ignore_patterns("images"))


setup(cmdclass={"build_py": BuildWithFiles})
