"""The pages of docs/, if the server runs from a checkout. An installed wheel does not have them."""

import re
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt

import pixelbloom

FOLDER = Path(pixelbloom.__file__).parents[1] / "docs"
GUIDES_URL = "/api/docs/guides"
_NAME = re.compile(r"[a-z][a-z-]{0,40}")
_LINK = re.compile(r'href="([a-z-]+)\.md(#[^"]*)?"')


def names() -> list[str]:
    """Return the names of the guides."""
    return sorted(path.stem for path in FOLDER.glob("*.md") if _NAME.fullmatch(path.stem))


def links() -> str:
    """Return links to all guides, in Markdown."""
    return ", ".join(f"[{name.replace('-', ' ')}]({GUIDES_URL}/{name})" for name in names()) or "docs/ of the sources"


def html(name: str) -> str | None:
    """Return a guide as HTML, without scripts or styles; None if there is no guide of that name."""
    if name not in names():
        return None
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse((FOLDER / f"{name}.md").read_text())
    for opening, content in pairwise(tokens):
        if opening.type == "heading_open":
            opening.attrSet("id", _slug("".join(part.content for part in content.children or ())))
    return _LINK.sub(rf'href="{GUIDES_URL}/\1\2"', markdown.renderer.render(tokens, markdown.options, {}))


def _slug(heading: str) -> str:
    """Return the anchor of a heading, as GitHub generates it."""
    return re.sub(r"[^\w-]", "", heading.lower().replace(" ", "-"))
