"""Storage slots of values without a view, by solc's layouts for version 2.8.4."""

from collections.abc import Sequence

from keeper.defi.proxies import mapping_slot

BASE_SLOTS = (204, 205, 206, 207)  # BaseToken: feed and status, paused price, paused time, closed price
# V3 feed: index of the newest observation, time of the first place, cached TWAP, its time, last price, its time
FEED_SLOTS = (0, 3, 5401, 5402, 5403, 5404)


def account_slots(account: bytes, bases: Sequence[bytes]) -> list[int]:
    """AccountBalance: owed realised profit, number of markets, then size, notional and premium of each market."""
    slots = [mapping_slot(157, account), mapping_slot(158, account)]
    for base in bases:
        first = mapping_slot(159, account, base)
        slots += [first, first + 1, first + 2]
    return slots


def pool_slot(base: bytes) -> int:
    """MarketRegistry: the pool of a base token."""
    return mapping_slot(156, base)


def balance_slots(account: bytes, tokens: Sequence[bytes]) -> list[int]:
    """Vault: the account's balance of each token."""
    return [mapping_slot(311, account, token) for token in tokens]


def threshold_slot(account: bytes) -> int:
    """CollateralManager: a debt threshold of the account's own."""
    return mapping_slot(209, account)


def order_slots(key: bytes) -> list[int]:
    """OrderBook: liquidity and ticks, fee growth, three funding growths, base debt, quote debt of an order."""
    first = mapping_slot(207, key)
    return [first + at for at in range(7)]


def exchange_slots(base: bytes) -> list[int]:
    """Exchange: last tick, first trade, last settlement, two premium growths, ticks a block, time of the last tick."""
    growth = mapping_slot(211, base)
    singles = [mapping_slot(slot, base) for slot in (208, 209, 210)]
    return [*singles, growth, growth + 1, mapping_slot(212, base), mapping_slot(214, base)]


def growth_slots(base: bytes, ticks: Sequence[int]) -> list[int]:
    """OrderBook: global fee growth, then fee growth and two premium growths outside of each tick."""
    slots = [mapping_slot(209, base)]
    for tick in ticks:
        first = mapping_slot(208, base, tick)
        slots += [first, first + 1, first + 2]
    return slots
