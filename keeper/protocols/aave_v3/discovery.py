"""What is read before the first log, from the addresses provider alone, in five rounds.

1. The pool, its configurator, oracle and sentinel. 2. The pool's revision, its reserves and eModes. 3. The reserves'
tokens and symbols, where the oracle's prices come from, and the executor's factory of Uniswap pools, where there is an
executor. 4. Its pools between any two reserves. 5. Their tokens and fees.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

from eth_abi.exceptions import DecodingError

from keeper.abi import checksum, load_abi
from keeper.defi import chainlink, erc20, uniswap_reads
from keeper.defi.proxies import bits, stored_address, words
from keeper.defi.uniswap_v3 import Pool
from keeper.errors import OperatorError
from keeper.model.chain import Call, CallResult, storage_read
from keeper.protocols import executor
from keeper.protocols.aave_v3 import storage
from keeper.protocols.aave_v3.state import AaveState, Reserve
from keeper.protocols.aave_v3.versions import VERSIONS, Version

_PROVIDER = load_abi("IAaveAddressesProvider").functions
_POOL = load_abi("IAavePool").functions
_ORACLE = load_abi("IAaveOracle").functions
_NAMES = ("getPool", "getPoolConfigurator", "getPriceOracle", "getPriceOracleSentinel")


@dataclass(frozen=True, slots=True)
class Found:
    """The answers so far. `version` None: the pool's revision was not read yet."""

    provider: bytes
    executor: bytes = b""
    pool: bytes = b""
    configurator: bytes = b""
    revision: int = 0
    version: Version | None = None
    state: AaveState = field(default_factory=lambda: AaveState(b"", b""))
    factory: bytes = b""  # of Uniswap v3
    addresses: tuple[bytes, ...] = ()  # of its pools
    pools: tuple[Pool, ...] = ()
    described: bool = False  # the reserves
    complete: bool = False


def calls(found: Found) -> list[Call]:
    """The calls of the next round; empty when discovery is complete."""
    if found.complete:
        return []
    if not found.pool:
        return [Call(found.provider, _PROVIDER[name].encode()) for name in _NAMES]
    if found.version is None:
        categories = [slot for id_ in _category_ids() for slot in list(storage.category_slots(id_))[:1]]
        return [
            Call(found.pool, _POOL["POOL_REVISION"].encode()),
            Call(found.pool, _POOL["getReservesList"].encode()),
            Call(found.state.oracle, _ORACLE["BASE_CURRENCY"].encode()),
            storage_read(found.pool, categories),
        ]
    if not found.described:
        return _token_calls(found)
    if not found.addresses:
        return _pool_calls(found)
    return [call for address in found.addresses for call in uniswap_reads.describe(address)]


def _category_ids() -> range:
    return range(1, storage.MOST_CATEGORIES + 1)


def _token_calls(found: Found) -> list[Call]:
    """Three views and the pool's words of each reserve, then a source for each price."""
    asked = []
    for reserve in found.state.reserves:
        asked += [
            storage_read(found.pool, storage.reserve_slots(reserve.asset)),
            erc20.symbol(reserve.asset),
            Call(found.state.oracle, _ORACLE["getSourceOfAsset"].encode(reserve.asset)),
        ]
    sources = [source for source in found.state.categories.values() if source]
    asked += [Call(found.state.oracle, _ORACLE["getSourceOfAsset"].encode(source)) for source in sources]
    return asked + (executor.ties_calls(found.executor) if found.executor else [])


def _pool_calls(found: Found) -> list[Call]:
    """The address of every possible pool between two reserves."""
    assets = [reserve.asset for reserve in found.state.reserves]
    return [
        uniswap_reads.find(found.factory, first, second, fee)
        for first, second in combinations(assets, 2)
        for fee in uniswap_reads.FEES
    ]


