"""What the pages name exists: commands with their options, settings, other pages, targets of make."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from pixelbloom.cli import build
from pixelbloom.config import Settings
from pixelbloom.core.shipped import CLONE, DOCS

PAGES = (*sorted(DOCS.glob("*.md")), CLONE / "README.md", CLONE / "CONTRIBUTING.md")
#: Settings of other programs, and names that are placeholders.
FOREIGN = re.compile(
    r"PGRST_\w+|VITE_\w+|WEB_CONCURRENCY|GUNICORN_CMD_ARGS|FLOWER_\w+|TOKEN|ADMIN|TMPDIR|UID|PYTHON|KEY|OTEL_\w+|SENTRY_\w+"
    r"|FIELD|REQUIREMENTS|OLLAMA_(NUM_PARALLEL|DEBUG)|REMAP_SIGTERM|CI|\w+_ARGS|SUPABASE_(PUBLISHABLE|SECRET)_KEY|FLOWER_URL|AGENT|RUN|ID|PASSWORD"
)
COMMAND = re.compile(r"(?:^|[\s`/=\"(]|&& )pixelbloom ([a-z]+(?: [a-z]+)?)((?: +--[a-z][a-z-]*)*)")


def code(page: Path) -> Iterator[str]:
    """Yield the blocks and spans of code."""
    text = page.read_text()
    yield from re.findall(r"^ {0,3}```.*?\n(.*?)^ {0,3}```", text, re.DOTALL | re.MULTILINE)
    yield from re.findall(r"^ {4}(\S.*)$", text, re.MULTILINE)
    yield from re.findall(r"`([^`\n]+)`", re.sub(r"^ {0,3}```.*?^ {0,3}```", "", text, flags=re.DOTALL | re.MULTILINE))


def found() -> Iterator[tuple[str, str, str]]:
    """Yield the page, the command and its options."""
    for page in PAGES:
        for text in code(page):
            for words, options in COMMAND.findall(text):
                yield page.name, words, options


@pytest.mark.parametrize(("page", "words", "options"), sorted(set(found())))
def test_a_command_exists_with_its_options(page: str, words: str, options: str) -> None:
    command: Any = typer.main.get_command(build())
    for word in words.split():
        if hasattr(command, "commands"):
            assert word in command.commands, f"{page}: pixelbloom {words}"
            command = command.commands[word]
    known = {option for parameter in command.params for option in parameter.opts}
    ours = not command.context_settings.get("ignore_unknown_options")
    assert not ours or set(options.split()) - {"--help"} <= known, f"{page}: pixelbloom {words}{options}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_that_are_set_exist(page: Path) -> None:
    names = {name for text in code(page) for name in re.findall(r"(?:^|\s)([A-Z][A-Z0-9_]+)=", text)}
    unknown = {name for name in names if name.lower() not in Settings.model_fields and not FOREIGN.fullmatch(name)}
    assert unknown == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_linked_pages_and_headings_exist(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]*(?:#[^)\s]*)?)\)", page.read_text()):
        name, _, heading = target.partition("#")
        if ":" in name:
            continue
        other = (page.parent / name) if name else page
        assert other.exists(), f"{page.name} links to {target}"
        if heading and other.suffix == ".md":
            headings = re.findall(r"^#+ (.*)$", other.read_text(), re.MULTILINE)
            slugs = {re.sub(r"[^\w-]", "", each.lower().replace(" ", "-")) for each in headings}
            assert heading in slugs, f"{page.name} links to {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_targets_of_make_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (CLONE / "Makefile").read_text(), re.MULTILINE))
    named = {name for text in code(page) for name in re.findall(r"(?:^|[\s(])make ([a-z][a-z-]*)", text)}
    assert named <= targets


def test_the_readme_names_every_page() -> None:
    readme = (CLONE / "README.md").read_text()
    assert {page.name for page in DOCS.glob("*.md") if f"(docs/{page.name})" not in readme} == set()
