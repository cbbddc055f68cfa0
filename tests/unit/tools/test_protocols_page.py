"""What `docs/protocols.md` says that the keeper says, it says."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "protocols.md").read_text()
FOLDERS = (ROOT / "keeper" / "protocols", ROOT / "keeper" / "defi")
SOURCES = "\n".join(path.read_text() for folder in FOLDERS for path in sorted(folder.rglob("*.py")))
REFUSAL = re.compile(r"^\|[^|]+\| `(?:unsupported|hold|unpriced)` \|([^|]+)\|$", re.MULTILINE)


def test_every_refusal_on_the_page_is_in_the_code() -> None:
    messages = [message for cell in REFUSAL.findall(PAGE) for message in re.findall(r"`([^`]+)`", cell)]
    fragments = [part.strip() for message in messages for part in message.split("...") if len(part.strip()) > 3]
    assert len(fragments) > 15
    assert [fragment for fragment in fragments if fragment not in SOURCES] == []
