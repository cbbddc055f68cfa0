"""A deployed market, and all actions of its users, as transactions to send."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from keeper.sim.keeper import write_deployment
from keeper.sim.markets.curie.listing import CurieListing, CurieMarketSpec
from keeper.sim.markets.exits import Exits, sqrt_price
from keeper.sim.markets.uniswap import TICK_SPACINGS
from keeper.sim.node.artifacts import ask, calldata
from keeper.sim.node.client import Node, Tx, impersonate

UINT256_MAX = 2**256 - 1
MARKET_MAKER = bytes.fromhex("40053c0de0000000000000000000000000000001")  # its liquidity is the market's own
ARBITRAGEUR = bytes.fromhex("40053c0de0000000000000000000000000000002")  # trades the pools to a price
_MUCH = 10**30  # more than any pool has
_GAS, _EXIT_GAS = 4_000_000, 600_000
_NO_REFERRAL = bytes(32)


@dataclass(frozen=True, slots=True)
class FeedContracts:
    """One price: the aggregator that tests can set, the protocol's feed on it, and the dispatcher that tokens read."""

    decimals: int
    aggregator: bytes
    feed: bytes
    dispatcher: bytes


@dataclass(frozen=True, slots=True)
class MarketContracts:
    """One market: its base token and its pool of base (token0) and quote."""

    base: bytes
    pool: bytes


