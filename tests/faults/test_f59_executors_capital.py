"""F59 with an executor, on real Aave v3: what its roles do to the capital is explained, a transfer by nobody is not."""

from pathlib import Path

from keeper.abi import checksum, load_abi
from keeper.model.chain import hexed
from keeper.model.events import BREAKER_OPEN, CAPITAL_MISSING, TX_MINED
from keeper.sim.arena import Arena, Running, arena_node, running
from keeper.sim.keeper import capacity
from keeper.sim.market import TREASURY
from keeper.sim.markets.aave_v3 import V3_6
from keeper.sim.markets.aave_v3.market import AaveSimMarket, market_factory
from keeper.sim.node.artifacts import ask, calldata
from tests.support.weather import FIRST_IN_BLOCK_WEI

FALL = {"ETH": 0.9, "WBTC": 0.92, "wstETH": 0.9, "LINK": 0.9}
UNITS, COINS, RICH = 1_000_000, 10**16, 10**21
_EXECUTOR = load_abi("KeeperExecutor").functions


def send(arena: Arena[AaveSimMarket], sender: bytes, to: bytes, data: bytes) -> None:
    """A transaction of an impersonated account, first in the next block."""
    arena.anvil.rpc("anvil_impersonateAccount", hexed(sender))
    fees = {"maxFeePerGas": hex(FIRST_IN_BLOCK_WEI), "maxPriorityFeePerGas": hex(FIRST_IN_BLOCK_WEI // 10)}
    call = {"from": hexed(sender), "to": hexed(to), "data": hexed(data), "gas": "0x100000"}
    arena.anvil.rpc("eth_sendTransaction", {**call, **fees})


async def mine_some(arena: Arena[AaveSimMarket], keeper: Running, part: float) -> None:
    """Let prices fall, and wait until something of the keeper's is mined and looked at."""
    before = len(keeper.of(TX_MINED))
    falls = {label: price * (1 - part * (1 - FALL.get(label, 1.0))) for label, price in arena.market.prices.items()}
    await keeper.handled((await arena.at_prices(falls)).number)
    for _ in range(6):
        await keeper.handled((await arena.quiet()).number)
        if len(keeper.of(TX_MINED)) > before and not keeper.execution.pending:
            return
    raise AssertionError("nothing of the keeper's was mined")


async def test_f59_sweeps_and_refuellings_are_explained_and_a_transfer_out_of_the_executor_is_not(
    tmp_path: Path,
) -> None:
    with arena_node() as anvil:
        arena = Arena.on(anvil, tmp_path, market_factory(V3_6), 40, 20, seed=2)
        arena.fund_keeper(50_000)
        executor, token = arena.market.holder, arena.market.tokens["USDC"]
        for rich in (executor, TREASURY):
            anvil.set_balance(rich, RICH)
        async with running(arena.settings(live=True, **capacity(300)), 5) as keeper:
            await keeper.handled(anvil.block_number())
            await mine_some(arena, keeper, 0.5)
            held = int(ask(arena.market.node, token, "balanceOf(address)", executor))
            for name, args in (
                ("sweep", (token, held // 2)),
                ("sweep", (bytes(20), COINS)),
                ("setGasBound", (10 * COINS,)),
                ("refuel", (COINS,)),
            ):
                send(arena, TREASURY, executor, _EXECUTOR[name].encode(*args))
            await mine_some(arena, keeper, 1.0)
            swept = int(ask(arena.market.node, token, "balanceOf(address)", TREASURY))
            assert swept == held // 2
            assert anvil.balance(executor) == RICH - 2 * COINS
            assert not keeper.of(CAPITAL_MISSING)
            send(arena, executor, token, calldata("transfer(address,uint256)", TREASURY, UNITS))
            await mine_some(arena, keeper, 1.6)
            missing = {event.fields["token"]: event.fields for event in keeper.of(CAPITAL_MISSING)}
            assert missing.keys() == {checksum(token), "native"}, "it paid for the gas of that transfer itself"
            assert {fields["holder"] for fields in missing.values()} == {checksum(executor)}
            assert missing[checksum(token)]["missing"] == str(UNITS)
            [breaker] = keeper.of(BREAKER_OPEN)
            assert breaker.fields["breaker"] == "invariant"
