"""The program's help, version, exit codes, and what it does not import."""

import subprocess
import sys

import pytest

from keeper import __version__
from keeper.cli import main as program
from keeper.errors import InvariantBroken, OperatorError, Transient
from tests.unit.cli.conftest import Keeper

COMMANDS = ("demo", "doctor", "scan", "plan", "run", "status", "txs", "pnl")


def test_version_is_the_packages(keeper: Keeper) -> None:
    ended = keeper("--version")
    assert (ended.code, ended.out) == (0, f"keeper {__version__}\n")


def test_help_names_every_command_and_every_exit_code(keeper: Keeper) -> None:
    ended = keeper("--help")
    assert ended.code == 0
    for command in COMMANDS:
        assert f" {command} " in ended.out
    for code in "02345":
        assert f"{code} " in ended.out


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_has_an_example_of_it(keeper: Keeper, command: str) -> None:
    ended = keeper(command, "--help")
    assert ended.code == 0
    assert f"Examples: keeper {command}" in ended.out


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (OperatorError("x"), 2),
        (OperatorError("x", 3), 3),
        (Transient("x"), 4),
        (InvariantBroken("x"), 5),
        (KeyboardInterrupt(), 130),
    ],
)
def test_each_error_family_has_its_exit_code(
    keeper: Keeper, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(program, "app", fail)
    assert keeper("status").code == code


def test_a_bug_keeps_its_traceback(keeper: Keeper, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(program, "app", fail)
    with pytest.raises(ZeroDivisionError):
        keeper("status")


@pytest.mark.parametrize("arguments", [["--help"], ["status"], ["txs"], ["pnl"]])
def test_commands_without_a_chain_import_nothing_that_takes_long(keeper: Keeper, arguments: list[str]) -> None:
    keeper(*arguments)  # writes .env
    code = (
        "import sys; from keeper.cli.main import main; main(sys.argv[1:]); "
        "print(*{'web3', 'numpy', 'scipy', 'aiohttp', 'httpx'} & set(sys.modules), file=sys.stderr)"
    )
    ended = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert ended.stderr.splitlines()[-1] == ""
