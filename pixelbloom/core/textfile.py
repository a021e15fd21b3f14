"""Reads text files in the encodings that editors write."""

import codecs
import io
from collections.abc import Mapping
from pathlib import Path

from dotenv import dotenv_values
from pydantic_settings import DotEnvSettingsSource
from pydantic_settings.sources.utils import parse_env_vars

_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


class NotText(ValueError):
    """The bytes are not UTF-8, and no byte order mark names another encoding. The message has no subject."""


def decoded(raw: bytes) -> str:
    """Decode UTF-8, or the UTF-16 or UTF-32 that a byte order mark names. Raises NotText."""
    encoding = next((name for mark, name in _MARKS if raw.startswith(mark)), "utf-8")
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise NotText(f"is not UTF-8 text (line {line}); save it as UTF-8") from None
    if "\0" in text:
        raise NotText("is not UTF-8 text: it has NUL characters; save it as UTF-8")
    return text


def env_values(path: Path, *, interpolate: bool = True) -> Mapping[str, str | None]:
    """Return the KEY=VALUE lines of a file. Raises NotText, whose message names the file."""
    try:
        text = decoded(path.read_bytes())
    except NotText as error:
        raise NotText(f"{path} {error}") from None
    return dotenv_values(stream=io.StringIO(text), interpolate=interpolate)


class EnvFiles(DotEnvSettingsSource):
    """Files of KEY=VALUE lines in the encodings that editors write."""

    def _read_env_file(self, file_path: Path) -> Mapping[str, str | None]:
        found = env_values(file_path)
        return parse_env_vars(found, self.case_sensitive, self.env_ignore_empty, self.env_parse_none_str)
