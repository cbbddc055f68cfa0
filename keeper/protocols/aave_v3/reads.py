"""What no log announces, read in every block: reserves, prices, eModes, liquidity, the sentinel, Uniswap pools."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice

from keeper.abi import load_abi
from keeper.defi import chainlink, erc20, uniswap_reads
from keeper.defi.fixed_point import ray_mul
from keeper.defi.proxies import bits, mapping_slot, words
from keeper.defi.uniswap_v3 import Pool, PoolState
from keeper.errors import InvariantBroken, Refused
from keeper.model.chain import Call, CallResult, storage_read
from keeper.model.refusal import RefusalCode
from keeper.protocols.aave_v3 import exits, storage
from keeper.protocols.aave_v3.rates import compounded, linear
from keeper.protocols.aave_v3.state import AaveState
from keeper.protocols.aave_v3.storage import Configuration
from keeper.protocols.aave_v3.versions import Version

_ORACLE = load_abi("IAaveOracle").functions
_SENTINEL = load_abi("IAaveSentinel").functions
_POOL = load_abi("IAavePool").functions
_MOST_PRICE = 1 << 128


@dataclass(frozen=True, slots=True)
class ReserveData:
    """One reserve's part of the pool's storage. Indices and rates in ray, `updated` and `grace_until` in seconds."""

    configuration: Configuration
    supply_index: int
    supply_rate: int
    debt_index: int
    debt_rate: int
    updated: int
    grace_until: int = 0
    liquidity: int = 0  # units that the aToken can pay out

    def income(self, timestamp: int) -> int:
        """The supply index at a time."""
        if timestamp == self.updated:
            return self.supply_index
        return ray_mul(linear(self.supply_rate, timestamp - self.updated), self.supply_index)

    def debt(self, version: Version, timestamp: int) -> int:
        """The index of variable debt at a time."""
        if timestamp == self.updated:
            return self.debt_index
        return ray_mul(compounded(version, self.debt_rate, timestamp - self.updated), self.debt_index)


@dataclass(frozen=True, slots=True)
class Category:
    """An eMode. Ratios in bps. `price`: of all its assets (3.0.2), 0 when each has its own; None when unreadable.
    `collateral` and `ltv_zero`: bitmaps of reserves (3.6)."""

    ltv: int
    threshold: int
    bonus: int
    price: int | None = 0
    collateral: int = 0
    ltv_zero: int = 0


@dataclass(frozen=True, slots=True)
class Terms:
    """What one reserve counts for an account in a given eMode. Ratios in bps, `price` in the base currency."""

    price: int
    ltv: int
    threshold: int
    bonus: int


@dataclass(frozen=True, slots=True)
class AaveReadings:
    """One block's answers. `reserves`: by index, those that the pool lists. `prices`: asset -> in the base currency."""

    version: Version
    unit: int  # of the base currency: 1e8
    premium: int  # of flash loans, bps
    reserves: Mapping[int, ReserveData]
    prices: Mapping[bytes, int]
    updated: Mapping[bytes, int]  # source of a price -> when it last spoke, seconds
    categories: Mapping[int, Category]
    allowed: bool  # by the sentinel, where there is one; once it allows liquidations, time does not change its mind
    pools: Mapping[bytes, PoolState] = field(default_factory=dict)  # Uniswap's, to sell in
    scratch: dict[tuple[int, int, int], int] = field(default_factory=dict, compare=False)  # indices by time
    quotes: dict[tuple[object, ...], exits.Quote | None] = field(default_factory=dict, compare=False)
    terms: dict[tuple[int, int], Terms] = field(default_factory=dict, compare=False)  # by reserve and eMode
    rooms: dict[tuple[bytes, bytes, int], int] = field(default_factory=dict, compare=False)

    def price(self, asset: bytes, label: str) -> int:
        """Raises Refused("unpriced"), as the contract's own views would revert."""
        if asset not in self.prices:
            raise Refused(RefusalCode.UNPRICED, f"the oracle has no price of {label}")
        return self.prices[asset]

    def room(self, pool: Pool, token: bytes, slip_bps: int) -> int:
        """What a pool takes of a token before its price has moved by a share: see `exits.room`."""
        key = pool.address, token, slip_bps
        if key not in self.rooms:
            state = self.pools.get(pool.address)
            self.rooms[key] = exits.room(state, token, slip_bps) if state else 0
        return self.rooms[key]


def priced(state: AaveState) -> list[bytes]:
    """Assets whose price is read: the reserves' own, and the price sources of eModes."""
    assets = [reserve.asset for reserve in state.listed()]
    return list(dict.fromkeys(assets + [source for source in state.categories.values() if source]))


def reads(pool: bytes, pools: Sequence[Pool], state: AaveState) -> list[Call]:
    """One storage read of the pool, and views of the oracle, its sources, the tokens and the sentinel."""
    assets = priced(state)
    calls = [Call(pool, _POOL["POOL_REVISION"].encode()), storage_read(pool, _slots(state))]
    calls.append(Call(state.oracle, _ORACLE["BASE_CURRENCY_UNIT"].encode()))
    # The source stands behind the arguments, where no decoder looks: whose price it is can be told from the call.
    ask = _ORACLE["getAssetPrice"]
    calls += [Call(state.oracle, ask.encode(asset) + state.sources.get(asset, b"")) for asset in assets]
    calls += [chainlink.latest(source) for source in _sources(state)]
    calls += [erc20.balance_of(reserve.asset, reserve.supply_token) for reserve in state.listed()]
    if state.sentinel:
        calls.append(Call(state.sentinel, _SENTINEL["isLiquidationAllowed"].encode()))
    return calls + [uniswap_reads.around(item.address, exits.REACH) for item in pools]


