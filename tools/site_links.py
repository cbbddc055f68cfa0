"""A hook of mkdocs: links from docs/ to files elsewhere in the repository become text, for the site does not have them.

A link to a file that does not exist stays as it is, and `mkdocs build --strict` fails on it.
"""

import re
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
LINK = re.compile(r"\[([^\]]+)\]\(([^)\s#:]+)(?:#[^)\s]*)?\)")


def unlinked(markdown: str, folder: Path) -> str:
    """The text of a page in `folder` without links to existing files outside of docs/."""

    def text_or_link(link: re.Match[str]) -> str:
        target = (folder / link[2]).resolve()
        outside = not target.is_relative_to(DOCS) and target.is_relative_to(ROOT)
        return link[1] if outside and target.exists() else link[0]

    return LINK.sub(text_or_link, markdown)


def on_page_markdown(markdown: str, *, page: Any, **_: object) -> str:
    """Called by mkdocs for each page."""
    return unlinked(markdown, Path(page.file.abs_src_path).parent)
