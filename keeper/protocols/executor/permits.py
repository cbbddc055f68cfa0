"""What the executor may be asked to do: its calldata decoded, for the signing policy. Each adapter adds its own part.

Only liquidations and batches of them are permitted: none of the functions that move the capital.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from keeper.defi.uniswap_v3 import Pool
from keeper.model.chain import Call
from keeper.model.stakes import Stakes
from keeper.protocols.base import NEVER
from keeper.protocols.executor.orders import Batch, Order, Single, Swap, order_of

MOST_UNITS = 1 << 128  # of a token; balances in the book are smaller
MOST_STEPS = 50  # KEEPER_MAX_BATCH
MOST_GAS = 1 << 24  # of a transaction, EIP-7825
_NOBODY = bytes(20)


@dataclass(frozen=True, slots=True)
class Permitted:
    """An adapter's part. `single`: why an order is not permitted, or empty. `profit_token`: in which it pays."""

    executor: bytes
    single: Callable[[Single], str]
    profit_token: Callable[[Single], bytes]

    def why_not(self, call: Call) -> str:
        """Why the key may not sign this call; empty when it may."""
        if not self.executor or call.to != self.executor:
            return f"a call to 0x{call.to.hex()}, which is not the executor"
        order = order_of(call.data)
        if order is None:
            return f"calldata 0x{call.data[:4].hex()}... of {len(call.data)} bytes, which is no order of the executor"
        return self._batch(order) if isinstance(order, Batch) else self._single(order)

    def _single(self, order: Single) -> str:
        if order.account in (_NOBODY, self.executor):
            return f"a liquidation of 0x{order.account.hex()}"
        if not 0 <= order.min_profit < MOST_UNITS:
            return f"a least profit of {order.min_profit}"
        if not 0 < order.deadline <= NEVER:
            return f"a deadline of {order.deadline}"
        return self.single(order)

    def _batch(self, batch: Batch) -> str:
        limits = [gas for _, gas in batch.steps]
        if not 1 < len(limits) <= MOST_STEPS:
            return f"a batch of {len(limits)} steps"
        if not 0 <= batch.min_profit < MOST_UNITS:
            return f"a batch with a least profit of {batch.min_profit}"
        if not 0 < batch.deadline <= NEVER:
            return f"a batch with a deadline of {batch.deadline}"
        if min(limits) <= 0 or sum(limits) > MOST_GAS:
            return f"a batch with gas limits of {min(limits)} to {max(limits)}, {sum(limits)} together"
        orders = [order_of(data) for data, _ in batch.steps]
        whys = (self._step(order, batch, type(orders[0])) for order in orders)
        return next((f"a batch with {why}" for why in whys if why), "")

    def _step(self, order: Order | None, batch: Batch, kind: type[object]) -> str:
        if order is None or isinstance(order, Batch) or type(order) is not kind:
            return "a step that is no liquidation, or one of another kind"
        if why := self._single(order):
            return why
        token = self.profit_token(order)
        return "" if token == batch.token else f"a profit in 0x{batch.token.hex()} instead of 0x{token.hex()}"


def unsold(swap: Swap, pools: Mapping[bytes, Pool], sold: bytes, wanted: bytes) -> str:
    """Why a swap does not lead from one token to the other through known pools; empty when it does."""
    if not 0 <= swap.min_out < MOST_UNITS:
        return f"a swap for at least {swap.min_out}"
    token = sold
    for address in swap.pools:
        pool = pools.get(address)
        if pool is None or token not in (pool.token0, pool.token1):
            return f"a sale of 0x{token.hex()} in 0x{address.hex()}, which is no known pool of that token"
        token = pool.token1 if token == pool.token0 else pool.token0
    return "" if token == wanted else f"a sale that ends in 0x{token.hex()}"


def stakes(call: Call, single: Callable[[Single], Stakes]) -> Stakes:
    """What a permitted call is about: one order, or the steps of a batch together."""
    order: Order | None = order_of(call.data)
    assert order is not None
    if not isinstance(order, Batch):
        return single(order)
    first, *others = (single(step) for data, _ in order.steps if isinstance(step := order_of(data), Single))
    for other in others:
        first = first + other
    return first
