"""What the demo leaves in the data directory: deployment file, key, settings for a fork, journal, report."""

import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from eth_account import Account
from pydantic import SecretStr

from keeper.errors import OperatorError
from keeper.execute.journal.database import lock_of
from keeper.execute.leadership.file_lock import WriterLock
from keeper.model.chain import hexed, unhexed
from keeper.settings import PREFIX, Settings

CHAIN_ID = 31337
FORK_PORT = 8546
JOURNAL = "sqlite:///demo.db"
# The reference protocol's keeper is its own: it pays a little for solvency, and ranks by bad debt prevented, too.
MARGIN_ENGINE = {"protocol": "margin_engine", "min_profit_usd": Decimal(-5), "bad_debt_weight": Decimal(1)}
LEAST_IN_FLIGHT = 64
OPERATORS = (".env", "keeper.key", "deployment.json", "keeper.db")  # that a demo may not overwrite


@dataclass(frozen=True, slots=True)
class DemoFiles:
    """Paths, all absolute. The journals of the demo and of its fork begin anew with each demo."""

    directory: Path

    @property
    def deployment(self) -> Path:
        return self.directory / "deployment.json"

    @property
    def key(self) -> Path:
        return self.directory / "keeper.key"

    @property
    def environment(self) -> Path:
        return self.directory / ".env"

    @property
    def journal(self) -> Path:
        return self.directory / "demo.db"

    @property
    def fork(self) -> Path:
        return self.directory / "fork"

    @property
    def marker(self) -> Path:
        """Says that the files beside it are a demo's, to be replaced by the next."""
        return self.directory / ".keeper-demo"

    @property
    def report(self) -> Path:
        return self.directory / "report.html"


def prepare(directory: Path) -> DemoFiles:
    """Make the directory and remove an earlier demo's journals.

    Raises OperatorError when it cannot be written, holds an operator's files, or a keeper works in it.
    """
    files = DemoFiles(directory.absolute())
    _refuse_operators(files)
    try:
        files.directory.mkdir(parents=True, exist_ok=True)
        for old in (files.journal, files.fork / "keeper.db"):
            _remove_journal(old)
        files.marker.write_text("Written by `keeper demo`, which replaces the files beside this one.\n")
    except OSError as error:
        raise OperatorError(f"KEEPER_DATA_DIR: cannot write to {files.directory}: {error.strerror}") from None
    return files


def _refuse_operators(files: DemoFiles) -> None:
    if files.marker.is_file():
        return
    found = [name for name in OPERATORS if os.path.lexists(files.directory / name)]
    if found:
        raise OperatorError(
            f"{files.directory} holds {', '.join(found)} of no earlier demo: give the demo another place by --data-dir"
        )


def _remove_journal(journal: Path) -> None:
    """Remove an old journal that no keeper writes. Raises OperatorError when one does."""
    if lock_of(journal).is_file():
        try:
            WriterLock(lock_of(journal), what=f"the journal {journal}").close()
        except OperatorError:
            raise OperatorError(
                f"a keeper is at work on {journal}: stop it, or give the demo another place by --data-dir"
            ) from None
    for suffix in ("", "-wal", "-shm"):
        journal.with_name(journal.name + suffix).unlink(missing_ok=True)


def make_signer(files: DemoFiles) -> bytes:
    """A fresh key, readable by its owner only; returns its address."""
    key = secrets.token_bytes(32)
    files.key.unlink(missing_ok=True)
    descriptor = os.open(files.key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(hexed(key) + "\n")
    return unhexed(Account.from_key(key).address)


def in_flight(accounts: int) -> int:
    """Most transactions of the demo's keeper on their way at once, and its reverts in a row that hold it, too.

    When prices turn, everything on its way may be too late at once.
    """
    return min(1_000, max(LEAST_IN_FLIGHT, accounts // 3))


def write_environment(files: DemoFiles, accounts: int = 300, more: Mapping[str, Any] = MARGIN_ENGINE) -> None:
    """Settings with which `keeper run --live` works against a fork on the usual port. `more`: the protocol's own."""
    lines = {
        "KEEPER_RPC_URLS": f"ws://127.0.0.1:{FORK_PORT}",
        "KEEPER_CHAIN_ID": CHAIN_ID,
        "KEEPER_DEPLOYMENT": files.deployment,
        "KEEPER_PRIVATE_KEY_FILE": files.key,
        "KEEPER_DATA_DIR": files.fork,
        "KEEPER_MAX_IN_FLIGHT": in_flight(accounts),
        "KEEPER_MAX_REVERTS": in_flight(accounts),
        **{f"{PREFIX}{name.upper()}": value for name, value in more.items()},
    }
    files.environment.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))


def demo_settings(
    files: DemoFiles, rpc_url: str, accounts: int = 300, more: Mapping[str, Any] = MARGIN_ENGINE
) -> Settings:
    """What the demo's keeper is told: the node, the deployment, its key. Nothing comes from the environment."""
    return Settings(
        rpc_urls=(SecretStr(rpc_url),),
        chain_id=CHAIN_ID,
        deployment=files.deployment,
        live=True,
        private_key=SecretStr(files.key.read_text().strip()),
        data_dir=files.directory,
        database_url=SecretStr(JOURNAL),
        max_in_flight=in_flight(accounts),
        max_reverts=in_flight(accounts),
        **more,
    )
