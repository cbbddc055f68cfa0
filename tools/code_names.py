"""What the tree holds: its files, what each defines, and every word of its code. For tools that check pages."""

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from functools import cache, cached_property
from pathlib import Path

SKIPPED = {"node_modules", "build", "dist", "out", "cache", "__pycache__", "keeper-data"}
# Folders whose words count: code that a page may name without saying where it is.
WORDED = ("keeper", "examples", "contracts", "abis")
WORD = re.compile(r"[A-Za-z_]\w*")
SOLIDITY_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)


class Tree:
    """The files below a folder, without what is built or installed there."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.files = frozenset(path.relative_to(root).as_posix() for path in _files(root))
        parents = {parent.as_posix() for name in self.files for parent in Path(name).parents}
        self.folders = frozenset(parents - {"."})

    def text(self, file: str) -> str:
        return (self._root / file).read_text()

    def find(self, path: str) -> list[str]:
        """Files and folders that a path means: whole or its last parts; `...` stands for any letters."""
        wanted = path.removeprefix("./").rstrip("/").replace("...", "*")
        return [
            name
            for name in sorted(self.files | self.folders)
            if fnmatchcase(name, wanted) or fnmatchcase(name, f"*/{wanted}")
        ]

    def module(self, dotted: str) -> tuple[str, str] | None:
        """The file of the longest importable beginning of a dotted name, and what follows it."""
        parts = dotted.split(".")
        for length in range(len(parts), 0, -1):
            base = "/".join(parts[:length])
            for file in (f"{base}.py", f"{base}/__init__.py"):
                if file in self.files:
                    return file, ".".join(parts[length:])
        return None

    def defines(self, file: str, name: str) -> bool:
        """Does a file define this function, class, constant or `Class.method`? A package also what it hands on."""
        text = self.text(file)
        if file.endswith(".py"):
            return name in definitions(text) or (file.endswith("__init__.py") and name in _imported(text))
        code = SOLIDITY_COMMENT.sub("", text) if file.endswith(".sol") else text
        return name in WORD.findall(code)

    @cached_property
    def defined(self) -> frozenset[str]:
        """Every name that some Python file defines, bare and as `Class.method`."""
        return frozenset(name for file in self._ending(".py") for name in definitions(self.text(file)))

    @cached_property
    def contract_words(self) -> frozenset[str]:
        """Every word of contracts and their ABIs."""
        files = [file for file in self._ending(".sol", ".json") if file.startswith(WORDED)]
        return frozenset(word for file in files for word in WORD.findall(SOLIDITY_COMMENT.sub("", self.text(file))))

    @cached_property
    def literals(self) -> frozenset[str]:
        """Every whole string constant of the code."""
        return frozenset(text for file in self._sources() for text in strings(self.text(file)))

    @cached_property
    def words(self) -> frozenset[str]:
        """Every identifier of the code, and every word of its string constants."""
        used = {word for file in self._sources() for word in identifiers(self.text(file))}
        said = {word for text in self.literals for word in WORD.findall(text)}
        return self.defined | self.contract_words | used | said

    def _ending(self, *suffixes: str) -> list[str]:
        return [file for file in sorted(self.files) if file.endswith(suffixes)]

    def _sources(self) -> list[str]:
        return [file for file in self._ending(".py") if file.startswith(WORDED)]


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.is_symlink() or path.name in SKIPPED or path.name in (".git", ".venv"):
            continue
        if path.is_dir():
            if not (path.name.startswith(".") and path.name != ".ci"):
                yield from _files(path)
        else:
            yield path


@cache
def definitions(source: str) -> frozenset[str]:
    """What Python code defines: bare names, and those of classes also as `Class.name`."""
    return frozenset(_definitions(ast.parse(source).body, ""))


def _definitions(body: list[ast.stmt], owner: str) -> Iterator[str]:
    for node in body:
        for name in _bound(node):
            yield name
            if owner:
                yield f"{owner}.{name}"
        if isinstance(node, ast.ClassDef):
            yield from _definitions(node.body, node.name)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _definitions(node.body, "")
        elif isinstance(node, ast.If | ast.With | ast.Try):
            yield from _definitions(node.body, owner)


def _bound(node: ast.stmt) -> list[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Assign(targets=targets):
            return [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
    return []


def _imported(source: str) -> set[str]:
    lines = (node for node in ast.parse(source).body if isinstance(node, ast.ImportFrom))
    return {alias.asname or alias.name for line in lines for alias in line.names}


def identifiers(source: str) -> Iterator[str]:
    """Every identifier that Python code uses."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name) | ast.keyword(arg=str(name)):
                yield name


def strings(source: str) -> Iterator[str]:
    """String constants that are not docstrings."""
    tree = ast.parse(source)
    prose = {id(statement.value) for statement in ast.walk(tree) if isinstance(statement, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in prose:
            yield node.value