def learn(found: Found, results: Sequence[CallResult]) -> Found:
    """The answers to `calls` added. Raises OperatorError when the adapter does not support this market."""
    try:
        if not found.pool:
            return _addresses(found, results)
        if found.version is None:
            return _pool(found, results)
        if not found.described:
            return _tokens(found, results)
        return _exits(found, results)
    except (DecodingError, IndexError, StopIteration) as error:
        raise OperatorError(
            f"KEEPER_DEPLOYMENT: PoolAddressesProvider at {checksum(found.provider)} does not answer as Aave v3's "
            f"does ({type(error).__name__})"
        ) from None


def _addresses(found: Found, results: Sequence[CallResult]) -> Found:
    pool, configurator, oracle, sentinel = (chainlink.address_of(result) or b"" for result in results)
    if not (pool and configurator and oracle):
        raise OperatorError(
            f"KEEPER_DEPLOYMENT: {checksum(found.provider)} returns no pool, configurator or price oracle: it is not "
            "Aave v3's PoolAddressesProvider"
        )
    return replace(found, pool=pool, configurator=configurator, state=AaveState(oracle, sentinel))


def _pool(found: Found, results: Sequence[CallResult]) -> Found:
    revision, listed, currency, stored = results
    number = chainlink.word_of(revision)
    if number is None or number not in VERSIONS:
        known = ", ".join(f"{number} ({version.name})" for number, version in VERSIONS.items())
        said = "does not return its revision" if number is None else f"has revision {number}"
        raise OperatorError(
            f"KEEPER_DEPLOYMENT: the Aave pool at {checksum(found.pool)} {said}; this keeper supports {known} only"
        )
    if chainlink.address_of(currency):
        raise OperatorError("KEEPER_DEPLOYMENT: the oracle of this Aave market does not price in US dollars")
    version = VERSIONS[number]
    (assets,) = _POOL["getReservesList"].decode(listed.data)
    reserves = tuple(Reserve(index, 0, bytes.fromhex(asset[2:]), "", b"", b"") for index, asset in enumerate(assets))
    categories = {
        id_: storage.address_at(word >> 48) if not version.modern and word >> 48 else b""
        for id_, word in zip(_category_ids(), words(stored), strict=True)
        if word
    }
    state = replace(found.state, reserves=reserves, categories=categories)
    return replace(found, revision=number, version=version, state=state)


def _tokens(found: Found, results: Sequence[CallResult]) -> Found:
    assert found.version is not None
    answers = iter(results)
    reserves, sources = [], {}
    for reserve in found.state.reserves:
        slots = words(next(answers))
        symbol = erc20.symbol_of(next(answers)) or "0x" + reserve.asset.hex()[:8]
        sources[reserve.asset] = chainlink.address_of(next(answers)) or b""
        stable = storage.address_at(slots[5]) if found.version.stable else b""
        tokens = storage.address_at(slots[4]), storage.address_at(slots[6]), stable if any(stable) else b""
        reserves.append(
            Reserve(
                reserve.index, bits(slots[3], 168, 16), reserve.asset, symbol, *tokens, decimals=bits(slots[0], 48, 8)
            )
        )
    for source in found.state.categories.values():
        if source:
            sources[source] = chainlink.address_of(next(answers)) or b""
    factory = _factory(found.executor, list(answers)) if found.executor else b""
    state = replace(found.state, reserves=tuple(reserves), sources=sources)
    return replace(found, state=state, factory=factory, described=True, complete=not factory)


def _factory(address: bytes, answers: Sequence[CallResult]) -> bytes:
    ties = executor.ties(answers)
    if ties is None:
        raise OperatorError(
            f"KEEPER_DEPLOYMENT: Executor at {checksum(address)} is not the keeper's executor: correct the address, "
            "or remove it"
        )
    return ties.factory


def _exits(found: Found, results: Sequence[CallResult]) -> Found:
    if not found.addresses:
        addresses = tuple(address for result in results if (address := stored_address(result)))
        return replace(found, addresses=addresses, complete=not addresses)
    each = len(results) // len(found.addresses)
    described = [
        uniswap_reads.described(address, results[place * each : (place + 1) * each])
        for place, address in enumerate(found.addresses)
    ]
    return replace(found, pools=tuple(pool for pool in described if pool), complete=True)
