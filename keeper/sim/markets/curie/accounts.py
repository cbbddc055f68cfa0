"""The accounts of a seeded market: long and short traders with several collaterals, and makers."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from eth_utils.crypto import keccak

from keeper.errors import InvariantBroken
from keeper.model.chain import hexed
from keeper.sim.markets.curie.actions import DeployedCurie
from keeper.sim.markets.curie.listing import DEMO, MILLION, CurieListing, CurieMarketSpec
from keeper.sim.node.client import Tx

WHALE_SHARE, MAKER_SHARE, LONG_SHARE = 0.08, 0.08, 0.7
PLAIN_SHARE = 0.5  # of accounts that hold nothing but dollars
LEAST_DOLLARS, MOST_DOLLARS = 3_000, 1_000_000
LEAST_ROOM, MOST_ROOM = 0.03, 0.5  # the move against an account that brings it to its maintenance margin
IM, MM = 0.1, 0.0625  # what ClearingHouseConfig begins with, and cannot change
MOST_OF_MARGIN = 0.85  # of what the initial margin allows
RANGES = (1.08, 1.3)  # how far a maker's liquidity reaches at least and at most, as price factors
_CHUNK = 10  # accounts that trade before the pools are brought back to the price


@dataclass(frozen=True, slots=True)
class MakerLiquidity:
    """Liquidity: at most `base` (1e18) and `quote` (1e18 dollars), from price / width to price * width."""

    market: str
    base: int
    quote: int
    width: float


@dataclass(frozen=True, slots=True)
class CurieOpening:
    """What one account starts with: deposits as (symbol, units), trades as (market, signed size in 1e18)."""

    account: bytes
    deposits: tuple[tuple[str, int], ...]
    trades: tuple[tuple[str, int], ...] = ()
    making: tuple[MakerLiquidity, ...] = ()


def build_openings(seed: int, accounts: int, listing: CurieListing = DEMO) -> tuple[CurieOpening, ...]:
    """The same for the same arguments, on every machine."""
    chance = Random(f"curie accounts {seed}")  # noqa: S311
    return tuple(_opening(chance, seed, index, listing) for index in range(accounts))


def _opening(chance: Random, seed: int, index: int, listing: CurieListing) -> CurieOpening:
    account = keccak(text=f"curie account {seed} {index}")[-20:]
    deposits, dollars, others = _deposits(chance, listing)
    markets = chance.sample(listing.markets, chance.choices((1, 2), (0.7, 0.3))[0])
    room = chance.uniform(LEAST_ROOM, MOST_ROOM)
    # A fall of the market by the room takes as much of collateral that falls with it.
    total = (dollars + others * (1 - room)) / (room + MM * (1 - room))
    total = min(total, (dollars + others) * MOST_OF_MARGIN / IM)
    parts = [(spec, total * share) for spec, share in zip(markets, _shares(chance, len(markets)), strict=True)]
    if chance.random() < MAKER_SHARE:
        made = (
            MakerLiquidity(
                spec.symbol, _size(listing, spec.feed, part / 2), int(part / 2) * 10**18, chance.uniform(*RANGES)
            )
            for spec, part in parts
        )
        return CurieOpening(account, deposits, making=tuple(made))
    trades = tuple(
        (spec.symbol, _size(listing, spec.feed, part) * (1 if chance.random() < LONG_SHARE else -1))
        for spec, part in parts
    )
    return CurieOpening(account, deposits, trades)


def _deposits(chance: Random, listing: CurieListing) -> tuple[tuple[tuple[str, int], ...], float, float]:
    """Deposits, the dollars among them, and what the other collateral counts as, in dollars."""
    whale = chance.random() < WHALE_SHARE
    wealth = chance.lognormvariate(math.log(250_000), 0.5) if whale else chance.lognormvariate(math.log(9_000), 0.8)
    wealth = min(max(wealth, LEAST_DOLLARS), MOST_DOLLARS)
    dollars = [(listing.settlement, listing.settlement_decimals, 1.0, 1.0)]
    kinds = [(c.symbol, c.decimals, listing.feeds[c.feed][1], c.weight / MILLION) for c in listing.collaterals]
    few = chance.choices((1, 2, 3), (0.3, 0.5, 0.2))[0]
    chosen = dollars if chance.random() < PLAIN_SHARE else chance.sample(dollars + kinds, min(few, 1 + len(kinds)))
    deposits, counted = [], {True: 0.0, False: 0.0}
    for (symbol, decimals, price, weight), share in zip(chosen, _shares(chance, len(chosen)), strict=True):
        deposits.append((symbol, int(wealth * share / price * 10**decimals)))
        counted[symbol == listing.settlement] += wealth * share * weight
    return tuple(deposits), counted[True], counted[False]


def _size(listing: CurieListing, feed: str, dollars: float) -> int:
    return int(dollars / listing.feeds[feed][1] * 10**18)


def _shares(chance: Random, count: int) -> list[float]:
    """Random positive shares that add up to one."""
    raw = [chance.uniform(0.3, 1.0) for _ in range(count)]
    return [part / sum(raw) for part in raw]


# On the chain.


def open_accounts(deployed: DeployedCurie, openings: Sequence[CurieOpening]) -> None:
    """The owner deposits for all, each account trades, and the arbitrageur brings the pools back to the price.

    Raises InvariantBroken when the protocol refuses one.
    """
    deployed.admit(*(opening.account for opening in openings))
    deployed.node.send(
        *(
            tx
            for opening in openings
            for symbol, units in opening.deposits
            for tx in deployed.fund(opening.account, symbol, units)
        )
    )
    for start in range(0, len(openings), _CHUNK):
        wanted = [(opening, tx) for opening in openings[start : start + _CHUNK] for tx in _choices(deployed, opening)]
        receipts = deployed.node.try_send([tx for _, tx in wanted])
        for (opening, tx), receipt in zip(wanted, receipts, strict=True):
            if int(receipt["status"], 16) != 1:
                account = hexed(opening.account)
                raise InvariantBroken(f"the protocol refused 0x{tx.data[:4].hex()} of {account} at opening")
        deployed.node.send(
            *(tx for spec in deployed.listing.markets for tx in deployed.move_pool(spec.symbol, _price(deployed, spec)))
        )


def _choices(deployed: DeployedCurie, opening: CurieOpening) -> list[Tx]:
    """The trades and the liquidity of one account."""
    txs = [deployed.trade(opening.account, market, size) for market, size in opening.trades]
    for making in opening.making:
        price = _price(deployed, deployed.spec(making.market))
        ticks = deployed.ticks(making.market, price / making.width, price * making.width)
        txs.append(deployed.add_liquidity(opening.account, making.market, making.base, making.quote, ticks))
    return txs


def _price(deployed: DeployedCurie, spec: CurieMarketSpec) -> float:
    return float(deployed.listing.feeds[spec.feed][1])
