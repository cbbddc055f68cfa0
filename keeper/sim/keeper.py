"""A keeper of the test bed: its files, its key, and the settings with which it runs."""

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from eth_account import Account
from pydantic import SecretStr

from keeper.abi import checksum
from keeper.errors import OperatorError
from keeper.execute.journal.database import lock_of
from keeper.execute.leadership.file_lock import WriterLock
from keeper.model.chain import hexed, unhexed
from keeper.settings import Settings

CHAIN_ID = 31337
JOURNAL = "sqlite:///demo.db"
LEAST_IN_FLIGHT = 64


@dataclass(frozen=True, slots=True)
class KeeperFiles:
    """Paths in the data directory, all absolute."""

    directory: Path

    @property
    def deployment(self) -> Path:
        return self.directory / "deployment.json"

    @property
    def key(self) -> Path:
        return self.directory / "keeper.key"

    @property
    def journal(self) -> Path:
        return self.directory / "demo.db"


def write_deployment(path: Path, protocol: str, at: tuple[int, int], contracts: Mapping[str, bytes]) -> None:
    """The deployment file that the keeper reads. `at`: chain id and the first block of the deployment."""
    document = {
        "protocol": protocol,
        "chain_id": at[0],
        "start_block": at[1],
        "contracts": {name: checksum(address) for name, address in contracts.items() if address},
    }
    path.write_text(json.dumps(document, indent=2) + "\n")


def prepare(directory: Path) -> KeeperFiles:
    """Make the directory and remove the journal of an earlier run. Raises OperatorError when a keeper writes it."""
    files = KeeperFiles(directory.absolute())
    files.directory.mkdir(parents=True, exist_ok=True)
    remove_journal(files.journal)
    return files


def remove_journal(journal: Path) -> None:
    """Remove an old journal that no keeper writes. Raises OperatorError when one does."""
    if lock_of(journal).is_file():
        try:
            WriterLock(lock_of(journal), what=f"the journal {journal}").close()
        except OperatorError:
            raise OperatorError(
                f"another keeper writes the journal {journal}: stop it, or choose another directory with --data-dir"
            ) from None
    for suffix in ("", "-wal", "-shm"):
        journal.with_name(journal.name + suffix).unlink(missing_ok=True)


def make_signer(files: KeeperFiles) -> bytes:
    """A fresh key, readable by its owner only; returns its address."""
    key = secrets.token_bytes(32)
    files.key.unlink(missing_ok=True)
    descriptor = os.open(files.key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as out:
        out.write(hexed(key) + "\n")
    return unhexed(Account.from_key(key).address)


# USD: a simulated crash takes minutes, at fees up to the cap; the defaults are for a real day.
SPENDING = {"max_loss_usd_day": 1_000_000_000, "max_gas_usd_hour": 1_000_000_000}


def capacity(accounts: int) -> dict[str, int]:
    """Settings by the size of a market: the most transactions in flight, and the most reverts in a row.

    When prices rise again, everything in flight may revert at once.
    """
    most = min(1_000, max(LEAST_IN_FLIGHT, accounts // 3))
    return {"max_in_flight": most, "max_reverts": most}


def keeper_settings(files: KeeperFiles, rpc_url: str, values: Mapping[str, Any]) -> Settings:
    """Node, deployment, key, journal, and `values` by their names in `Settings`; nothing from the environment."""
    own = {
        "rpc_urls": (SecretStr(rpc_url),),
        "chain_id": CHAIN_ID,
        "deployment": files.deployment,
        "private_key": SecretStr(files.key.read_text().strip()),
        "data_dir": files.directory,
        "database_url": SecretStr(JOURNAL),
        **SPENDING,
    }
    return Settings(**{**own, **values})
