"""Looks for words that a reader has to think about, in messages, help, docstrings and pages: `--check`.

In Python all docstrings of the keeper, and all strings with a space in them: what is one word is a name, not a text. In
pages everything but code. Comments are not looked at.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from tools.code_names import Tree

ROOT = Path(__file__).parent.parent
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "docs/*.md",
    "contracts/README.md",
    "examples/**/README.md",
    "deploy/README.md",
)
GENERATED = {"docs/events.md"}  # its source is looked at

# "All of it" is plain; "what became of it" is not.
PARTS = ("all", "half", "most", "some", "any", "part", "much", "share", "left", "enough", "rest", "none", "units")
OF_IT = "".join(rf"(?<!\b{part} )" for part in PARTS) + r"\bof it\b"
# What not to say: what to say instead. The longer phrases come first: what they cover is not reported again.
WORDS = {
    r"nonce \S+ waits at|may not offer more": "tx stuck: nonce N at its fee cap of N gwei",
    r"pushes no (new )?heads|no heads any more": "newHeads subscription ended",
    r"nothing was done for|: it stands in": "event loop blocked for N s in ...",
    r"\b(this|that|another|the other) keeper leads\b|\bleads, by lease": "became leader (lease N)",
    r"\bbottomless\b": "unlimited funds are assumed",
    r"\b(do|does|did) not tell\b": "state rebuilt from logs does not match the contract",
    r"\bbeg[aiu]ns? anew\b": "recreated",
    r"\banew\b": "again",
    r"\b(is|are|was|were|be|been) left out\b": "skipped",
    r"\bmend(s|ed|ing)?\b": "fix",
    r"(\b(is|are|was|were|be|been) )?\btold\b(?! apart)": "logged, reported",
    r"\bpurses?\b": "balance",
    r"\bwho(m)?ever\b": "name the person or the part",
    r"\bof it for nothing\b": "say what is lost",
    OF_IT: "name the thing",
    r"\blet alone\b": "say it in two sentences",
}
FOUND = [(re.compile(pattern, re.IGNORECASE), instead) for pattern, instead in WORDS.items()]
CODE = re.compile(r"^( *)(```+)[^\n]*\n.*?^\1\2 *$|`[^`\n]+(?:\n[^`\n]+)?`|^    [^\n]*$", re.MULTILINE | re.DOTALL)


def in_text(text: str) -> Iterator[tuple[int, str, str]]:
    """Line (from 0), words and what to say instead, of one text. Words may be parted by a line's end."""
    flat = text.replace("\n", " ")
    taken: list[range] = []
    for pattern, instead in FOUND:
        for match in pattern.finditer(flat):
            if not any(match.start() in span for span in taken):
                taken.append(range(match.start(), match.end()))
                yield text.count("\n", 0, match.start()), match[0], instead


def in_python(source: str) -> Iterator[tuple[int, str, str]]:
    """The same for the texts in Python code, lines from 1."""
    for line, text in texts(source):
        yield from ((line + offset, words, instead) for offset, words, instead in in_text(text))


def texts(source: str) -> Iterator[tuple[int, str]]:
    """Docstrings and strings with a space in them, with their lines; what f-strings put in is `{}`."""
    tree = ast.parse(source)
    parts = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            pieces = (str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
            text = "".join(pieces)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in parts:
            text = node.value
        else:
            continue
        if " " in text:
            yield node.lineno, text


def in_page(text: str) -> Iterator[tuple[int, str, str]]:
    """The same for a page, without its code."""
    prose = CODE.sub(lambda code: re.sub(r"[^\n]", "\0", code[0]), text)
    yield from ((line + 1, words, instead) for line, words, instead in in_text(prose))


def problems(tree: Tree) -> list[str]:
    """`file:line: words: what to say instead`, of everything that people read."""
    pages = {path.relative_to(ROOT).as_posix() for pattern in PAGES for path in ROOT.glob(pattern)} - GENERATED
    sources = {file for file in tree.files if file.startswith("keeper/") and file.endswith(".py")}
    return [
        f"{file}:{line}: {words}: {instead}"
        for file in sorted(pages | sources)
        for line, words, instead in sorted((in_python if file in sources else in_page)(tree.text(file)))
    ]


def main() -> int:
    found = problems(Tree(ROOT))
    for problem in found:
        print(problem)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
