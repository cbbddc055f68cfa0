"""The pools between a market's tokens: liquidators sell seized tokens there."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from keeper.sim.markets.uniswap import TICK_SPACINGS, Uniswap, deploy_uniswap
from keeper.sim.node.artifacts import TxBatch, calldata
from keeper.sim.node.client import Tx

TRADER_DOLLARS = 10**13
MOST_TICK = 887_272
_Q96 = 2**96

Pool = tuple[str, str, int]  # symbols and fee, as in its spec


@dataclass(frozen=True, slots=True)
class ExitSpec:
    """One pool. `dollars`: of each side, within each range; `ranges`: price factors up and down."""

    first: str
    second: str
    fee: int
    dollars: int
    ranges: tuple[float, ...] = (1.1, 1.6, 1_000.0)

    @property
    def key(self) -> Pool:
        return self.first, self.second, self.fee


@dataclass(frozen=True, slots=True)
class PricedToken:
    """A token with its price in dollars."""

    address: bytes
    decimals: int
    dollars: float

    def unit(self, dollars: float | None = None) -> float:
        """Dollars of one unit."""
        return float((dollars or self.dollars) / 10**self.decimals)


@dataclass(frozen=True, slots=True)
class Exits:
    """Deployed pools."""

    uniswap: Uniswap
    tokens: Mapping[str, PricedToken]
    pools: Mapping[Pool, bytes]

    def move(self, pool: Pool, dollars: Mapping[str, float]) -> Tx:
        """The transaction that trades a pool to the price of these dollars."""
        low, high = self.ordered(pool)
        price = sqrt_price(self.tokens[low].unit(dollars[low]) / self.tokens[high].unit(dollars[high]))
        data = calldata("moveTo(address,uint160)", self.pools[pool], price)
        return Tx(self.uniswap.owner, self.uniswap.trader, data)

    def trade(self, pool: Pool, sold: str, units: int) -> Tx:
        """The transaction that sells `units` of a token, exact input; or buys as much of the other when negative."""
        return self.uniswap.swap(self.pools[pool], self.ordered(pool)[0] == sold, units)

    def ordered(self, pool: Pool) -> tuple[str, str]:
        """(token0, token1) of a pool."""
        first, second = sorted(pool[:2], key=lambda symbol: self.tokens[symbol].address)
        return first, second


def deploy_exits(batch: TxBatch, tokens: Mapping[str, PricedToken], specs: Sequence[ExitSpec], mint: str) -> Exits:
    """Queue factory, pools and liquidity at the tokens' prices. `mint`: signature by which the sender mints tokens."""
    uniswap = deploy_uniswap(batch)
    for token in tokens.values():
        batch.call(token.address, mint, uniswap.trader, int(TRADER_DOLLARS / token.dollars) * 10**token.decimals)
    pools = {}
    for spec in specs:
        low, high = sorted((tokens[spec.first], tokens[spec.second]), key=lambda token: token.address)
        price = low.unit() / high.unit()
        pool = uniswap.create_pool(batch, low.address, high.address, spec.fee, sqrt_price(price))
        for position in _positions(spec, price, high):
            batch.call(uniswap.trader, "mint(address,int24,int24,uint128)", pool, *position)
        pools[spec.key] = pool
    return Exits(uniswap, tokens, pools)


def sqrt_price(price: float) -> int:
    """A pool's sqrtPriceX96 of a price: units of token1 for a unit of token0."""
    return int(math.sqrt(price) * _Q96)


def _positions(spec: ExitSpec, price: float, high: PricedToken) -> list[tuple[int, int, int]]:
    """(lower tick, upper tick, liquidity) of each range around a price."""
    spacing, made = TICK_SPACINGS[spec.fee], []
    middle, most = round(math.log(price, 1.0001) / spacing), MOST_TICK // spacing
    for width in spec.ranges:
        steps = max(1, round(math.log(width, 1.0001) / spacing))
        lower, upper = max(middle - steps, -most) * spacing, min(middle + steps, most) * spacing
        span = math.sqrt(price) - math.sqrt(1.0001**lower)
        made.append((lower, upper, int(spec.dollars / high.unit() / span)))
    return made
