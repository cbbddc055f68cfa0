"""The demo's files in the data directory: deployment file, key, settings for a fork, journal, report."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keeper.errors import OperatorError
from keeper.settings import PREFIX
from keeper.sim.keeper import CHAIN_ID, SPENDING, KeeperFiles, capacity, remove_journal

FORK_PORT = 8546
OPERATORS = (".env", "keeper.key", "deployment.json", "keeper.db")  # that a demo may not overwrite


@dataclass(frozen=True, slots=True)
class DemoFiles(KeeperFiles):
    """Paths, all absolute. Each demo starts new journals, for itself and for the keeper on its fork."""

    @property
    def environment(self) -> Path:
        return self.directory / ".env"

    @property
    def fork(self) -> Path:
        return self.directory / "fork"

    @property
    def marker(self) -> Path:
        """Marks the files beside it as a demo's, which the next demo may replace."""
        return self.directory / ".keeper-demo"

    @property
    def report(self) -> Path:
        return self.directory / "report.html"


def prepare_demo(directory: Path) -> DemoFiles:
    """Make the directory and remove an earlier demo's journals.

    Raises OperatorError when it cannot be written, has an operator's files, or a keeper writes a journal in it.
    """
    files = DemoFiles(directory.absolute())
    _refuse_operators(files)
    try:
        files.directory.mkdir(parents=True, exist_ok=True)
        for old in (files.journal, files.fork / "keeper.db"):
            remove_journal(old)
        files.marker.write_text("Written by `keeper demo`, which replaces the files beside this one.\n")
    except OSError as error:
        raise OperatorError(f"KEEPER_DATA_DIR: cannot write to {files.directory}: {error.strerror}") from None
    return files


def _refuse_operators(files: DemoFiles) -> None:
    if files.marker.is_file():
        return
    found = [name for name in OPERATORS if os.path.lexists(files.directory / name)]
    if found:
        names = ", ".join(found)
        raise OperatorError(
            f"{files.directory} has files that no demo wrote ({names}): choose another directory with --data-dir"
        )


def write_environment(files: DemoFiles, accounts: int, values: Mapping[str, Any]) -> None:
    """Settings with which `keeper run --live` works on a fork at the usual port. `values`: the protocol's own."""
    lines = {
        "KEEPER_RPC_URLS": f"ws://127.0.0.1:{FORK_PORT}",
        "KEEPER_CHAIN_ID": CHAIN_ID,
        "KEEPER_DEPLOYMENT": files.deployment,
        "KEEPER_PRIVATE_KEY_FILE": files.key,
        "KEEPER_DATA_DIR": files.fork,
        **{f"{PREFIX}{name.upper()}": value for name, value in {**capacity(accounts), **SPENDING, **values}.items()},
    }
    files.environment.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
