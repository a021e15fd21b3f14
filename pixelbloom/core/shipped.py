"""Paths of the files that come with the code: those of the clone, or the copies that setup.py puts into the wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
_WHEEL = _PACKAGE / "shipped"
#: The folder of a clone. An installed wheel has no such folder.
CLONE = _PACKAGE.parent


def _folder(name: str, clone: str) -> Path:
    shipped = _WHEEL / name
    return shipped if shipped.is_dir() else CLONE / clone


MIGRATIONS = _folder("migrations", "supabase/migrations")
DOCS = _folder("docs", "docs")
