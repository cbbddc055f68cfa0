"""Tiny Lend on a real node. Needs anvil, and a Solidity compiler: `solc` on PATH, or a command in SOLC."""

import json
import os
import shlex
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from eth_abi.abi import encode

from keeper.abi import Contract
from keeper.protocols.base import Deployment
from keeper.sim.node.anvil import Anvil

SOURCES = Path(__file__).parents[1] / "contracts"
WAD = 10**18
DAY = 86_400


@cache
def compiled() -> dict[str, dict[str, Any]]:
    """Contract -> its ABI and creation code."""
    sources = {path.name: {"content": path.read_text()} for path in SOURCES.glob("*.sol")}
    wanted = {"outputSelection": {"*": {"*": ["abi", "evm.bytecode.object"]}}, "optimizer": {"enabled": True}}
    document = {"language": "Solidity", "sources": sources, "settings": {**wanted, "evmVersion": "cancun"}}
    command = [*shlex.split(os.environ.get("SOLC", "solc")), "--standard-json"]
    done = subprocess.run(command, input=json.dumps(document), capture_output=True, text=True, check=True)
    found = json.loads(done.stdout[done.stdout.index("{") :])
    assert not [error for error in found.get("errors", []) if error["severity"] == "error"], found["errors"]
    return {name: contract for file in found["contracts"].values() for name, contract in file.items()}


@dataclass
class Bench:
    """The market, with 100 million dollars to lend, and ten rich accounts. Each transaction is mined at once."""

    anvil: Anvil
    lend: bytes
    weth: bytes
    usdc: bytes
    feed: bytes
    owner: str
    users: list[str]

    @classmethod
    def on(cls, anvil: Anvil) -> "Bench":
        owner, *users = anvil.accounts()

        def deploy(name: str, types: list[str], *args: Any) -> bytes:
            code = bytes.fromhex(compiled()[name]["evm"]["bytecode"]["object"])
            return anvil.deploy(code + encode(types, args), sender=owner)

        weth = deploy("MockToken", ["string", "uint8"], "WETH", 18)
        usdc = deploy("MockToken", ["string", "uint8"], "USDC", 6)
        feed = deploy("MockFeed", [])
        terms = [DAY, 80 * WAD // 100, 8 * WAD // 100]
        lend = deploy("TinyLend", ["address"] * 3 + ["uint256"] * 3, weth, usdc, feed, *terms)
        bench = cls(anvil, lend, weth, usdc, feed, owner, users)
        bench.do(usdc, "mint", lend, 10**8 * 10**6)
        bench.price(2_000)
        bench.do(lend, "setRate", 3 * 10**18)  # about 9 % a year
        for user in users:
            bench.do(weth, "mint", user, 10**6 * WAD)
            bench.do(usdc, "mint", user, 10**8 * 10**6)
            bench.do(weth, "approve", lend, 2**256 - 1, sender=user)
            bench.do(usdc, "approve", lend, 2**256 - 1, sender=user)
        return bench

    def do(self, to: bytes, function: str, *args: Any, sender: str = "") -> bool:
        """One transaction; whether it did not revert."""
        name = {self.lend: "TinyLend", self.feed: "MockFeed"}.get(to, "MockToken")
        data = Contract(compiled()[name]["abi"]).functions[function].encode(*args)
        tx = self.anvil.send(to, data, sender=sender or self.owner, gas=1_000_000)
        return self.anvil.receipt(tx)["status"] == "0x1"

    def price(self, dollars: float) -> None:
        self.do(self.feed, "set", int(dollars * 10**8))

    def deployment(self) -> Deployment:
        return Deployment("tiny_lend", 31337, 0, {"TinyLend": self.lend})


@pytest.fixture
def bench() -> Iterator[Bench]:
    with Anvil() as anvil:
        yield Bench.on(anvil)
