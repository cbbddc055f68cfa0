"""Checks that the files, functions, targets, commands, settings and links that pages name exist: `--check`.

Pages name code in backticks: a path or its last parts, `file.py: function`, a dotted name, an identifier with an
underscore or an inner capital. `make` and `keeper` lines are checked in blocks, too. Decision records are history:
only their links are checked.
"""

import builtins
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tools.code_names import Tree

ROOT = Path(__file__).parent.parent
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "docs/**/*.md",
    "contracts/README.md",
    "examples/**/README.md",
    "deploy/README.md",
)
# What programs write when they run, and what is installed.
MADE = re.compile(r"(\.venv|build|node_modules|contracts/out|keeper-data|\.env|deployment\.json|keeper\.key)\b")
# Names of other programs: environment variables, JSON-RPC methods.
FOREIGN = re.compile(r"^(SSL_CERT_FILE|ECC_SECG_P256K1|SIGN_VERIFY|eth_[a-zA-Z]+)$")

FENCE = re.compile(r"^( *)(```+)(\w*)[^\n]*\n(.*?)^\1\2 *$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+(?:\n[^`\n]+)?)`")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
SETTING = re.compile(r"\bKEEPER_[A-Z0-9_]*[A-Z0-9]\b")
COMMENT = re.compile(r"(^|\s)#.*")
MAKE = re.compile(r"^make ([a-z][a-z-]*)")
KEEPER = re.compile(r"^(?:\S*/)?keeper((?: +\S+)+)$")
MODULE = re.compile(r"\bpython -m ((?:keeper|tests|benchmarks|tools)[\w.]*)")
PAIR = re.compile(r"^([\w./-]+\.\w+)(?:::|: )([\w.]+)$")
PATH = re.compile(r"^[\w.*-]*[\w*](?:/[\w.*-]+)*/?$")
SUFFIXES = (".py", ".sol", ".md", ".mjs", ".yml", ".toml", ".json", ".sh", ".service", ".lock", ".js", ".html")
DOTTED = re.compile(r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)+$")
CALL = re.compile(r"^([A-Za-z_]\w*)\(")
CAPITALISED = re.compile(r"^[A-Z]+[a-z]\w*$")
CODE_LIKE = re.compile(r"^[A-Za-z]\w*(_|[a-z][A-Z])\w+$")


@dataclass(frozen=True, slots=True)
class Known:
    """What names may mean, outside the files: make targets, commands with their options, settings, event codes."""

    targets: frozenset[str] = frozenset()
    commands: Mapping[str, frozenset[str]] = field(default_factory=dict)
    settings: frozenset[str] = frozenset()
    events: frozenset[str] = frozenset()


