"""Words that a reader has to think about are found in texts, and nowhere else."""

import pytest

from tools.code_names import Tree
from tools.plain_words import FOUND, ROOT, in_page, in_python, in_text, problems


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("nonce 5 waits at 3.0 gwei", "nonce 5 waits at"),
        ("it may not offer more", "may not offer more"),
        ("block 7 is left out", "is left out"),
        ("node 1 pushes no heads any more", "pushes no heads"),
        ("nothing was done for 5 s", "nothing was done for"),
        ("blocked: it stands in a.py:5", ": it stands in"),
        ("this keeper leads, by lease 3", "this keeper leads"),
        ("funds are taken for bottomless", "bottomless"),
        ("the logs do not tell what there is", "do not tell"),
        ("it is begun anew", "begun anew"),
        ("asked anew then", "anew"),
        ("mend the database", "mend"),
        ("the operator is told", "is told"),
        ("what it told", "told"),
        ("fill the purse", "purse"),
        ("Whoever comes first", "Whoever"),
        ("gas of it for nothing", "of it for nothing"),
        ("what became of it", "of it"),
        ("let alone a block", "let alone"),
    ],
)
def test_each_of_the_words_is_found_once(text: str, words: str) -> None:
    assert [found for _, found, _ in in_text(text)] == [words]


def test_each_has_something_to_say_instead() -> None:
    assert all(instead for _, instead in FOUND)


@pytest.mark.parametrize("text", ["all of it is read again", "versions told apart by revision", "what is recommended"])
def test_plain_english_is_left_alone(text: str) -> None:
    assert list(in_text(text)) == []


def test_texts_in_code_are_searched_with_their_lines() -> None:
    source = '''"""Mends nothing,
and is told nothing."""

PURSE = {"purse": purse}  # the purse

def emit(nonce: int) -> None:
    say(f"nonce {nonce} waits at "
        f"{nonce} gwei", help="Asked anew.")
'''
    assert [(line, words) for line, words, _ in in_python(source)] == [
        (1, "Mends"),
        (2, "is told"),
        (7, "nonce {} waits at"),
        (8, "anew"),
    ]


def test_pages_are_searched_but_for_their_code() -> None:
    page = "# Page\n\nThe `purse` is begun\nanew.\n\n```python\npurse = anew\n```\n\n    purse\n\nTold.\n"
    assert [(line, words) for line, words, _ in in_page(page)] == [(3, "begun anew"), (12, "Told")]


def test_the_whole_tree_can_be_searched() -> None:
    assert all(problem.count(":") >= 3 for problem in problems(Tree(ROOT)))
