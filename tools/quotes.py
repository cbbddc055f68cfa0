"""Writes the code that pages quote from where it lives; with --check, fails when a page says something else.

A quote is a comment and the fenced block after it: `<!-- quote: PATH NAME NAME -->`. In Python files a name is a
definition, a method (`Class.method`) or an assigned name; elsewhere it is how a paragraph begins.
"""

import ast
import re
import sys
import textwrap
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "examples").rglob("*.md")), ROOT / "README.md"]
QUOTE = re.compile(r"(<!-- quote: (\S+) (.+?) -->\n\n```(\w*)\n)(.*?)(```\n)", re.DOTALL)


def definition(source: str, name: str) -> str:
    """The lines of one definition. Raises KeyError when there is none."""
    body = ast.parse(source).body
    *outer, last = name.split(".")
    for part in outer:
        body = next(node.body for node in body if isinstance(node, ast.ClassDef) and node.name == part)
    for node in body:
        if last in _names(node):
            first = min([node.lineno, *(mark.lineno for mark in getattr(node, "decorator_list", []))])
            return textwrap.dedent("\n".join(source.splitlines()[first - 1 : node.end_lineno]))
    raise KeyError(name)


def _names(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.Assign):
        return [name.id for target in node.targets for name in ast.walk(target) if isinstance(name, ast.Name)]
    return [str(getattr(node, "name", ""))]


def paragraph(source: str, beginning: str) -> str:
    """From the line that begins so to the next empty one. Raises KeyError when there is none."""
    lines = source.splitlines()
    for index, line in enumerate(lines):
        if line.strip().startswith(beginning):
            end = next((at for at in range(index, len(lines)) if not lines[at].strip()), len(lines))
            return textwrap.dedent("\n".join(lines[index:end]))
    raise KeyError(beginning)


def quoted(path: str, names: str) -> str:
    """What the block of one quote holds."""
    source = (ROOT / path).read_text()
    if not path.endswith(".py"):
        return paragraph(source, names) + "\n"
    parts = [definition(source, name) for name in names.split()]
    text = parts[0]
    for before, after in pairwise(parts):
        text += ("\n\n\n" if _is_block(before) or _is_block(after) else "\n") + after
    return text + "\n"


def _is_block(part: str) -> bool:
    return part.startswith(("def ", "class ", "@", "async def "))


def render(page: str) -> str:
    return QUOTE.sub(lambda found: found[1] + quoted(found[2], found[3]) + found[6], page)


def main() -> int:
    stale = []
    for path in PAGES:
        text = path.read_text()
        if (wanted := render(text)) == text:
            continue
        stale.append(str(path.relative_to(ROOT)))
        if "--check" not in sys.argv:
            path.write_text(wanted)
    if stale and "--check" in sys.argv:
        print(f"what is quoted has changed: {', '.join(stale)}; run `make abis`")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
