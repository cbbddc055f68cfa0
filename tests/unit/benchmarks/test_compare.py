"""The comparison of two revisions, with programs that only pretend to measure."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from benchmarks import compare
from benchmarks.trees import demo_figures

ROOT = Path(__file__).parents[3]
# As the benchmarks of earlier revisions: all figures, into build/bench.json, names with counts in them.
OLD = """
import json, sys
from pathlib import Path
accounts = int(sys.argv[1])
path = Path("build/bench.json")
path.parent.mkdir(exist_ok=True)
figures = [("head to wire, 37 blocks of a crash, median", 10.0), ("transactions signed", 100.0)]
path.write_text(json.dumps({"figures": [{"name": name, "value": value, "unit": "ms"} for name, value in figures]}))
sys.exit(1)
"""
NEW = """
import argparse, json
from pathlib import Path
parser = argparse.ArgumentParser()
parser.add_argument("accounts", type=int)
parser.add_argument("--figures")
parser.add_argument("--out", type=Path, default=Path("build/bench.json"))
given = parser.parse_args()
given.out.parent.mkdir(exist_ok=True)
value = 5.0 if given.figures else 8.0
figures = [{"name": "head to wire, median", "value": value, "unit": "ms"},
           {"name": "transactions signed", "value": 300.0, "unit": "1/s"}]
given.out.write_text(json.dumps({"figures": figures}))
"""
DEMO = """
import json, sys
assert sys.argv[1:3] == ["demo", "--json"]
print(json.dumps({"bad_debt_usd": 25.0, "bad_debt_without_keeper_usd": 100.0, "gas_wei": 7, "profit_usd": -3.5}))
sys.exit(5)
"""
BROKEN = "import sys; sys.stderr.write('one\\ntwo\\n'); sys.exit(3)"
HANGING = "import time; from pathlib import Path; Path('started').touch(); time.sleep(60)"
AUTHOR = ("-c", "user.name=a", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false")


def git(folder: Path, *arguments: str) -> str:
    ran = subprocess.run(["git", *AUTHOR, *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return ran.stdout


def write(root: Path, benchmarks: str, demo: str = DEMO) -> None:
    for name, text in {
        "benchmarks/__main__.py": benchmarks,
        "keeper/__main__.py": demo,
        ".gitignore": "build/\n",
    }.items():
        path = root / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
        path.with_name("__init__.py").touch()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository whose `old` commit has the old program and whose working tree has the new one."""
    git(tmp_path, "init", "-q")
    write(tmp_path, OLD)
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "old")
    git(tmp_path, "tag", "old")
    write(tmp_path, NEW)
    return tmp_path


def left_over(root: Path) -> int:
    return len(git(root, "worktree", "list").splitlines()) - 1


def test_figures_of_both_revisions_are_compared(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare.main(["--rev", "old", "--runs", "2", "--figures", "head to wire", "--json"], root) == 0
    said = capsys.readouterr()
    [figure] = json.loads(said.out)["figures"]
    # The old one cannot choose, so the new one measured everything, too.
    assert figure == {
        "name": "head to wire, median", "unit": "ms", "old": 10.0, "new": 8.0,
        "ratio": 0.8, "low": 0.8, "high": 0.8, "runs": 2,
    }  # fmt: skip
    assert [line.split(":")[0] for line in said.err.splitlines()[:4]] == [
        "run 1 of 2, the working tree",
        "run 1 of 2, revision old",
        "run 2 of 2, the working tree",
        "run 2 of 2, revision old",
    ]
    assert left_over(root) == 0


def test_where_both_can_choose_only_what_is_wanted_is_measured(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    git(root, "commit", "-qam", "new")
    assert compare.main(["--rev", "HEAD", "--runs", "1", "--figures", "head to wire", "--json"], root) == 0
    [figure] = json.loads(capsys.readouterr().out)["figures"]
    assert (figure["old"], figure["new"]) == (5.0, 5.0)


def test_demos_are_compared_in_a_table(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare.main(["--rev", "old", "--runs", "2", "--figures", "demo .*(prevented|profit)"], root) == 0
    said = capsys.readouterr().out
    assert "demo margin_engine, seed 1: bad debt prevented" in said
    assert "0.75" in said
    assert "gas" not in said


def test_an_unknown_revision_is_one_line(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert compare.main(["--rev", "ghost", "--json"], root) == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "bench-compare: REV=ghost: git knows no such commit\n")


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ([], "--rev"),
        (["--rev", ""], "REV is empty"),
        (["--rev", "old", "--runs", "0"], "at least 1"),
        (["--rev", "old", "--figures", "("], "not a regular expression"),
        (["--rev", "old", "--figures", "ghost"], "no figure is named like 'ghost'"),
    ],
)
def test_wrong_input_is_one_line(arguments: list[str], problem: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        compare.main(arguments)
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert problem in said
    assert said.count("\n") == 1


def test_a_run_that_fails_names_its_tree_and_what_it_wrote(root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(root, BROKEN)
    assert compare.main(["--rev", "old", "--figures", "head to wire", "--json"], root) == 1
    said = capsys.readouterr()
    assert said.out == ""
    assert "the working tree: `python -m benchmarks 50000` failed with exit code 3:\none\ntwo\n" in said.err
    assert left_over(root) == 0


def test_interrupted_it_ends_with_130_and_takes_its_checkout_away(root: Path) -> None:
    write(root, NEW, HANGING)
    command = ["--rev", "old", "--figures", "demo"]
    program = f"import sys, pathlib; from benchmarks.compare import main; sys.exit(main({command}, pathlib.{root!r}))"
    with subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        while not (root / "started").exists():
            assert process.poll() is None
            time.sleep(0.01)
        assert left_over(root) == 1
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130
    assert said.endswith("bench-compare: interrupted\n")
    assert left_over(root) == 0


def test_without_bad_debt_there_is_no_share_of_it() -> None:
    document = {"bad_debt_usd": 0, "bad_debt_without_keeper_usd": 0, "gas_wei": 5, "profit_usd": 1}
    assert [one.name for one in demo_figures(document, 2.0, "curie", 3)] == [
        "demo curie, seed 3: wall time",
        "demo curie, seed 3: gas",
        "demo curie, seed 3: profit",
    ]
