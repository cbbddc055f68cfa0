"""The referee: what the contract itself says of every account after each block, and what liquidations did in it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from keeper.abi import load_abi, load_runtime
from keeper.demo.deploy import Market, artifact
from keeper.demo.node import Node
from keeper.errors import InvariantBroken
from keeper.model.chain import Log, hexed, unhexed
from keeper.model.health import WAD

READER = bytes.fromhex("00000000000000000000000000000000deadbeef")


@dataclass(frozen=True, slots=True)
class State:
    """Equity and requirement of one account by the contract's own `health` view, in 1e18 dollars."""

    equity: int
    requirement: int

    @property
    def unsafe(self) -> bool:
        return self.equity < self.requirement

    @property
    def health(self) -> float:
        """Infinite where nothing is required, in the direction of the equity."""
        if self.requirement:
            return self.equity / self.requirement
        return float("inf") if self.equity >= 0 else float("-inf")

    @property
    def shortfall_usd(self) -> float:
        """What the account's creditors would lose if it ended now."""
        return max(0, -self.equity) / WAD


@dataclass(frozen=True, slots=True)
class Act:
    """One liquidation or seizure, as its logs tell it. Dollars at the block's prices."""

    block: int
    account: bytes
    kind: str  # "liquidate", "seize"
    subject: str  # market or token
    notional_usd: float
    reward_usd: float
    gas_usd: float
    full: bool  # the position is closed, or the collateral is gone
    tx_hash: str


@dataclass(frozen=True, slots=True)
class Record:
    """One block: `states` in the order of `accounts`; fees and gas of the keeper's transactions in wei."""

    number: int
    timestamp: int
    base_fee: int
    gas_used: int
    gas_limit: int
    phase: str
    prices: Mapping[str, float]
    accounts: tuple[bytes, ...]
    states: tuple[State, ...]
    acts: tuple[Act, ...] = ()
    bad_debt_usd: float = 0.0
    debtors: frozenset[bytes] = frozenset()  # whose debts were written off
    gas_wei: int = 0
    gas_usd: float = 0.0
    mined: int = 0
    reverted: int = 0

    @property
    def unsafe(self) -> int:
        return sum(state.unsafe for state in self.states)

    @property
    def shortfall_usd(self) -> float:
        return sum(state.shortfall_usd for state in self.states)


class Census:
    """Reads blocks of one market for a fixed list of accounts. `keeper`: whose transactions are counted."""

    def __init__(self, node: Node, market: Market, accounts: Sequence[bytes], keeper: bytes) -> None:
        self._node = node
        self._market = market
        self._accounts = tuple(accounts)
        self._keeper = hexed(keeper)
        self._events = artifact("MarginEngine")[0].events
        self._names = {id_: name for name, id_ in market.markets.items()}
        self._tokens = {id_: symbol for symbol, id_ in market.collaterals.items()}
        self._read = load_abi("BulkReader").functions["read"]
        self._health = artifact("MarginEngine")[0].functions["health"]
        calls = [(market.engine, market.call("health", account)) for account in accounts]
        self._calldata = hexed(self._read.encode(calls))

    def states(self, number: int) -> tuple[State, ...]:
        """All accounts at one block. Raises InvariantBroken when the view reverts."""
        request = {"to": hexed(READER), "data": self._calldata, "gas": hex(2**53)}
        override = {hexed(READER): {"code": hexed(load_runtime("BulkReader"))}}
        answer = unhexed(self._node.rpc("eth_call", request, hex(number), override))
        [results] = self._read.decode(answer)
        found = []
        for ok, data in results:
            if not ok:
                raise InvariantBroken(f"the contract's health view reverts at block {number}: 0x{data.hex()}")
            found.append(State(*self._health.decode(data)))
        return tuple(found)

    def record(self, number: int, phase: str, prices: Mapping[str, float]) -> Record:
        """Everything about one block that the demo shows."""
        block, receipts = self._node.batch(
            [("eth_getBlockByNumber", (hex(number), False)), ("eth_getBlockReceipts", (hex(number),))]
        )
        ours = [receipt for receipt in receipts if receipt["from"] == self._keeper]
        costs = [int(receipt["gasUsed"], 16) * int(receipt["effectiveGasPrice"], 16) for receipt in ours]
        acts: list[Act] = []
        debts: list[tuple[bytes, float]] = []
        for receipt, cost in zip(ours, costs, strict=True):
            found, lost = self._acts(receipt, number, prices, cost / WAD * prices["ETH"])
            acts += found
            debts += lost
        reverted = sum(int(receipt["status"], 16) == 0 for receipt in ours)
        return Record(
            number=number,
            timestamp=int(block["timestamp"], 16),
            base_fee=int(block["baseFeePerGas"], 16),
            gas_used=int(block["gasUsed"], 16),
            gas_limit=int(block["gasLimit"], 16),
            phase=phase,
            prices=prices,
            accounts=self._accounts,
            states=self.states(number),
            acts=tuple(acts),
            bad_debt_usd=sum(lost for _, lost in debts),
            debtors=frozenset(account for account, _ in debts),
            gas_wei=sum(costs),
            gas_usd=sum(costs) / WAD * prices["ETH"],
            mined=len(ours) - reverted,
            reverted=reverted,
        )

    def _acts(
        self, receipt: Mapping[str, Any], number: int, prices: Mapping[str, float], gas_usd: float
    ) -> tuple[list[Act], list[tuple[bytes, float]]]:
        """Liquidations and seizures of one transaction, and the bad debts that they laid open, in dollars."""
        acts: list[Act] = []
        debts: list[tuple[bytes, float]] = []
        left = 0
        for raw in receipt["logs"]:
            log = _log(raw)
            if log.address != self._market.engine:
                continue
            name = next((event.name for event in self._events.values() if event.topic == log.topics[0]), "")
            if name not in ("PositionChanged", "CollateralChanged", "Liquidated", "CollateralSeized", "BadDebt"):
                continue
            indexed, values = self._events[name].decode(log)
            if name in ("PositionChanged", "CollateralChanged"):
                left = values[0]
            elif name == "BadDebt":
                debts.append((unhexed(indexed[0]), values[0] / WAD))
            else:
                account = unhexed(indexed[0])
                make = self._liquidation if name == "Liquidated" else self._seizure
                subject, notional, reward = make(indexed[1], values, prices)
                kind = "liquidate" if name == "Liquidated" else "seize"
                tx_hash = receipt["transactionHash"]
                acts.append(Act(number, account, kind, subject, notional, reward, gas_usd, left == 0, tx_hash))
        return acts, debts

    def _liquidation(self, id_: int, values: Sequence[int], _: Mapping[str, float]) -> tuple[str, float, float]:
        size, price, _penalty, reward = values
        return self._names[id_], size * price / WAD**2, reward / 10**self._market.listing.settlement_decimals

    def _seizure(self, id_: int, values: Sequence[int], prices: Mapping[str, float]) -> tuple[str, float, float]:
        amount, repaid = values
        spec = self._market.listing.collaterals[id_ - 1]
        worth = amount / 10**spec.decimals * prices[spec.feed]
        return self._tokens[id_], worth, worth - repaid / 10**self._market.listing.settlement_decimals


def _log(raw: Mapping[str, Any]) -> Log:
    return Log(
        address=unhexed(raw["address"]),
        topics=tuple(unhexed(topic) for topic in raw["topics"]),
        data=unhexed(raw["data"]),
        block_number=int(raw["blockNumber"], 16),
        block_hash=unhexed(raw["blockHash"]),
        index=int(raw["logIndex"], 16),
    )