@dataclass(frozen=True, slots=True)
class DeployedCurie:
    """The protocol on a node. Contracts by name, tokens by symbol, feeds by label, markets by symbol.

    Sizes are in 1e18 of the base, amounts of tokens in their units, prices in dollars. What returns `Tx` is sent by
    `node.send` or `node.try_send`; accounts have to be impersonated (`admit`).
    """

    node: Node
    owner: bytes
    chain_id: int
    start_block: int
    listing: CurieListing
    contracts: Mapping[str, bytes]
    tokens: Mapping[str, bytes]
    feeds: Mapping[str, FeedContracts]
    markets: Mapping[str, MarketContracts]
    exits: Exits

    # Accounts and collateral.

    def admit(self, *accounts: bytes) -> None:
        """Let accounts send, with ether for gas."""
        impersonate(self.node, accounts)

    def fund(self, account: bytes, symbol: str, units: int) -> list[Tx]:
        """Mint tokens and deposit them for an account."""
        return [
            self.mint(symbol, self.owner, units),
            self._vault(self.owner, "depositFor(address,address,uint256)", account, self.tokens[symbol], units),
        ]

    def mint(self, symbol: str, to: bytes, units: int) -> Tx:
        """Tokens for an account's wallet."""
        return Tx(self.owner, self.tokens[symbol], calldata("mint(address,uint256)", to, units))

    def approve(self, account: bytes, symbol: str, spender: bytes | None = None) -> Tx:
        """The vault may take a token of an account without limit; or `spender`."""
        data = calldata("approve(address,uint256)", spender or self.contracts["Vault"], UINT256_MAX)
        return Tx(account, self.tokens[symbol], data)

    def deposit(self, account: bytes, symbol: str, units: int) -> Tx:
        """Out of the account's own wallet, once approved."""
        return self._vault(account, "deposit(address,uint256)", self.tokens[symbol], units)

    def withdraw(self, account: bytes, symbol: str, units: int | None = None) -> Tx:
        """`units`, or all free collateral."""
        if units is None:
            return self._vault(account, "withdrawAll(address)", self.tokens[symbol])
        return self._vault(account, "withdraw(address,uint256)", self.tokens[symbol], units)

    # Positions.

    def trade(self, account: bytes, market: str, size: int, sqrt_limit: int = 0) -> Tx:
        """Buy `size` of the base, or sell it when negative; stops at `sqrt_limit` when it is given."""
        return self._open(account, market, size, sqrt_limit, in_base=True)

    def spend(self, account: bytes, market: str, quote: int, sqrt_limit: int = 0) -> Tx:
        """Buy base for so much quote, or sell base for it when negative."""
        return self._open(account, market, quote, sqrt_limit, in_base=False)

    def close(self, account: bytes, market: str, sqrt_limit: int = 0, bound: int = 0) -> Tx:
        """Close a position, or as much as the market's price limit allows. `bound`: limit of the opposite amount."""
        params = (self.markets[market].base, sqrt_limit, bound, UINT256_MAX, _NO_REFERRAL)
        return self._house(account, "closePosition((address,uint160,uint256,uint256,bytes32))", params)

    def add_liquidity(self, account: bytes, market: str, base: int, quote: int, ticks: tuple[int, int]) -> Tx:
        """Add at most `base` and `quote` between two ticks (multiples of `spacing`)."""
        params = (self.markets[market].base, base, quote, *ticks, 0, 0, False, UINT256_MAX)
        signature = "addLiquidity((address,uint256,uint256,int24,int24,uint256,uint256,bool,uint256))"
        return self._house(account, signature, params)

    def remove_liquidity(self, account: bytes, market: str, lower: int, upper: int, liquidity: int) -> Tx:
        """Remove liquidity; 0 only collects its fees."""
        params = (self.markets[market].base, lower, upper, liquidity, 0, 0, UINT256_MAX)
        signature = "removeLiquidity((address,int24,int24,uint128,uint256,uint256,uint256))"
        return self._house(account, signature, params)

    # Liquidations, by anyone.

    def cancel_orders(self, sender: bytes, account: bytes, market: str) -> Tx:
        """Remove the liquidity of a maker with too little margin."""
        return self._house(sender, "cancelAllExcessOrders(address,address)", account, self.markets[market].base)

    def liquidate(self, sender: bytes, account: bytes, market: str, size: int = 0) -> Tx:
        """Take over a part of a position; 0: as much as allowed."""
        return self._house(sender, "liquidate(address,address,int256)", account, self.markets[market].base, size)

    def liquidate_collateral(self, sender: bytes, account: bytes, symbol: str, amount: int, in_usd: bool = True) -> Tx:
        """Buy an account's collateral for so many units of the settlement token, or so many units of it."""
        signature = "liquidateCollateral(address,address,uint256,bool)"
        return self._vault(sender, signature, account, self.tokens[symbol], amount, in_usd)

    # The owner, and closed markets.

    def configure(self, contract: str, signature: str, *args: object) -> Tx:
        """Any function of one of the contracts that its owner may call."""
        return Tx(self.owner, self.contracts[contract], calldata(signature, *args), _GAS)

    def pause_market(self, market: str) -> Tx:
        """Stop trading; the index price stays as it is."""
        return Tx(self.owner, self.markets[market].base, calldata("pause()"), _GAS)

    def close_market(self, market: str, dollars: float) -> Tx:
        """Close a paused market: all positions are settled at this price."""
        return Tx(self.owner, self.markets[market].base, calldata("close(uint256)", round(dollars * 10**18)), _GAS)

    def quit_market(self, sender: bytes, account: bytes, market: str) -> Tx:
        """Settle an account's position in a closed market."""
        return self._house(sender, "quitMarket(address,address)", account, self.markets[market].base)

    # Prices and time.

    def set_oracle(self, label: str, dollars: float) -> Tx:
        """A feed's new answer, which the protocol's feed reads at once and stores at its next update."""
        feed = self.feeds[label]
        answer = round(dollars * 10**feed.decimals)
        return Tx(self.owner, feed.aggregator, calldata("set(int256)", answer))

    def move_pool(self, market: str, dollars: float) -> list[Tx]:
        """The arbitrageur's trade that brings the pool to a price; none when it is there already.

        The protocol lets a trade move a pool by at most `most_ticks` from where it was up to 15 s ago, and not away
        from the index price when that is further than 10 %: it reverts then.
        """
        now, wanted = self.pool_sqrt_price(market), sqrt_price(dollars)
        if abs(wanted - now) * 10**9 < now:
            return []
        size = -_MUCH if wanted < now else _MUCH
        return [
            self.trade(ARBITRAGEUR, market, size, wanted) if size < 0 else self.spend(ARBITRAGEUR, market, size, wanted)
        ]

    def move_exits(self, prices: Mapping[str, float]) -> list[Tx]:
        """Trade the pools of real tokens to the feeds' prices (dollars by label)."""
        dollars = {self.listing.settlement: 1.0}
        dollars |= {spec.symbol: prices[spec.feed] for spec in self.listing.collaterals}
        return [replace(self.exits.move(pool, dollars), gas=_EXIT_GAS) for pool in self.exits.pools]

    def pool_sqrt_price(self, market: str) -> int:
        """sqrtPriceX96 of a market's pool at the newest block."""
        returns = ("uint160", "int24", "uint16", "uint16", "uint16", "uint8", "bool")
        found: int = ask(self.node, self.markets[market].pool, "slot0()", returns=returns)[0]
        return found

    def pool_price(self, market: str) -> float:
        """Dollars."""
        return float((self.pool_sqrt_price(market) / 2**96) ** 2)

    def spacing(self, market: str) -> int:
        """Ticks from one possible end of a liquidity range to the next."""
        return TICK_SPACINGS[self.spec(market).pool_fee]

    def spec(self, market: str) -> CurieMarketSpec:
        return next(spec for spec in self.listing.markets if spec.symbol == market)

    def timestamp(self) -> int:
        """Seconds, of the newest block."""
        return int(self.node.rpc("eth_getBlockByNumber", "latest", False)["timestamp"], 16)

    def warp(self, seconds: int) -> None:
        """Mine an empty block `seconds` later."""
        self.node.rpc("evm_setNextBlockTimestamp", hex(self.timestamp() + seconds))
        self.node.rpc("evm_mine")

    # For the keeper.

    def write_deployment(self, path: Path, executor: bytes = b"") -> None:
        """The deployment file that the keeper reads."""
        write_deployment(
            path,
            "curie",
            (self.chain_id, self.start_block),
            {"ClearingHouse": self.contracts["ClearingHouse"], "Executor": executor},
        )

    def maker_liquidity(self) -> list[Tx]:
        """The initial liquidity of the pools, around the feeds' first prices."""
        made = []
        for spec in self.listing.markets:
            price = float(self.listing.feeds[spec.feed][1])
            base, quote = int(spec.dollars / price * 10**18), spec.dollars * 10**18
            for width in spec.ranges:
                ticks = self.ticks(spec.symbol, price / width, price * width)
                made.append(self.add_liquidity(MARKET_MAKER, spec.symbol, base, quote, ticks))
        return made

    def ticks(self, market: str, low: float, high: float) -> tuple[int, int]:
        """The possible ends of a liquidity range next to two prices in dollars, the lower one below the upper."""
        spacing = self.spacing(market)
        lower, upper = (round(math.log(price, 1.0001) / spacing) for price in (low, high))
        return lower * spacing, max(upper, lower + 1) * spacing

    def _vault(self, sender: bytes, signature: str, *args: object) -> Tx:
        return Tx(sender, self.contracts["Vault"], calldata(signature, *args), _GAS)

    def _house(self, sender: bytes, signature: str, *args: object) -> Tx:
        return Tx(sender, self.contracts["ClearingHouse"], calldata(signature, *args), _GAS)

    def _open(self, account: bytes, market: str, amount: int, sqrt_limit: int, in_base: bool) -> Tx:
        """At any price. `amount`: of the base or the quote; negative sells the base."""
        sells = amount < 0
        exact_input = sells == in_base
        signature = "openPosition((address,bool,bool,uint256,uint256,uint256,uint160,bytes32))"
        base = self.markets[market].base
        params = (base, sells, exact_input, abs(amount), 0, UINT256_MAX, sqrt_limit, _NO_REFERRAL)
        return self._house(account, signature, params)


def balance(deployed: DeployedCurie, symbol: str, holder: bytes) -> int:
    """Units of a token in a wallet."""
    found: int = ask(deployed.node, deployed.tokens[symbol], "balanceOf(address)", holder)
    return found
