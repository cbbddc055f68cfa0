"""What the adapter cannot do exactly it refuses by name, and nothing is said of it that the contracts do not say."""

from collections.abc import Iterator

import pytest

from keeper.book.discovery import discover
from keeper.book.sync import load_snapshot
from keeper.errors import OperatorError, Refused
from keeper.model.chain import Call, hexed
from keeper.model.health import WAD
from keeper.protocols.base import Deployment, Snapshot
from keeper.protocols.curie import CurieProtocol
from keeper.sim.node.artifacts import TxBatch, calldata, forged
from keeper.sim.node.client import Tx
from tests.support.curie import OPERATOR, CurieBench, account, curie_bench

TRADER, OTHER = account(1), account(2)


@pytest.fixture(scope="module")
def market() -> Iterator[CurieBench]:
    with curie_bench() as bench:
        deployed = bench.deployed
        deployed.admit(TRADER, OTHER)
        bench.node.send(
            deployed.mint("USDC", bench.executor, 10**12),
            *deployed.fund(TRADER, "USDC", 330 * 10**6),
            *deployed.fund(OTHER, "USDC", 330 * 10**6),
        )
        bench.node.send(deployed.trade(TRADER, "vETH", 10**18), deployed.trade(OTHER, "vETH", 10**17))
        yield bench


@pytest.fixture
def bench(market: CurieBench) -> Iterator[CurieBench]:
    """The market as it was; what a test does to it is undone."""
    market.snapshot()
    copy = market.anvil.snapshot()
    yield market
    market.anvil.revert(copy)
    market.resync()


def fall(bench: CurieBench, dollars: float) -> None:
    """Oracle and pool, and a mark price that followed."""
    price = 3_000.0
    while price > dollars:
        price = max(price * 0.95, dollars)
        bench.node.send(bench.deployed.set_oracle("ETH", price), *bench.deployed.move_pool("vETH", price))
        bench.deployed.warp(30)


def row_of(snapshot: Snapshot, who: bytes) -> int:
    row = snapshot.columns.accounts.row(who)
    assert row is not None
    return row


def refusal(bench: CurieBench, who: bytes) -> Refused:
    """What `opportunities` says of an account that is liquidatable."""
    snapshot = bench.snapshot()
    now = snapshot.block.timestamp + 12
    assert bench.protocol.health(snapshot, row_of(snapshot, who), now).liquidatable
    with pytest.raises(Refused) as caught:
        bench.protocol.opportunities(snapshot, row_of(snapshot, who), now, WAD, {})
    return caught.value


@pytest.mark.parametrize(
    ("name", "problem"), [("QuoteToken", "getVault gives no address"), ("AccountBalance", "gives no address")]
)
def test_another_contract_is_refused_in_one_line(bench: CurieBench, name: str, problem: str) -> None:
    deployment = Deployment("curie", 31337, 0, {"ClearingHouse": bench.deployed.contracts[name]})
    with pytest.raises(OperatorError, match=f"KEEPER_DEPLOYMENT: ClearingHouse 0x.* is not Perpetual.*{problem}"):
        bench.loop.run_until_complete(discover(bench.chain.reader, CurieProtocol(deployment)))


def test_an_executor_that_is_none_is_refused_in_one_line(bench: CurieBench) -> None:
    contracts = {"ClearingHouse": bench.deployed.contracts["ClearingHouse"], "Executor": bench.deployed.tokens["USDC"]}
    with pytest.raises(OperatorError, match=r"Executor 0x.* returns no Uniswap factory"):
        bench.loop.run_until_complete(
            discover(bench.chain.reader, CurieProtocol(Deployment("curie", 31337, 0, contracts)))
        )


def test_a_collateral_with_a_feed_of_another_kind_refuses_its_holders_alone(bench: CurieBench) -> None:
    deployed, batch = bench.deployed, TxBatch(bench.node, bench.deployed.owner)
    odd = batch.create(forged("SettableFeed"), 8, 10**8)
    token = deployed.tokens["WBTC"]
    batch.call(deployed.contracts["CollateralManager"], "setPriceFeed(address,address)", token, odd)
    batch.send()
    bench.node.send(*deployed.fund(OTHER, "WBTC", 10**6))
    snapshot = bench.snapshot()
    with pytest.raises(Refused, match="neither a PriceFeedDispatcher nor a ChainlinkPriceFeedV3") as caught:
        bench.protocol.health(snapshot, row_of(snapshot, OTHER), snapshot.block.timestamp)
    assert caught.value.code == "unsupported"
    assert bench.protocol.health(snapshot, row_of(snapshot, TRADER), snapshot.block.timestamp).requirement > 0
    assert not bench.differences(snapshot, snapshot.block.timestamp)


def test_a_market_that_is_paused_is_not_liquidated(bench: CurieBench) -> None:
    fall(bench, 2_700)
    bench.deployed.warp(1_000)  # what it is valued at then is a mean of a quarter of an hour
    bench.node.send(Tx(bench.deployed.owner, bench.deployed.markets["vETH"].base, calldata("pause()")))
    assert "CH_MNO" in str(refusal(bench, TRADER))


def test_a_protocol_that_is_paused_puts_everything_on_hold(bench: CurieBench) -> None:
    fall(bench, 2_700)
    bench.node.send(Tx(bench.deployed.owner, bench.deployed.contracts["ClearingHouse"], calldata("pause()")))
    assert refusal(bench, TRADER).code == "hold"


