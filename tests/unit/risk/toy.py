"""A small margin protocol with the screening half of the plug-in contract: exact integers, and floats with a bound."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from keeper.errors import Refused
from keeper.model.chain import BlockRef
from keeper.model.health import WAD, Health, ratio_wad
from keeper.protocols.base import Screen, Snapshot
from keeper.protocols.columns import Columns, TableSpec, Writer

TABLES = (TableSpec("cash", ("amount",)), TableSpec("positions", ("size",)))
RATE = 5 * 10**16  # maintenance margin: 5 %
BLOCK_TIME = 1_000


@dataclass(frozen=True)
class Market:
    """Prices (0 cannot be used), and what an account with a position pays each second, in 1e18 dollars."""

    prices: tuple[int, ...]
    charge: int = 0


class Toy:
    """Equity = cash + size * price - charge * seconds; requirement = 5 % of the notional, rounded up."""

    name = "toy"

    def __init__(self, blind: frozenset[int] = frozenset(), ulps: float = 2.0**-44) -> None:
        self.blind = blind  # rows whose price turns out to be unusable only in the exact evaluation
        self.ulps = ulps

    def screen(self, snapshot: Snapshot, timestamp: int) -> Screen:
        market: Market = snapshot.readings
        columns, count = snapshot.columns, len(snapshot.columns)
        prices = np.array(market.prices, dtype=np.float64) / WAD
        equity, requirement, volume = (np.zeros(count) for _ in range(3))
        held, unpriced = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
        cash = columns["cash"]
        amounts = cash.floats("amount") / WAD
        np.add.at(equity, cash.accounts, amounts)
        np.add.at(volume, cash.accounts, np.abs(amounts))
        positions = columns["positions"]
        sizes = positions.floats("size") / WAD
        values = sizes * prices[positions.assets]
        np.add.at(equity, positions.accounts, values)
        np.add.at(requirement, positions.accounts, np.abs(values) * (RATE / WAD))
        np.add.at(volume, positions.accounts, np.abs(values))
        held[positions.accounts[sizes != 0]] = True
        unpriced[positions.accounts[(sizes != 0) & (prices[positions.assets] == 0)]] = True
        charge = market.charge / WAD * (timestamp - BLOCK_TIME) * held
        slack = equity - charge - requirement
        with np.errstate(divide="ignore", invalid="ignore"):
            health = np.where(requirement > 0, (equity - charge) / requirement, np.inf)
        return Screen(slack, (volume + charge) * self.ulps + 1e-17, health, held | (volume > 0), unpriced)

    def health(self, snapshot: Snapshot, row: int, timestamp: int) -> Health:
        market: Market = snapshot.readings
        equity = snapshot.columns["cash"].get(row, 0)[0]
        requirement, held = 0, False
        for asset, (size,) in snapshot.columns["positions"].holdings(row):
            price = market.prices[asset]
            if price == 0 or row in self.blind:
                raise Refused("unpriced")
            equity += size * price // WAD
            requirement -= -abs(size) * price * RATE // WAD**2
            held = True
        equity -= market.charge * (timestamp - BLOCK_TIME) * held
        return Health(equity, requirement, equity < requirement, ratio_wad(equity, requirement))


def address(number: int) -> bytes:
    return number.to_bytes(20, "big")


def snapshot(
    accounts: Sequence[tuple[int, Mapping[int, int]]], market: Market, base_fee: int = 10**9, number: int = 100
) -> Snapshot:
    """Accounts as (cash, market -> size); account i has the address i."""
    writer = Writer(Columns(TABLES))
    for i, (cash, sizes) in enumerate(accounts):
        writer.put("cash", address(i), 0, (cash,))
        for asset, size in sizes.items():
            writer.put("positions", address(i), asset, (size,))
    block = BlockRef(number, b"\1" * 32, b"\0" * 32, BLOCK_TIME, base_fee, gas_used=15_000_000)
    return Snapshot(block, None, writer.columns, market)
