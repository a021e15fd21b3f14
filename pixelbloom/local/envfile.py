"""Files of KEY=VALUE lines, readable by their owner alone."""

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pixelbloom.core.textfile import env_values


def read(path: Path) -> dict[str, str]:
    """Return the file's values; none if there is no file. Raises NotText with a message that names the file."""
    if not path.exists():
        return {}
    return {name: value for name, value in env_values(path, interpolate=False).items() if value}


def write(path: Path, values: Mapping[str, str]) -> None:
    """Replace the file atomically, mode 0600."""
    text = "".join(f"{name}={_quoted(value)}\n" for name, value in values.items())
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}-", dir=path.parent)  # mode 0600
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _quoted(value: str) -> str:
    if all(character.isalnum() or character in "-_./:@?=&,+%~" for character in value):
        return value
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
