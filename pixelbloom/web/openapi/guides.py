"""The pages of docs/, where the server runs from a checkout. An installed wheel does not have them."""

import re
from pathlib import Path

from markdown_it import MarkdownIt

import pixelbloom

FOLDER = Path(pixelbloom.__file__).parents[1] / "docs"
GUIDES_URL = "/api/docs/guides"
_NAME = re.compile(r"[a-z][a-z-]{0,40}")
_HEADING = re.compile(r"<h([1-4])>(?=(.*?)</h\1>)")
_LINK = re.compile(r'href="([a-z-]+)\.md(#[^"]*)?"')


def names() -> list[str]:
    """The guides that there are."""
    return sorted(path.stem for path in FOLDER.glob("*.md") if _NAME.fullmatch(path.stem))


def links() -> str:
    """Links to all, in Markdown."""
    return ", ".join(f"[{name.replace('-', ' ')}]({GUIDES_URL}/{name})" for name in names()) or "docs/ of the sources"


def html(name: str) -> str | None:
    """A guide as HTML, without scripts or styles of its own; None where there is none of that name."""
    if name not in names():
        return None
    text = MarkdownIt("commonmark", {"html": False}).enable("table").render((FOLDER / f"{name}.md").read_text())
    text = _HEADING.sub(lambda found: f'<h{found[1]} id="{_slug(found[2])}">', text)
    return _LINK.sub(rf'href="{GUIDES_URL}/\1\2"', text)


def _slug(heading: str) -> str:
    """The name of a heading in links, as forges make it."""
    return re.sub(r"[^\w-]", "", re.sub(r"<[^>]*>", "", heading).lower().replace(" ", "-"))
