"""The shape of keeper/: sizes of files and functions, numbers of parameters, names of classes. With --check, fails.

Without, also prints the largest of each.
"""

import ast
import sys
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parent.parent
PACKAGE = "keeper"
MEDIAN_LINES = 120
FILE_LINES = 350
FUNCTION_LINES = 50
PARAMETERS = 6
MORE_PARAMETERS = 3  # functions that may have more than that
_SHOWN = 5

Function = ast.FunctionDef | ast.AsyncFunctionDef


class Sources:
    """Python files by path, as text and as syntax trees. Empty files do not count."""

    def __init__(self, texts: dict[str, str]) -> None:
        self.lines = {path: len(text.splitlines()) for path, text in sorted(texts.items()) if text.strip()}
        self._trees = {path: ast.parse(texts[path]) for path in self.lines}

    @classmethod
    def below(cls, root: Path, package: str) -> "Sources":
        return cls({path.relative_to(root).as_posix(): path.read_text() for path in (root / package).rglob("*.py")})

    def functions(self) -> Iterator[tuple[str, Function]]:
        for path, tree in self._trees.items():
            yield from ((path, node) for node in ast.walk(tree) if isinstance(node, Function))

    def classes(self) -> dict[str, list[str]]:
        """Where each class name is defined, as path:line."""
        found = defaultdict(list)
        for path, tree in self._trees.items():
            for node in ast.walk(tree):
                if isinstance(node, ast.ClassDef):
                    found[node.name].append(f"{path}:{node.lineno}")
        return found


def length(function: Function) -> int:
    """Lines of a function, without its decorators."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def parameters(function: Function) -> int:
    """How many parameters a caller can give, `self` and `cls` aside."""
    found = function.args
    names = [one.arg for one in (*found.posonlyargs, *found.args, *found.kwonlyargs)]
    return len(names) - (names[:1] in (["self"], ["cls"]))


def is_command(path: str, function: Function) -> bool:
    """Whether its parameters are the options of a command."""
    decorators = [ast.unparse(decorator) for decorator in function.decorator_list]
    named = function.name == "command" or any(".command(" in decorator for decorator in decorators)
    return path.startswith(f"{PACKAGE}/cli/") and named


def files(sources: Sources) -> Iterator[str]:
    """Problems with the sizes of files."""
    middle = median(sources.lines.values())
    if middle > MEDIAN_LINES:
        yield f"{PACKAGE}: half of the files have more than {middle:g} lines, at most {MEDIAN_LINES} are wanted"
    for path, lines in sources.lines.items():
        if lines > FILE_LINES:
            yield f"{path}: {lines} lines, at most {FILE_LINES}"


def functions(sources: Sources) -> Iterator[str]:
    """Problems with functions: too long, or too many with too many parameters."""
    many = []
    for path, function in sources.functions():
        place = f"{path}:{function.lineno}: {function.name}"
        if length(function) > FUNCTION_LINES:
            yield f"{place} has {length(function)} lines, at most {FUNCTION_LINES}"
        if parameters(function) > PARAMETERS and not is_command(path, function):
            many.append(f"{place} has {parameters(function)} parameters")
    if len(many) > MORE_PARAMETERS:
        yield f"{len(many)} functions have more than {PARAMETERS} parameters, at most {MORE_PARAMETERS} may:"
        yield from (f"  {one}" for one in many)


def names(sources: Sources) -> Iterator[str]:
    """Problems with names: classes that share one."""
    for name, places in sorted(sources.classes().items()):
        if len(places) > 1:
            yield f"{len(places)} classes are named {name}: {', '.join(places)}"


def problems(sources: Sources) -> list[str]:
    return [*files(sources), *functions(sources), *names(sources)]


def summary(sources: Sources) -> Iterator[str]:
    """The median file, and the largest of everything."""
    yield f"{len(sources.lines)} files, median {median(sources.lines.values()):g} lines"
    largest = sorted(((lines, path) for path, lines in sources.lines.items()), reverse=True)[:_SHOWN]
    yield from (f"  {lines:4} lines  {path}" for lines, path in largest)
    found = [(f"{path}:{function.lineno}: {function.name}", function) for path, function in sources.functions()]
    for what, measure in (("lines", length), ("parameters", parameters)):
        rows = sorted(((measure(function), place) for place, function in found), reverse=True)[:_SHOWN]
        yield from (f"  {value:4} {what}  {place}" for value, place in rows)


def main(arguments: list[str]) -> int:
    sources = Sources.below(ROOT, PACKAGE)
    if "--check" not in arguments:
        print("\n".join(summary(sources)))
    found = problems(sources)
    for problem in found:
        print(problem, file=sys.stderr)
    return int(bool(found) and "--check" in arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
