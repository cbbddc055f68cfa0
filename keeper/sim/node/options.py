"""How a development node is started: its binary, its port, its options, and its publicly known keys."""

import os
import platform
import shutil
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from keeper.errors import OperatorError

MNEMONIC = "test test test test test test test test test test test junk"
_PLATFORMS = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


@dataclass(frozen=True, slots=True)
class AnvilOptions:
    """Options of an anvil process; None leaves anvil's default.

    block_time: seconds between blocks; mining False: a block only when `mine()` is called; neither: one for each
    transaction. base_fee: wei, of the first block. log: where its output goes, else nowhere. bound: it ends with the
    thread that started it, however that ends, where the system can do that (Linux with `setpriv`).
    """

    chain_id: int | None = 31337
    port: int | None = None
    block_time: float | None = None
    mining: bool = True
    fork_url: str | None = None
    fork_block: int | None = None
    timestamp: int | None = None
    gas_limit: int | None = None
    base_fee: int | None = None
    accounts: int = 10
    balance_eth: int | None = None
    hardfork: str | None = None
    ipc: Path | None = None
    log: Path | None = None
    extra: Sequence[str] = ()
    bound: bool = False

    def arguments(self) -> list[str]:
        """On anvil's command line, host and port aside."""
        named: dict[str, object | None] = {
            "--chain-id": self.chain_id,
            "--block-time": self.block_time,
            "--fork-url": self.fork_url,
            "--fork-block-number": self.fork_block,
            "--timestamp": self.timestamp,
            "--gas-limit": self.gas_limit,
            "--block-base-fee-per-gas": self.base_fee,
            "--accounts": self.accounts,
            "--balance": self.balance_eth,
            "--hardfork": self.hardfork,
            "--ipc": self.ipc,
        }
        given = [text for key, value in named.items() if value is not None for text in (key, str(value))]
        return [*given, *([] if self.mining else ["--no-mining"]), *self.extra, *([] if self.log else ["--silent"])]


def find_anvil() -> Path:
    """The anvil binary: on PATH first, else the npm package's own, not its launcher, so that the pid is the node's.

    Raises OperatorError when there is none.
    """
    system = platform.system().lower().replace("windows", "win32")
    package = f"anvil-{system}-{_PLATFORMS.get(platform.machine().lower(), platform.machine().lower())}"
    for root in (Path.cwd(), Path(__file__).parents[3]):
        binary = root / "node_modules" / "@foundry-rs" / package / "bin" / ("anvil.exe" if os.name == "nt" else "anvil")
        packaged = binary if binary.is_file() else None
        if packaged:
            break
    on_path = shutil.which("anvil")
    if on_path and ".bin" not in Path(on_path).parts:
        return Path(on_path)
    if packaged:
        return packaged
    raise OperatorError("anvil was not found: run `npm ci` in the checkout, or put Foundry's anvil on PATH")


@cache
def dev_key(index: int) -> bytes:
    """Private key of development account `index`. Publicly known: worthless outside a development chain."""
    from eth_account import Account

    Account.enable_unaudited_hdwallet_features()
    return bytes(Account.from_mnemonic(MNEMONIC, account_path=f"m/44'/60'/0'/0/{index}").key)


def free_port() -> int:
    """A free TCP port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
