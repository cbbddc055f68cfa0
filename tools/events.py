"""Writes docs/events.md from keeper/model/events.py; with --check, fails when the page differs."""

import re
import sys
from pathlib import Path

from keeper.model.events import EVENTS, EventKind, Level

PAGE = Path(__file__).parent.parent / "docs" / "events.md"
OPERATIONS = PAGE.with_name("operations.md")

HEAD = """# Log events

Made from `keeper/model/events.py` by `tools/events.py`: edit that file, then run `python tools/events.py`.

Each line of the JSON log (`KEEPER_LOG_JSON`) is one event:
`{"ts", "level", "event", "block", "message", ...}`, followed by the fields below. `ts` is ISO 8601 in UTC, `block` the
number of the block that it is about, or null. Integers that may exceed 2^53 (wei, wad, token units) are decimal
strings; addresses are checksummed. Codes never change their meaning; fields are only ever added.

Events at `KEEPER_ALERT_LEVEL` (error by default) and above go to the webhooks of `KEEPER_ALERT_URLS`.
"""


def section(kind: EventKind) -> str:
    """One event's part of the page."""
    fields = ", ".join(f"`{name}`" for name in kind.fields) or "none"
    return (
        f"## `{kind.code}`\n\n{kind.meaning}\n\n"
        f"- Level: {kind.level}\n- Fields: {fields}\n- What to do: {kind.action}\n"
    )


def page() -> str:
    """The whole page."""
    rows = "\n".join(
        f"| [`{kind.code}`](#{kind.code.replace('.', '')}) | {kind.level} | {kind.meaning} |"
        for kind in EVENTS.values()
    )
    table = f"| event | level | meaning |\n|---|---|---|\n{rows}\n"
    return "\n".join([HEAD, table, *(section(kind) for kind in EVENTS.values())])


def unexplained(text: str) -> list[str]:
    """Critical and error events without a section in the page for operators, and sections without such an event."""
    wanted = {kind.code for kind in EVENTS.values() if kind.level in (Level.CRITICAL, Level.ERROR)}
    found = set(re.findall(r"^### `(.+)`$", text, re.MULTILINE))
    return sorted(wanted ^ found)


def main(arguments: list[str]) -> int:
    if "--check" in arguments:
        if missing := unexplained(OPERATIONS.read_text()):
            print(f"{OPERATIONS.name} has no section for {', '.join(missing)}", file=sys.stderr)
            return 1
        if PAGE.is_file() and PAGE.read_text() == page():
            return 0
        print(f"{PAGE.name} differs from keeper/model/events.py: run `python tools/events.py`", file=sys.stderr)
        return 1
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
