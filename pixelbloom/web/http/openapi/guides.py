"""The pages of docs/ as HTML."""

import re
from itertools import pairwise

from markdown_it import MarkdownIt

from pixelbloom.core.shipped import DOCS

GUIDES_URL = "/api/docs/guides"
_NAME = re.compile(r"[a-z][a-z-]{0,40}")
_LINK = re.compile(r'href="([a-z-]+)\.md(#[^"]*)?"')


def names() -> list[str]:
    """Return the names of the guides."""
    return sorted(path.stem for path in DOCS.glob("*.md") if _NAME.fullmatch(path.stem))


def links() -> str:
    """Return links to all guides, in Markdown."""
    return ", ".join(f"[{name.replace('-', ' ')}]({GUIDES_URL}/{name})" for name in names())


def html(name: str) -> str | None:
    """Return a guide as HTML, without scripts or styles; None if there is no guide of that name."""
    if name not in names():
        return None
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse((DOCS / f"{name}.md").read_text())
    for opening, content in pairwise(tokens):
        if opening.type == "heading_open":
            opening.attrSet("id", _slug("".join(part.content for part in content.children or ())))
    return _LINK.sub(rf'href="{GUIDES_URL}/\1\2"', markdown.renderer.render(tokens, markdown.options, {}))


def _slug(heading: str) -> str:
    """Return the anchor of a heading, as GitHub generates it."""
    return re.sub(r"[^\w-]", "", heading.lower().replace(" ", "-"))
