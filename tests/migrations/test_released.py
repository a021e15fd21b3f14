"""Migrations of a release are never edited: databases have applied them. `supabase/released.sha256` lists them."""

import hashlib
from collections.abc import Iterable

from pixelbloom.core.shipped import CLONE, MIGRATIONS

LIST = CLONE / "supabase" / "released.sha256"
#: The last migration of 0.2.0, the first release whose databases can be upgraded.
BASELINE = "20250126000023"


def released() -> dict[str, str]:
    """Return the checksums of the released migrations by file name."""
    lines = [line.split("  ") for line in LIST.read_text().splitlines()]
    return {name.removeprefix("migrations/"): checksum for checksum, name in lines}


def test_released_migrations_have_not_changed() -> None:
    now = {name: hashlib.sha256((MIGRATIONS / name).read_bytes()).hexdigest() for name in released()}
    assert now == released(), "undo the edit of a released migration, and put the change into a new file"


def test_every_file_of_the_baseline_is_listed() -> None:
    def of_baseline(names: Iterable[str]) -> list[str]:
        return sorted(name for name in names if name.partition("_")[0] <= BASELINE)

    assert of_baseline(path.name for path in MIGRATIONS.glob("*.sql")) == of_baseline(released())


def test_new_migrations_sort_after_all_released_ones() -> None:
    new = [path.name for path in MIGRATIONS.glob("*.sql") if path.name not in released()]
    assert all(name > max(released()) for name in new)
