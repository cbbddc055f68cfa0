"""Plays a scenario on a development node: opens accounts, moves prices, fills block space."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from keeper.errors import InvariantBroken
from keeper.model.chain import hexed, unhexed
from keeper.sim.market import SimMarket
from keeper.sim.node.client import Node, Tx
from keeper.sim.records import BlockRecord
from keeper.sim.referee import Referee
from keeper.sim.scenario import CALM_DEMAND, Scenario, ScenarioStep

GAS_LIMIT = 60_000_000
BLOCK_S = 12
GWEI = 10**9
FIRST_BASE_FEE = GWEI
_MOVE_MAX_FEE = 3_000 * GWEI  # prices come first in a block
_CROWD_MAX_FEE = 2_000 * GWEI
_CROWD_GAS = 15_000_000  # of one transaction: real chains cap it at 2**24
_CROWD = bytes.fromhex("c0ffee000000000000000000000000000000c0de")
_BURN = "0xfe"  # INVALID: takes all the gas of whoever calls
_CHUNK = 50

Progress = Callable[[int, int], None]  # done, of


@dataclass(frozen=True, slots=True)
class Baseline:
    """The same price path on the same accounts without any liquidation."""

    records: tuple[BlockRecord, ...]

    @property
    def bad_debt_usd(self) -> float:
        return self.records[-1].shortfall_usd


class Player:
    """Plays one scenario. All methods block: call them from a thread when a keeper shares the event loop."""

    def __init__(
        self, node: Node, market: SimMarket, scenario: Scenario, keeper: bytes, gas_limit: int = GAS_LIMIT
    ) -> None:
        self.accounts = market.accounts(scenario.openings)
        self.prices: Mapping[str, float] = market.prices
        self._market = market
        self._node = node
        self._scenario = scenario
        self._keeper = keeper
        self._gas_limit = gas_limit
        self._referee = Referee(node, market, self.accounts, keeper)
        self._crowd = unhexed(node.rpc("eth_accounts")[1])
        self.time = 0

    def open(self, progress: Progress) -> None:
        """Open all accounts. Raises InvariantBroken when the protocol refuses one."""
        openings = self._scenario.openings
        for start in range(0, len(openings), _CHUNK):
            self._market.open(openings[start : start + _CHUNK])
            progress(min(start + _CHUNK, len(openings)), len(openings))
        self._node.rpc("anvil_setCode", hexed(_CROWD), _BURN)
        self.time = self.timestamp()

    def baseline(self, progress: Progress) -> Baseline:
        """Play the whole path without a keeper, revert it, and mine one block at the first base fee."""
        snapshot, time = self._node.rpc("evm_snapshot"), self.time
        steps = self._scenario.steps
        records = []
        for index, step in enumerate(steps):
            records.append(self.step(step, crowded=False))
            progress(index + 1, len(steps))
        if not self._node.rpc("evm_revert", snapshot):
            raise InvariantBroken("the node did not go back to the snapshot before the run without a keeper")
        self.time = time
        self.prices = self._market.prices
        if self.timestamp() != time:
            raise InvariantBroken("the node's clock did not go back with its state")
        # A snapshot does not remember the base fee that comes next.
        self._node.rpc("anvil_setNextBlockBaseFeePerGas", hex(FIRST_BASE_FEE))
        self.step(self.quiet(CALM_DEMAND))
        return Baseline(tuple(records))

    def step(self, step: ScenarioStep, crowded: bool = True, seconds: int = BLOCK_S) -> BlockRecord:
        """Mine one block `seconds` after the last: prices first, then the crowd's transactions, then all others."""
        self.time += seconds
        price_transactions = self._market.price_transactions(step.prices)
        others = self._others(step.demand, sum(tx.gas or 0 for tx in price_transactions)) if crowded else ()
        self._node.batch([*self._first(price_transactions), *others])
        self._node.rpc("evm_setNextBlockTimestamp", hex(self.time))
        self._node.rpc("evm_mine")
        self.prices = step.prices
        return self._referee.record(int(self._node.rpc("eth_blockNumber"), 16), step.phase, step.prices)

    def quiet(self, demand: float, phase: str = "calm") -> ScenarioStep:
        """A step in which prices stand still."""
        return ScenarioStep(self.prices, demand, phase)

    def now(self) -> BlockRecord:
        """The newest block."""
        return self._referee.record(int(self._node.rpc("eth_blockNumber"), 16), "calm", self.prices)

    def timestamp(self) -> int:
        """Seconds, of the newest block."""
        return int(self._node.rpc("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    def waiting(self) -> int:
        """How many transactions of the keeper are pending."""
        keeper = hexed(self._keeper)
        counts = self._node.batch([("eth_getTransactionCount", (keeper, tag)) for tag in ("pending", "latest")])
        return int(counts[0], 16) - int(counts[1], 16)

    def _first(self, price_transactions: Sequence[Tx]) -> Iterator[tuple[str, Sequence[object]]]:
        """Requests that send these before everything else, in their order."""
        nonces: dict[bytes, int] = {}
        for index, tx in enumerate(price_transactions):
            sender = hexed(tx.sender)
            if tx.sender not in nonces:
                nonces[tx.sender] = int(self._node.rpc("eth_getTransactionCount", sender, "pending"), 16)
            fee = _MOVE_MAX_FEE + (len(price_transactions) - index) * GWEI
            request = _request(sender, hexed(tx.to or b""), nonces[tx.sender], tx.gas or 0, fee)
            yield "eth_sendTransaction", [request | {"data": hexed(tx.data)}]
            nonces[tx.sender] += 1

    def _others(self, demand: float, taken: int) -> Iterator[tuple[str, Sequence[object]]]:
        crowd = hexed(self._crowd)
        nonce = int(self._node.rpc("eth_getTransactionCount", crowd, "pending"), 16)
        left = min(int(self._gas_limit * demand), self._gas_limit - taken)
        while left >= 21_000:
            gas = min(left, _CROWD_GAS)
            yield "eth_sendTransaction", [_request(crowd, hexed(_CROWD), nonce, gas, _CROWD_MAX_FEE)]
            left, nonce = left - gas, nonce + 1


def _request(sender: str, to: str, nonce: int, gas: int, max_fee: int) -> dict[str, str]:
    return {
        "from": sender,
        "to": to,
        "nonce": hex(nonce),
        "gas": hex(gas),
        "maxFeePerGas": hex(max_fee),
        "maxPriorityFeePerGas": hex(GWEI),
    }
