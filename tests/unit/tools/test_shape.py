"""Each rule of the tree's shape can fail, and says where."""

import pytest

from tools.shape import Sources, problems

SHORT = '"""A page."""\n\n\nclass Page:\n    def turn(self) -> None: ...\n'


def lines(count: int) -> str:
    return "LINE = 1\n" * count


def function(name: str, count: int = 2, parameters: int = 0, decorator: str = "") -> str:
    names = ", ".join(f"p{number}" for number in range(parameters))
    head = f"{decorator}\n" if decorator else ""
    return f"{head}def {name}({names}):\n" + "    pass\n" * (count - 1)


def found(**texts: str) -> list[str]:
    """Problems of files of keeper/, whose names are given with `__` for `/`."""
    return problems(Sources({f"keeper/{name.replace('__', '/')}.py": text for name, text in texts.items()}))


def test_what_is_within_all_limits_is_no_problem() -> None:
    wide = {f"wide{number}": function("f", parameters=7) for number in range(3)}
    assert found(a=SHORT, b=function("f", 50, 6), c=lines(350), d="", **wide) == []


def test_a_long_file_is_named() -> None:
    assert found(a=SHORT, b=lines(351), c=SHORT.replace("Page", "Sheet")) == ["keeper/b.py: 351 lines, at most 350"]


def test_the_median_counts_files_with_something_in_them() -> None:
    [problem] = found(a=lines(121), b=lines(121), c=SHORT, d=lines(121), e="", f="\n", g="")
    assert "more than 121 lines" in problem


def test_a_long_function_is_named_with_its_line() -> None:
    assert found(a=lines(2) + function("f", 51)) == ["keeper/a.py:3: f has 51 lines, at most 50"]


def test_a_fourth_function_with_seven_parameters_is_one_too_many() -> None:
    wide = {name: function("f", parameters=7) for name in "abcd"}
    first, *places = found(**wide)
    assert first.startswith("4 functions have more than 6 parameters")
    assert places == [f"  keeper/{name}.py:1: f has 7 parameters" for name in "abcd"]


@pytest.mark.parametrize("first", ["self", "cls"])
def test_self_and_cls_are_no_parameters_and_keywords_are(first: str) -> None:
    source = f"class A:\n    def f({first}, a, b, c, /, d, *, e, f{{}}): ...\n"
    assert found(**{name: source.format("").replace("A", name) for name in "wxyz"}) == []
    assert len(found(**{name: source.format(", g").replace("A", name) for name in "wxyz"})) == 5


def test_options_of_a_command_do_not_count_and_other_functions_of_the_command_line_do() -> None:
    commands = {f"cli__{name}": function("command", parameters=9) for name in "abcd"}
    assert found(**commands) == []
    assert found(cli__e=function("go", parameters=9, decorator="@app.command(epilog=X)"), **commands) == []
    assert len(found(**{f"cli__{name}": function("go", parameters=9) for name in "abcd"})) == 5
    assert len(found(**{name: function("command", parameters=9) for name in "abcd"})) == 5


def test_classes_that_share_a_name_are_named_with_their_places() -> None:
    assert found(a="class A: ...\n", b="def f():\n    class A: ...\n") == [
        "2 classes are named A: keeper/a.py:1, keeper/b.py:2"
    ]
