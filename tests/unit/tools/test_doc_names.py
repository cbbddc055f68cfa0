"""A page that names what does not exist is found out, by line and name."""

from pathlib import Path

import pytest

from tools.code_names import Tree, definitions
from tools.doc_names import Checker, Known, anchors

FILES = {
    "keeper/execute/wire.py": '''
"""Speaks of Ghost and of ghost_name."""
LIMIT = 5

class Wire:
    timeout_s: float = 1.0

    def record(self, spent_wei: int) -> str:
        self._note()
        return "journal.committed"

    def _note(self) -> None: ...
''',
    "keeper/defi/__init__.py": "from keeper.defi.exits import best_sale\n",
    "keeper/defi/exits.py": "def best_sale() -> None: ...\n",
    "tests/faults/test_f01_reply_lost.py": "def test_the_nonce_is_kept() -> None: ...\n",
    "contracts/src/Engine.sol": "contract Engine { error BadSize(); // Ghost\n}",
    "docs/words.md": "# Words\n\n## Two `words`, more\n",
}
KNOWN = Known(
    targets=frozenset({"check", "parity"}),
    commands={
        "": frozenset({"--help"}),
        "run": frozenset({"--live"}),
        "executor": frozenset(),
        "executor show": frozenset(),
    },
    settings=frozenset({"KEEPER_LIVE", "KEEPER_PRIVATE_KEY"}),
    events=frozenset({"tx.sent"}),
)


def problems(tmp_path: Path, text: str, page: str = "docs/page.md") -> list[str]:
    for name, content in {**FILES, page: text}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return Checker(Tree(tmp_path), KNOWN).problems(page)


RIGHT = [
    "`keeper/execute/wire.py`, `execute/wire.py`, `wire.py`, `execute/`, `tests/faults`, `test_f01_...py`",
    "`wire.py: Wire.record`, `execute/wire.py::record`, `wire.py: LIMIT`, `wire.py`: `_note`",
    "`keeper.defi.exits`, `keeper.defi.best_sale`, `keeper.execute.wire.Wire.record`, `exits.best_sale`",
    "`wire.timeout_s`, `wire.LIMIT`",
    "`tx.sent`, `journal.committed`, `Wire`, `BadSize`, `BadSize()`, `spent_wei`, `OverflowError`, `_wei`, `eth_call`",
    "`test_the_nonce_is_kept`",
    "`make parity`, `make check N=1`, `keeper run --live`, `.venv/bin/keeper executor\nshow`, `keeper --help`",
    "KEEPER_LIVE and `KEEPER_PRIVATE_KEY_FILE`, `KEEPER_X_FILE`",
    "[words](words.md), [two](words.md#two-words-more), [folder](../keeper), [far](https://example.org/a)",
    "`build/bench.json`, `.venv/bin/x`, `deployment.json`, `/healthz`",
    "    make check    # then keeper walk\n",
    "```python\nmake_ghost()  # `Ghost`\n```\n",
]


@pytest.mark.parametrize("text", RIGHT)
def test_what_exists_is_accepted(tmp_path: Path, text: str) -> None:
    assert problems(tmp_path, text) == []


WRONG = {
    "`keeper/execute/cable.py`": "no file keeper/execute/cable.py",
    "`execute/cable.py`": "no file execute/cable.py",
    "`test_f02_...py`": "no file test_f02_...py",
    "`keeper/cables/`": "no file keeper/cables/",
    "`python tools/x.py`": "no file tools/x.py",
    "`python -m keeper.walk`": "no module keeper.walk",
    "`wire.py: Wire.burn`": "no Wire.burn in keeper/execute/wire.py",
    "`wire.py::burn`": "no burn in keeper/execute/wire.py",
    "`cable.py: burn`": "no file cable.py",
    "`wire.py: record` and `_burn`": "no _burn in keeper/execute/wire.py",
    "`keeper.defi.entries`": "no keeper.defi.entries: neither in the code nor a log event",
    "`keeper.defi.exits.worst_sale`": "no keeper.defi.exits.worst_sale: neither in the code nor a log event",
    "`exits.worst_sale`": "no exits.worst_sale: neither in the code nor a log event",
    "`tx.lost`": "no tx.lost: neither in the code nor a log event",
    "`Ghost`": "no Ghost in the code",
    "`Ghost(a, b)`": "no Ghost in the code",
    "`ghost_name`": "no ghost_name in the code",
    "`test_nothing_is_kept`": "no test test_nothing_is_kept",
    "`make burn`": "no target: make burn",
    "    make burn\n": "no target: make burn",
    "```\nmake burn\n```\n": "no target: make burn",
    "`keeper walk`": "no command: keeper walk",
    "`keeper executor burn`": "no command: keeper executor burn",
    "`keeper run --fast`": "no option: keeper run --fast",
    "KEEPER_FAST": "no setting KEEPER_FAST",
    "[words](other.md)": "no file other.md",
    "[words](words.md#three)": "no heading #three in docs/words.md",
}


@pytest.mark.parametrize("text", WRONG)
def test_each_kind_of_mistake_is_found(tmp_path: Path, text: str) -> None:
    line = 3 + text.startswith("```")
    assert f"docs/page.md:{line}: {WRONG[text]}" in problems(tmp_path, f"# Page\n\n{text}")


def test_decision_records_are_checked_for_links_only(tmp_path: Path) -> None:
    text = "`Ghost`, `make burn`, KEEPER_FAST, [gone](gone.md)"
    assert problems(tmp_path, text, "docs/adr/001-a.md") == ["docs/adr/001-a.md:1: no file gone.md"]


def test_a_name_that_a_file_only_imports_is_not_defined_there() -> None:
    assert definitions("from a import b\ndef c(): ...") == {"c"}


def test_headings_link_as_the_forge_makes_them() -> None:
    assert anchors("# Run it on a fork\n```\n# no\n```\n### `tx.sent`\n") == {"run-it-on-a-fork", "txsent"}