@dataclass(slots=True)
class Checker:
    """Looks for what pages name and the tree does not hold."""

    tree: Tree
    known: Known

    def problems(self, page: str) -> list[str]:
        """`page:line: what is missing`, in the page's order."""
        text = self.tree.text(page)
        found = [*self._links(page, text)]
        if "/adr/" not in page:
            found += [*self._settings(text), *self._blocks(text), *self._spans(text)]
        return [f"{page}:{line}: {what}" for line, what in sorted(found)]

    def _links(self, page: str, text: str) -> Iterator[tuple[int, str]]:
        text = SPAN.sub(_blank, FENCE.sub(_blank, text))
        for match in LINK.finditer(text):
            if "://" in match[1] or match[1].startswith("mailto:"):
                continue
            target, _, anchor = match[1].partition("#")
            file = _relative(page, target) if target else page
            if file not in self.tree.files | self.tree.folders:
                yield _line(text, match.start()), f"no file {match[1]}"
            elif anchor and anchor not in anchors(self.tree.text(file)):
                yield _line(text, match.start()), f"no heading #{anchor} in {file}"

    def _settings(self, text: str) -> Iterator[tuple[int, str]]:
        for match in SETTING.finditer(text):
            name = match[0].removesuffix("_FILE")
            if not {match[0], name} & self.known.settings and name != "KEEPER_X":
                yield _line(text, match.start()), f"no setting {match[0]}"

    def _blocks(self, text: str) -> Iterator[tuple[int, str]]:
        """Commands in indented blocks, and in fenced ones that quote no other language."""
        lines = FENCE.sub(
            lambda found: _blank(found) if found[3] not in ("", "sh", "bash", "console") else found[0], text
        )
        fenced = False
        for number, line in enumerate(lines.splitlines(), 1):
            fenced ^= line.lstrip().startswith("```")
            if fenced or line.startswith("    "):
                command = COMMENT.sub("", line).strip().removeprefix("$ ")
                yield from ((number, problem) for problem in self._command(command))

    def _spans(self, text: str) -> Iterator[tuple[int, str]]:
        text = FENCE.sub(_blank, text)
        row, files = -1, list[str]()
        for match in SPAN.finditer(text):
            line = _line(text, match.start())
            if line != row:
                row, files = line, []
            yield from ((line, problem) for problem in self._span(" ".join(match[1].split()), files))

    def _span(self, span: str, files: list[str]) -> Iterator[str]:
        """Problems of one name in backticks; `files` are those that its line has named before."""
        if MADE.match(span) or FOREIGN.match(span) or span in self.known.events:
            return
        if call := CALL.match(span):
            yield from self._name(call[1], files)
        elif " " in span and not PAIR.match(span):
            yield from self._command(span)
        elif pair := PAIR.match(span):
            yield from self._pair(pair[1], pair[2], files)
        elif self._is_path(span):
            found = self.tree.find(span)
            files += found
            if not found:
                yield f"no file {span}"
        elif DOTTED.match(span):
            yield from self._dotted(span)
        else:
            yield from self._name(span, files)

    def _is_path(self, span: str) -> bool:
        if not PATH.match(span):
            return False
        first = span.split("/", maxsplit=1)[0]
        rooted = "/" in span and (span.endswith("/") or first in self.tree.folders)
        return rooted or span.endswith(SUFFIXES)

    def _pair(self, path: str, name: str, files: list[str]) -> Iterator[str]:
        found = self.tree.find(path)
        files += found
        if not found:
            yield f"no file {path}"
        elif not any(self.tree.defines(file, name) for file in found):
            yield f"no {name} in {' or '.join(found)}"

    def _dotted(self, name: str) -> Iterator[str]:
        head, _, rest = name.partition(".")
        if name in self.tree.defined or name in self.tree.literals:
            return
        if head in self.tree.folders:
            resolved = self.tree.module(name)
            if resolved is None or (resolved[1] and not self.tree.defines(*resolved)):
                yield f"no {name}: neither in the code nor a log event"
            return
        homes = [file for file in self.tree.files if Path(file).stem == head and file.endswith((".py", ".sol"))]
        if not any(self.tree.defines(file, rest) for file in homes) and not self._of_instance(head, rest):
            yield f"no {name}: neither in the code nor a log event"

    def _of_instance(self, head: str, rest: str) -> bool:
        """`writer.touch` stands for `Writer.touch`."""
        return f"{head.title().replace('_', '')}.{rest}" in self.tree.defined

    def _name(self, name: str, files: list[str]) -> Iterator[str]:
        here = [file for file in files if file.endswith(".py")]
        if name.startswith("_") and here:
            if not any(self.tree.defines(file, name) for file in here):
                yield f"no {name} in {' or '.join(here)}"
        elif name.startswith("test_"):
            if name not in self.tree.defined:
                yield f"no test {name}"
        elif CAPITALISED.match(name):
            known = self.tree.defined | self.tree.contract_words | self.tree.literals
            if name not in known and not hasattr(builtins, name) and not self.tree.find(name):
                yield f"no {name} in the code"
        elif CODE_LIKE.match(name) and not name.startswith(("_", "KEEPER_")) and name not in self.tree.words:
            yield f"no {name} in the code"

    def _command(self, line: str) -> Iterator[str]:
        if (make := MAKE.match(line)) and make[1] not in self.known.targets:
            yield f"no target: make {make[1]}"
        elif keeper := KEEPER.match(line):
            yield from self._keeper(keeper[1].split())
        if (module := MODULE.search(line)) and self.tree.module(module[1]) is None:
            yield f"no module {module[1]}"
        for word in re.split(r"[\s\"'=]+", line):
            if word.endswith((".py", ".sol", ".mjs")) and not self.tree.find(word) and not word.startswith("-"):
                yield f"no file {word}"

    def _keeper(self, words: list[str]) -> Iterator[str]:
        name = ""
        for word in words:
            longer = f"{name} {word}".strip()
            if word.startswith("-"):
                if word.partition("=")[0] not in self.known.commands.get(name, frozenset()):
                    yield f"no option: keeper {name} {word}"
            elif longer in self.known.commands:
                name = longer
            elif not name or f"{name} " in " ".join(f"{known} " for known in self.known.commands if known != name):
                yield f"no command: keeper {longer}"
                return


def anchors(text: str) -> set[str]:
    """The fragments that a page's headings can be linked by."""
    heads = re.findall(r"^#+ +(.+)$", FENCE.sub(_blank, text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


def _blank(match: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", match[0])


def _line(text: str, position: int) -> int:
    return text.count("\n", 0, position) + 1


def _relative(page: str, target: str) -> str:
    parts = list(Path(page).parent.parts)
    for part in target.rstrip("/").split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part != ".":
            parts.append(part)
    return "/".join(parts)


def known_names() -> Known:
    """The names of this checkout, from the Makefile, the command line, the settings and the event catalogue."""
    import typer

    from keeper.cli.main import app
    from keeper.model.events import EVENTS
    from keeper.settings import PREFIX, Settings

    options: dict[str, frozenset[str]] = {}
    _collect(typer.main.get_command(app), "", options)
    return Known(
        frozenset(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE)),
        options,
        frozenset(PREFIX + name.upper() for name in Settings.model_fields),
        frozenset(EVENTS),
    )


def _collect(command: object, name: str, into: dict[str, frozenset[str]]) -> None:
    parameters = getattr(command, "params", [])
    into[name] = frozenset(option for parameter in parameters for option in parameter.opts) | {"--help", "-h"}
    for child, below in getattr(command, "commands", {}).items():
        _collect(below, f"{name} {child}".strip(), into)


def main(read_known: Callable[[], Known] = known_names) -> int:
    checker = Checker(Tree(ROOT), read_known())
    pages = sorted({path.relative_to(ROOT).as_posix() for pattern in PAGES for path in ROOT.glob(pattern)})
    problems = [problem for page in pages for problem in checker.problems(page)]
    for problem in problems:
        print(problem)
    return int(bool(problems))


if __name__ == "__main__":
    sys.exit(main())