def _sources(state: AaveState) -> list[bytes]:
    found = (state.sources.get(asset, b"") for asset in priced(state))
    return list(dict.fromkeys(source for source in found if any(source)))


@lru_cache(maxsize=4_096)
def _reserve_slots(asset: bytes) -> tuple[int, ...]:
    return tuple(storage.reserve_slots(asset))


@lru_cache(maxsize=256)
def _category_slots(category: int) -> tuple[int, ...]:
    return tuple(storage.category_slots(category))


@lru_cache(maxsize=256)
def _list_slot(id_: int) -> int:
    return mapping_slot(storage.RESERVES_LIST, id_)


def _slots(state: AaveState) -> list[int]:
    found = [storage.FLASH_PREMIUM]
    for reserve in state.listed():
        found += [*_reserve_slots(reserve.asset), _list_slot(reserve.id)]
    for category in sorted(state.categories):
        found += _category_slots(category)
    return found


def decode_reads(
    version: Version, revision: int, pools: Sequence[Pool], state: AaveState, results: Sequence[CallResult]
) -> AaveReadings:
    """Readings from the answers to `reads`. Raises InvariantBroken when the pool is not the one that was found."""
    answers = iter(results)
    found = chainlink.word_of(next(answers))
    if found != revision:
        raise InvariantBroken(f"the Aave pool was upgraded from revision {revision} to {found}: restart the keeper")
    stored = iter(words(next(answers)))
    unit = chainlink.word_of(next(answers)) or 0
    assets = priced(state)
    prices = {asset: price for asset, result in zip(assets, answers, strict=False) if (price := _price(result)) >= 0}
    rounds = {source: chainlink.round_of(next(answers)) for source in _sources(state)}
    liquidity = {reserve.index: erc20.amount_of(next(answers)) or 0 for reserve in state.listed()}
    allowed = not state.sentinel or chainlink.word_of(next(answers)) == 1
    return AaveReadings(
        version=version,
        unit=unit,
        premium=bits(next(stored, 0), 0, 128),
        reserves=_reserves(version, state, stored, liquidity),
        prices=prices,
        updated={source: found.updated_at for source, found in rounds.items() if found},
        categories={id_: _category(version, stored, state, prices, id_) for id_ in sorted(state.categories)},
        allowed=allowed,
        pools={item.address: seen for item in pools if (seen := uniswap_reads.state_of(item, next(answers)))},
    )


def _price(result: CallResult) -> int:
    """In the base currency; -1 when there is none, or an implausible one."""
    price = erc20.amount_of(result)
    return price if price is not None and price < _MOST_PRICE else -1


def _reserves(
    version: Version, state: AaveState, stored: Iterator[int], liquidity: Mapping[int, int]
) -> dict[int, ReserveData]:
    """The reserves that the pool lists at this block. A reserve that is not listed yet is skipped.

    Raises InvariantBroken when one is not the reserve that the logs announced.
    """
    found = {}
    for reserve in state.listed():
        slots, listed = list(islice(stored, storage.RESERVE_SLOTS)), next(stored, 0)
        if len(slots) < storage.RESERVE_SLOTS:
            raise InvariantBroken("the node returned no storage of the Aave pool")
        if storage.address_at(slots[4]) != reserve.supply_token:
            continue  # listed later, or dropped: its flags count for nothing
        if storage.address_at(listed) != reserve.asset or bits(slots[3], 168, 16) != reserve.id:
            raise InvariantBroken(f"{reserve.symbol} is not reserve {reserve.id} of the pool: restart the keeper")
        found[reserve.index] = _reserve(version, slots, liquidity[reserve.index])
    return found


def _reserve(version: Version, slots: Sequence[int], held: int) -> ReserveData:
    """`ReserveData` of DataTypes.sol."""
    return ReserveData(
        configuration=Configuration(slots[0]),
        supply_index=bits(slots[1], 0, 128),
        supply_rate=bits(slots[1], 128, 128),
        debt_index=bits(slots[2], 0, 128),
        debt_rate=bits(slots[2], 128, 128),
        updated=bits(slots[3], 128, storage.UINT40),
        grace_until=bits(slots[3], 184, storage.UINT40) if version.modern else 0,
        liquidity=min(held, bits(slots[8], 128, 128)) if version.modern else held,
    )


def _category(
    version: Version, stored: Iterator[int], state: AaveState, prices: Mapping[bytes, int], id_: int
) -> Category:
    """`EModeCategory` of DataTypes.sol."""
    first, _, bitmaps = (next(stored, 0) for _ in range(storage.CATEGORY_SLOTS))
    ratios = bits(first, 0, 16), bits(first, 16, 16), bits(first, 32, 16)
    if version.modern:
        return Category(*ratios, 0, bits(first, 48, 128), bits(bitmaps, 128, 128))
    source = storage.address_at(first >> 48) if first >> 48 else b""
    if not source:
        return Category(*ratios)
    known = source == state.categories[id_]
    return Category(*ratios, prices.get(source) if known else None)
