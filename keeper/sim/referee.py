"""Reads every account after each block by the contracts' own views, and the liquidations in the block."""

from collections.abc import Sequence

from keeper.abi import load_abi, load_runtime
from keeper.model.chain import hexed, unhexed
from keeper.model.health import WAD
from keeper.sim.market import Prices, SimMarket
from keeper.sim.node.client import Node
from keeper.sim.records import AccountState, BlockRecord, LiquidationRecord

READER = bytes.fromhex("00000000000000000000000000000000deadbeef")


class Referee:
    """Reads blocks of one market for a fixed list of accounts. Counts the transactions of `keeper`."""

    def __init__(self, node: Node, market: SimMarket, accounts: Sequence[bytes], keeper: bytes) -> None:
        self._node = node
        self._market = market
        self._accounts = tuple(accounts)
        self._keeper = hexed(keeper)
        self._read = load_abi("BulkReader").functions["read"]
        views = [market.views(account) for account in accounts]
        self._counts = [len(asked) for asked in views]
        self._calldata = hexed(self._read.encode([view for asked in views for view in asked]))

    def states(self, number: int) -> tuple[AccountState, ...]:
        """All accounts at one block. Raises InvariantBroken when a view reverts that must not."""
        request = {"to": hexed(READER), "data": self._calldata, "gas": hex(2**53)}
        override = {hexed(READER): {"code": hexed(load_runtime("BulkReader"))}}
        answer = unhexed(self._node.rpc("eth_call", request, hex(number), override))
        [results] = self._read.decode(answer)
        answers = iter(data if ok else None for ok, data in results)
        return tuple(
            self._market.state(account, [next(answers) for _ in range(count)])
            for account, count in zip(self._accounts, self._counts, strict=True)
        )

    def record(self, number: int, phase: str, prices: Prices) -> BlockRecord:
        """One block with its accounts, liquidations and gas."""
        block, receipts = self._node.batch(
            [("eth_getBlockByNumber", (hex(number), False)), ("eth_getBlockReceipts", (hex(number),))]
        )
        ours = [receipt for receipt in receipts if receipt["from"] == self._keeper]
        costs = [int(receipt["gasUsed"], 16) * int(receipt["effectiveGasPrice"], 16) for receipt in ours]
        liquidations: list[LiquidationRecord] = []
        debts: list[tuple[bytes, float]] = []
        for receipt, cost in zip(ours, costs, strict=True):
            found, lost = self._market.liquidations(receipt, prices, cost / WAD * prices["ETH"])
            liquidations += found
            debts += lost
        reverted = sum(int(receipt["status"], 16) == 0 for receipt in ours)
        return BlockRecord(
            number=number,
            timestamp=int(block["timestamp"], 16),
            base_fee=int(block["baseFeePerGas"], 16),
            gas_used=int(block["gasUsed"], 16),
            gas_limit=int(block["gasLimit"], 16),
            phase=phase,
            prices=prices,
            accounts=self._accounts,
            states=self.states(number),
            liquidations=tuple(liquidations),
            bad_debt_usd=sum(lost for _, lost in debts),
            debtors=frozenset(account for account, _ in debts),
            gas_wei=sum(costs),
            gas_usd=sum(costs) / WAD * prices["ETH"],
            mined=len(ours) - reverted,
            reverted=reverted,
        )
