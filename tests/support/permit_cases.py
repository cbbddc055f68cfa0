"""For each adapter a market without a chain, and calls that it may make there: two accounts, two of everything."""

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from keeper.abi import load_abi
from keeper.defi.uniswap_v3 import Pool
from keeper.model.chain import BlockRef, Call
from keeper.model.health import WAD
from keeper.protocols import executor
from keeper.protocols.aave_v3 import AaveV3Protocol
from keeper.protocols.aave_v3.discovery import Found
from keeper.protocols.aave_v3.state import DEBTS, SUPPLIES, TABLES as AAVE_TABLES, AaveState, Reserve
from keeper.protocols.base import EXECUTOR, Deployment, Protocol, Snapshot
from keeper.protocols.columns import Columns, TableSpec, Writer
from keeper.protocols.curie import CurieProtocol
from keeper.protocols.curie.contracts import Contracts
from keeper.protocols.curie.state import (
    BALANCES,
    POSITIONS,
    TABLES as CURIE_TABLES,
    CurieMarket,
    CurieState,
    CurieToken,
)
from tests.support.engine_state import (
    ENGINE,
    PROTOCOL as ENGINE_PROTOCOL,
    WETH,
    EngineHoldings,
    market,
    snapshot as engine_snapshot,
    state as engine_state,
)

NOW = 1_750_000_000
ANN, BOB, STRANGER = b"\xa1" * 20, b"\xb0" * 20, b"\x57" * 20
OWN = b"\xe8" * 20  # the executor
POOL, HOUSE, VAULT, FUND = b"\xd1" * 20, b"\xd2" * 20, b"\xd3" * 20, b"\xd4" * 20
GOLD, COIN, SALT = b"\x61" * 20, b"\x62" * 20, b"\x63" * 20  # tokens
GOLD_COIN, COIN_SALT = b"\x71" * 20, b"\x72" * 20  # pools
LONG, SHORT = b"\x81" * 20, b"\x82" * 20  # base tokens
UNIT = 10**12  # a settlement token of 6 decimals


@dataclass(frozen=True)
class Case:
    """An adapter, a block, and valid calls; the last is the largest."""

    name: str
    protocol: Protocol
    snapshot: Snapshot
    calls: tuple[Call, ...]


def _snapshot(tables: tuple[TableSpec, ...], state: Any, readings: Any, fill: Callable[[Writer], None]) -> Snapshot:
    columns = Columns(tables)
    fill(Writer(columns))
    return Snapshot(BlockRef(7, b"\7" * 32, b"\6" * 32, NOW), state, columns, readings)


def _calls(*orders: executor.Single, token: bytes) -> tuple[Call, ...]:
    """Each order alone, and all in a batch."""
    batch = executor.Batch(tuple((order.data(), 900_000) for order in orders), token, 5)
    return tuple(executor.call(OWN, order) for order in (*orders, batch))


def engine_case() -> Case:
    function = load_abi("MarginEngine").functions
    held = EngineHoldings(-5_000, ((1, 3 * WAD),))
    book = engine_snapshot(engine_state(market(), market(1)), {ANN: held, BOB: held})
    for who, size in ((ANN, 2 * WAD), (BOB, -3 * WAD)):
        Writer(book.columns).put("positions", who, 1, (size, 0, 0))
    calls = (
        Call(ENGINE, function["seizeCollateral"].encode(ANN, WETH, 5_000, 7, NOW + 60)),
        Call(ENGINE, function["liquidate"].encode(ANN, 1, WAD, 0, NOW + 60)),
        Call(ENGINE, function["liquidate"].encode(BOB, 1, 3 * WAD, 17, NOW + 60)),
    )
    return Case("margin_engine", ENGINE_PROTOCOL, book, calls)


def aave_case() -> Case:
    reserves = [
        Reserve(place, place, token, f"T{place}", token, token) for place, token in enumerate((GOLD, COIN, SALT))
    ]
    pools = (Pool(GOLD_COIN, GOLD, COIN, 500, 10), Pool(COIN_SALT, COIN, SALT, 500, 10))
    protocol = AaveV3Protocol(Deployment("aave_v3", 31337, 0, {"PoolAddressesProvider": b"\xd0" * 20, EXECUTOR: OWN}))
    state = AaveState(b"\1" * 20, b"", tuple(reserves))
    protocol._found = Found(b"\xd0" * 20, OWN, POOL, state=state, pools=pools)
    price = SimpleNamespace(configuration=SimpleNamespace(unit=10**18))
    readings = SimpleNamespace(
        reserves=dict.fromkeys(range(3), price), prices=dict.fromkeys((GOLD, COIN, SALT), 10**8), unit=10**8
    )

    def fill(writer: Writer) -> None:
        for who in (ANN, BOB):
            writer.put(SUPPLIES, who, 0, (10**20, 1))
            writer.put(SUPPLIES, who, 1, (10**20, 1))
            writer.put(DEBTS, who, 1, (10**20, 0, 0, 0, 1))
            writer.put(DEBTS, who, 2, (0, 10**20, 0, 0, 1))

    def order(who: bytes, sold: bytes, owed: bytes, *pools: bytes, flash: bool, least: int) -> executor.AaveLiquidation:
        swap = executor.Swap(pools, 3 if pools else 0)
        return executor.AaveLiquidation(POOL, who, sold, owed, 10**18, flash, swap, least)

    one = order(ANN, GOLD, COIN, GOLD_COIN, flash=True, least=5)
    same = order(BOB, COIN, COIN, flash=False, least=0)
    two = executor.call(OWN, order(BOB, GOLD, SALT, GOLD_COIN, COIN_SALT, flash=False, least=9))
    return Case(
        "aave_v3", protocol, _snapshot(AAVE_TABLES, state, readings, fill), (two, *_calls(one, same, token=COIN))
    )


def curie_case() -> Case:
    contracts = Contracts(HOUSE, VAULT, insurance_fund=FUND, settlement=COIN, decimals=6)
    deployment = Deployment("curie", 31337, 0, {"ClearingHouse": HOUSE, EXECUTOR: OWN})
    exits = (Pool(GOLD_COIN, GOLD, COIN, 500, 10),)
    state = CurieState(
        markets=(CurieMarket(0, LONG, b"\x91" * 20), CurieMarket(1, SHORT, b"\x92" * 20)),
        tokens=(CurieToken(0, COIN), CurieToken(1, GOLD, exits=exits)),
    )
    view = SimpleNamespace(market=lambda _: SimpleNamespace(mark_price=2_000 * WAD))

    def fill(writer: Writer) -> None:
        for who in (ANN, BOB):
            writer.put(BALANCES, who, 1, (10**18,))
            writer.put(POSITIONS, who, 0, (5 * WAD, -(10**4) * WAD, 0, 0))
            writer.put(POSITIONS, who, 1, (-2 * WAD, 10**4 * WAD, 0, 0))

    book = _snapshot(CURIE_TABLES, state, SimpleNamespace(memo={NOW: view}), fill)
    long = executor.CurieLiquidation(HOUSE, ANN, LONG, 5 * WAD, 10**6, False, 0, 0, 3)
    short = executor.CurieLiquidation(HOUSE, BOB, SHORT, -WAD, 10**6, True, 2**96, 10**20, 0)
    bought = executor.CurieCollateral(VAULT, BOB, GOLD, 10**9, executor.Swap((GOLD_COIN,), 4), 2)
    calls = (executor.call(OWN, bought), *_calls(long, short, token=COIN))
    return Case("curie", CurieProtocol(deployment, contracts), book, calls)


CASES = [engine_case(), aave_case(), curie_case()]
