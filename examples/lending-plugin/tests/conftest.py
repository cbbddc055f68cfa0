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
from web3 import HTTPProvider, Web3
from web3.contract import Contract
from web3.contract.contract import ContractFunction

from keeper.model.chain import unhexed
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
    """The market, with 100 million dollars to lend, and nine rich accounts. Each transaction is mined at once."""

    anvil: Anvil
    web3: Web3
    lend: Contract
    weth: Contract
    usdc: Contract
    feed: Contract
    owner: str
    users: list[str]

    @classmethod
    def on(cls, anvil: Anvil) -> "Bench":
        web3 = Web3(HTTPProvider(anvil.url))
        owner, *users = web3.eth.accounts

        def deploy(name: str, *args: Any) -> Contract:
            abi, code = compiled()[name]["abi"], compiled()[name]["evm"]["bytecode"]["object"]
            tx = web3.eth.contract(abi=abi, bytecode=code).constructor(*args).transact({"from": owner})
            return web3.eth.contract(web3.eth.wait_for_transaction_receipt(tx)["contractAddress"], abi=abi)

        weth, usdc, feed = deploy("MockToken", "WETH", 18), deploy("MockToken", "USDC", 6), deploy("MockFeed")
        terms = DAY, 80 * WAD // 100, 8 * WAD // 100
        lend = deploy("TinyLend", weth.address, usdc.address, feed.address, *terms)
        bench = cls(anvil, web3, lend, weth, usdc, feed, owner, users)
        bench.do(usdc.functions.mint(lend.address, 10**8 * 10**6))
        bench.price(2_000)
        bench.do(lend.functions.setRate(3 * 10**18))  # about 9 % a year
        for user in users:
            for token, amount in ((weth, 10**6 * WAD), (usdc, 10**8 * 10**6)):
                bench.do(token.functions.mint(user, amount))
                bench.do(token.functions.approve(lend.address, 2**256 - 1), user)
        return bench

    def do(self, call: ContractFunction, sender: str = "") -> bool:
        """One transaction; whether it did not revert."""
        tx = call.transact({"from": sender or self.owner, "gas": 1_000_000})
        return self.web3.eth.wait_for_transaction_receipt(tx, poll_latency=0.01)["status"] == 1

    def price(self, dollars: float) -> None:
        self.do(self.feed.functions.set(int(dollars * 10**8)))

    def deployment(self) -> Deployment:
        return Deployment("tiny_lend", 31337, 0, {"TinyLend": unhexed(self.lend.address)})


@pytest.fixture
def bench() -> Iterator[Bench]:
    with Anvil() as anvil:
        yield Bench.on(anvil)
