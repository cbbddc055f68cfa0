"""Which logs matter, and what they change. Amounts are not taken from them: a touched account is read from storage.

Every change of a balance or debt comes with a `Transfer` of its token, to or from the account; flags that change
without one have events of their own in the pool.
"""

from collections.abc import Callable
from dataclasses import replace

from eth_abi.exceptions import DecodingError

from keeper.abi import load_abi
from keeper.defi.erc20 import TRANSFER
from keeper.errors import InvariantBroken
from keeper.model.chain import Log, LogFilter
from keeper.protocols.aave_v3.state import DEBTS, AaveState, Reserve
from keeper.protocols.aave_v3.versions import Version
from keeper.protocols.columns import Writer

_POOL = load_abi("IAavePool").events
_CONFIGURATOR = load_abi("IAaveConfigurator").events
_PROVIDER = load_abi("IAaveAddressesProvider").events
_ORACLE = load_abi("IAaveOracle").events
# Pool event -> which topics name an account that it changes.
_TOUCHED = {
    "UserEModeSet": (1,),
    "ReserveUsedAsCollateralEnabled": (2,),
    "ReserveUsedAsCollateralDisabled": (2,),
    "Supply": (2,),
    "Withdraw": (2,),
    "Borrow": (2,),
    "Repay": (2,),
    "LiquidationCall": (3,),
    "SwapBorrowRateMode": (2,),
    "RebalanceStableBorrowRate": (2,),
    "DeficitCreated": (1,),
}
TOUCHED = {_POOL[name].topic: places for name, places in _TOUCHED.items()}
_ZERO = bytes(32)

Handler = Callable[[Version, AaveState, Log], AaveState]


def log_filter(provider: bytes, pool: bytes, configurator: bytes, state: AaveState) -> LogFilter:
    """Logs of the pool, its registry, its oracle and all its tokens."""
    tokens = [token for reserve in state.reserves for token in reserve.tokens]
    return LogFilter((provider, pool, configurator, state.oracle, *tokens), (TRANSFER, *TOUCHED, *_HANDLERS))


def fold(version: Version, pool: bytes, state: AaveState, log: Log, writer: Writer) -> AaveState:
    """Apply one log. Raises InvariantBroken when it cannot be decoded."""
    topic = log.topics[0] if log.topics else b""
    try:
        if topic == TRANSFER:
            _transfer(state, log, writer)
        elif log.address == pool and topic in TOUCHED:
            for place in TOUCHED[topic]:
                writer.touch(log.topics[place][12:])
        elif topic in _HANDLERS:
            return _HANDLERS[topic](version, state, log)
    except (IndexError, ValueError, DecodingError) as error:
        where = f"log {log.index} of block {log.block_number}"
        raise InvariantBroken(f"{where} of Aave cannot be decoded: {error!r}") from error
    return state


def _transfer(state: AaveState, log: Log, writer: Writer) -> None:
    source, target = log.topics[1], log.topics[2]
    for topic in (source, target):
        if topic != _ZERO:
            writer.touch(topic[12:])
    if source == _ZERO:
        for reserve in state.reserves:
            if log.address in (reserve.debt_token, reserve.stable_token):
                known = writer.get(DEBTS, target[12:], reserve.index)
                writer.put(DEBTS, target[12:], reserve.index, known)  # it has, or had, a debt: the row says so


def _reserve_initialized(version: Version, state: AaveState, log: Log) -> AaveState:
    (asset, supply), (stable, debt, _) = _CONFIGURATOR["ReserveInitialized"].decode(log)
    asset, supply, stable, debt = (_raw(address) for address in (asset, supply, stable, debt))
    state = replace(state, announced=state.announced | {supply})
    for known in state.reserves:
        if known.supply_token == supply:
            return _with(state, replace(known, dropped=False))
    taken = {reserve.id for reserve in state.listed()}
    id_ = next(number for number in range(len(taken) + 1) if number not in taken)
    stable = stable if version.stable and any(stable) else b""
    reserve = Reserve(len(state.reserves), id_, asset, "0x" + asset.hex()[:8], supply, debt, stable)
    return replace(state, reserves=(*state.reserves, reserve))


def _reserve_dropped(_: Version, state: AaveState, log: Log) -> AaveState:
    asset = log.topics[1][12:]
    reserves = tuple(replace(item, dropped=True) if item.asset == asset else item for item in state.reserves)
    return replace(state, reserves=reserves)


def _category_added(version: Version, state: AaveState, log: Log) -> AaveState:
    (category,), (_, _, _, oracle, _) = _CONFIGURATOR["EModeCategoryAdded"].decode(log)
    source = b"" if version.modern or not any(_raw(oracle)) else _raw(oracle)
    return replace(state, categories={**state.categories, category: source})


def _oracle_updated(_: Version, state: AaveState, log: Log) -> AaveState:
    return replace(state, oracle=log.topics[2][12:])


def _sentinel_updated(_: Version, state: AaveState, log: Log) -> AaveState:
    address = log.topics[2][12:]
    return replace(state, sentinel=address if any(address) else b"")


def _source_updated(_: Version, state: AaveState, log: Log) -> AaveState:
    if log.address != state.oracle:
        return state
    return replace(state, sources={**state.sources, log.topics[1][12:]: log.topics[2][12:]})


def _with(state: AaveState, reserve: Reserve) -> AaveState:
    reserves = list(state.reserves)
    reserves[reserve.index] = reserve
    return replace(state, reserves=tuple(reserves))


def _raw(address: str) -> bytes:
    return bytes.fromhex(address[2:])


_HANDLERS: dict[bytes, Handler] = {
    _CONFIGURATOR["ReserveInitialized"].topic: _reserve_initialized,
    _CONFIGURATOR["ReserveDropped"].topic: _reserve_dropped,
    _CONFIGURATOR["EModeCategoryAdded"].topic: _category_added,
    _PROVIDER["PriceOracleUpdated"].topic: _oracle_updated,
    _PROVIDER["PriceOracleSentinelUpdated"].topic: _sentinel_updated,
    _ORACLE["AssetSourceUpdated"].topic: _source_updated,
}
