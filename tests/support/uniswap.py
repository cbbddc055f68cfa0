"""Real Uniswap v3 pools on a node: made at any price, filled, traded in, and read as the keeper reads them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from keeper.abi import load_abi
from keeper.defi import uniswap_reads
from keeper.defi.proxies import bits, signed_bits, words
from keeper.defi.tick_math import MAX_TICK
from keeper.defi.uniswap_oracle import FIRST_SLOT, Ring, observation_of
from keeper.defi.uniswap_v3 import Pool, PoolState
from keeper.model.chain import Call, Log, storage_read, unhexed
from keeper.sim.bench import Bench
from keeper.sim.markets.uniswap import TICK_SPACINGS, Uniswap, deploy_uniswap
from keeper.sim.node.anvil import Anvil
from keeper.sim.node.artifacts import TxBatch, ask, forged, log_of
from keeper.sim.node.client import Node, Tx

PLENTY = 2**200
GAS = 400_000_000
POOL = load_abi("IUniswapV3Pool")


@dataclass(frozen=True, slots=True)
class Traded:
    """What a mined swap did, from its log; both amounts as the pool counts them, positive into it."""

    amount0: int
    amount1: int
    sqrt_price: int
    liquidity: int
    tick: int


class Pools(Bench):
    """A factory, tokens in ascending order of address, and a trader who has plenty of them. No pools yet."""

    def __init__(self, anvil: Anvil, node: Node, uniswap: Uniswap, tokens: tuple[bytes, ...]) -> None:
        super().__init__(anvil, node)
        self.uniswap, self.tokens = uniswap, tokens

    @classmethod
    def on(cls, anvil: Anvil, tokens: int = 2) -> "Pools":
        node = Node.at(anvil.url)
        batch = TxBatch(node, unhexed(anvil.accounts()[0]))
        made = sorted(batch.create(forged("TestToken"), f"T{number}", 18) for number in range(tokens))
        uniswap = deploy_uniswap(batch)
        for token in made:
            batch.call(token, "mint(address,uint256)", uniswap.trader, PLENTY)
        batch.send()
        anvil.mine()  # until then the newest block has the room that the batch asked for
        return cls(anvil, node, uniswap, tuple(made))

    def create(self, fee: int, sqrt_price: int, a: int = 0, b: int = 1) -> Pool:
        """A pool of two of the tokens, begun at a price."""
        batch = TxBatch(self.node, self.uniswap.owner)
        address = self.uniswap.create_pool(batch, self.tokens[a], self.tokens[b], fee, sqrt_price)
        batch.send()
        pool = uniswap_reads.described(address, self.read(uniswap_reads.describe(address)))
        assert pool is not None
        assert pool == Pool(address, self.tokens[min(a, b)], self.tokens[max(a, b)], fee, TICK_SPACINGS[fee])
        return pool

    def send(self, txs: Sequence[Tx], at: int | None = None) -> list[Any]:
        """Receipts, reverted or not; the first block is at the time `at`."""
        if at is not None:
            self.anvil.set_next_timestamp(at)
        return self.node.try_send([Tx(tx.sender, tx.to, tx.data, GAS) for tx in txs])

    def trade(
        self, pool: Pool, zero_for_one: bool, amount: int, limit: int = 0, at: int | None = None
    ) -> Traded | None:
        """What a swap did; None when it reverted."""
        [receipt] = self.send([self.uniswap.swap(pool.address, zero_for_one, amount, limit)], at)
        for log in logs_of(receipt):
            if log.address == pool.address and log.topics[0] == POOL.events["Swap"].topic:
                return Traded(*POOL.events["Swap"].decode(log)[1])
        assert int(receipt["status"], 16) == 0
        return None

    def state(self, pool: Pool, reach: int = 2 * MAX_TICK) -> PoolState:
        """The pool at the newest block, as one bulk read tells it."""
        found = uniswap_reads.state_of(pool, self.read([uniswap_reads.around(pool.address, reach)])[0])
        assert found is not None
        return found

    def ring(self, pool: Pool) -> Ring:
        """The pool's observations, from its storage."""
        [slot0] = words(self.read([storage_read(pool.address, [0])])[0])
        index, cardinality = bits(slot0, 184, 16), bits(slot0, 200, 16)
        slots = range(FIRST_SLOT, FIRST_SLOT + cardinality)
        stored = words(self.read([storage_read(pool.address, slots)])[0])
        observations = {place: observation_of(word) for place, word in enumerate(stored)}
        return Ring(observations, index, cardinality, signed_bits(slot0, 160, 24))

    def observe(self, pool: Pool, *agos: int) -> list[int] | None:
        """The contract's own tick cumulatives at the newest block; None when it reverts."""
        call = Call(pool.address, POOL.functions["observe"].encode(agos))
        [result] = self.read([call])
        return list(POOL.functions["observe"].decode(result.data)[0]) if result.ok else None

    def ask(self, to: bytes, signature: str, *args: Any, returns: Sequence[str] = ("uint256",)) -> Any:
        return ask(self.node, to, signature, *args, returns=returns)


def logs_of(receipt: Any) -> list[Log]:
    return [log_of(found) for found in receipt["logs"]]