def test_an_insurance_fund_that_is_too_small_is_named_as_the_contract_would(bench: CurieBench) -> None:
    deployed = bench.deployed
    fall(bench, 2_500)
    fund = deployed.contracts["InsuranceFund"]
    deployed.admit(fund)
    for held in (deployed.tokens["USDC"],):  # the fund pays it all away
        units = bench.read([Call(held, calldata("balanceOf(address)", fund))])[0]
        amount = int.from_bytes(units.data, "big")
        if amount:
            bench.node.send(Tx(fund, held, calldata("transfer(address,uint256)", OTHER, amount)))
    bench.node.try_send([deployed.withdraw(fund, "USDC")])
    units = bench.read([Call(deployed.tokens["USDC"], calldata("balanceOf(address)", fund))])[0]
    bench.node.send(
        Tx(
            fund,
            deployed.tokens["USDC"],
            calldata("transfer(address,uint256)", OTHER, int.from_bytes(units.data, "big")),
        )
    )
    assert "CH_IIC" in str(refusal(bench, TRADER))
    snapshot = bench.snapshot()
    liquidate = deployed.liquidate(OTHER, TRADER, "vETH")
    request = {
        "from": "0x" + OTHER.hex(),
        "to": "0x" + (liquidate.to or b"").hex(),
        "data": "0x" + liquidate.data.hex(),
    }
    with pytest.raises(Exception, match="CH_IIC"):
        bench.anvil.rpc("eth_call", request, hex(snapshot.block.number))


def test_an_executor_that_holds_a_position_takes_no_other(bench: CurieBench) -> None:
    fall(bench, 2_700)
    bench.deployed.admit(bench.executor)
    bench.node.send(
        *bench.deployed.fund(bench.executor, "USDC", 10**9), bench.deployed.trade(bench.executor, "vBTC", 10**15)
    )
    found = refusal(bench, TRADER)
    assert (found.code, "executor" in str(found)) == ("hold", True)


def test_what_strangers_give_the_executor_stands_in_nobodys_way(bench: CurieBench) -> None:
    fall(bench, 2_700)
    deployed = bench.deployed
    bench.node.send(*deployed.fund(bench.executor, "WETH", 1), *deployed.fund(bench.executor, "WBTC", 10**6))
    snapshot = bench.snapshot()
    now = snapshot.block.timestamp + 12
    [offer] = bench.protocol.opportunities(snapshot, row_of(snapshot, TRADER), now, WAD, {})
    call = bench.protocol.encode(snapshot, offer, 0)
    asked = {"from": hexed(OPERATOR), "to": hexed(call.to), "data": hexed(call.data)}
    answer = bench.anvil.rpc("eth_call", asked, hex(snapshot.block.number), {}, {"time": hex(now)})
    assert int(answer, 16) == offer.rewards[deployed.tokens["USDC"]]


def test_who_has_nothing_to_value_needs_no_price(bench: CurieBench) -> None:
    """A maker below the price owes no base and holds none: the contracts ask no mark price for that."""
    deployed = bench.deployed
    low, high = deployed.ticks("vETH", 2_000, 2_500)
    bench.node.send(*deployed.fund(OTHER, "USDC", 10**10), deployed.close(OTHER, "vETH"))
    bench.node.send(deployed.add_liquidity(OTHER, "vETH", 0, 3_000 * WAD, (low, high)))
    config = deployed.contracts["ClearingHouseConfig"]
    bench.node.send(Tx(deployed.owner, config, calldata("setMarkPriceMarketTwapInterval(uint32)", 30 * 86_400)))
    snapshot = bench.snapshot()
    now = snapshot.block.timestamp
    assert bench.protocol.health(snapshot, row_of(snapshot, OTHER), now).equity > 0
    with pytest.raises(Refused, match="OLD"):
        bench.protocol.health(snapshot, row_of(snapshot, TRADER), now)
    assert not bench.differences(snapshot, now)


def test_the_insurance_fund_and_the_executor_are_left_alone(bench: CurieBench) -> None:
    snapshot = bench.snapshot()
    with pytest.raises(Refused, match="insurance fund"):
        bench.protocol.opportunities(
            snapshot, row_of(snapshot, bench.deployed.contracts["InsuranceFund"]), snapshot.block.timestamp, WAD, {}
        )


def test_a_feed_untouched_since_a_fall_leaves_no_price_where_the_contracts_revert(bench: CurieBench) -> None:
    bench.node.send(bench.deployed.set_oracle("ETH", 2_900.0))
    bench.deployed.warp(86_400)
    snapshot = bench.snapshot()
    assert not bench.differences(snapshot, snapshot.block.timestamp)
    with pytest.raises(Refused) as caught:
        bench.protocol.health(snapshot, row_of(snapshot, TRADER), snapshot.block.timestamp)
    assert caught.value.code == "unpriced"


def test_the_float_screen_is_within_its_bound(bench: CurieBench) -> None:
    fall(bench, 2_750)
    snapshot = bench.snapshot()
    for later in (0, 12, 86_400):
        now = snapshot.block.timestamp + later
        screen = bench.protocol.screen(snapshot, now)
        for row in range(len(snapshot.columns)):
            if screen.slack[row] == screen.slack[row]:
                value = bench.protocol.account_value(snapshot, row, now)
                exact = (value.account_value - value.requirement) / WAD
                assert abs(screen.slack[row] - exact) <= screen.bound[row]


def test_a_start_after_the_protocol_began_is_refused_also_where_nothing_happened_since(bench: CurieBench) -> None:
    head = bench.snapshot().block.number
    bench.anvil.mine(2)
    with pytest.raises(OperatorError, match="start_block is later than its deployment"):
        bench.loop.run_until_complete(load_snapshot(bench.chain.reader, bench.protocol, head + 1))
