"""The demo's market on a real node: everyone gets in, the path is taken back, full blocks raise the base fee."""

from collections.abc import Iterator

import pytest

from keeper.model.chain import hexed
from keeper.protocols.base import NEVER
from keeper.sim.markets.margin_engine.deploy import DeployedEngine, deploy
from keeper.sim.markets.margin_engine.market import EngineSimMarket
from keeper.sim.node.anvil import Anvil
from keeper.sim.node.client import Node
from keeper.sim.player import BLOCK_S, FIRST_BASE_FEE, GAS_LIMIT, GWEI, Player
from keeper.sim.scenario import Scenario, ScenarioStep, build_scenario

KEEPER = b"\x11" * 20
SCENARIO: Scenario = build_scenario(3, 40, 40)


def ignore(_done: int, _total: int) -> None:
    """No progress is shown."""


class Site:
    """An opened market on a node of its own."""

    def __init__(self, anvil: Anvil, scenario: Scenario) -> None:
        self.anvil = anvil
        self.node = Node.at(anvil.url)
        self.deployed: DeployedEngine = deploy(self.node)
        self.player = Player(self.node, EngineSimMarket(self.node, self.deployed), scenario, KEEPER)
        self.player.open(ignore)


@pytest.fixture
def site() -> Iterator[Site]:
    with Anvil(mining=False, gas_limit=GAS_LIMIT, base_fee=FIRST_BASE_FEE) as anvil:
        yield Site(anvil, SCENARIO)


def test_the_engine_takes_every_account_and_none_is_unsafe(site: Site) -> None:
    record = site.player.now()
    assert len(record.states) == 40
    assert record.unsafe == 0
    assert all(state.requirement > 0 for state in record.states)


def test_the_census_says_what_the_contracts_own_view_says(site: Site) -> None:
    site.player.step(SCENARIO.steps[8])
    record = site.player.now()
    for account, state in zip(record.accounts, record.states, strict=True):
        answer = site.anvil.call(site.deployed.engine, site.deployed.call("health", account), record.number)
        assert int.from_bytes(answer[:32], "big", signed=True) == state.equity
        assert int.from_bytes(answer[32:], "big") == state.requirement


def test_the_run_without_a_keeper_ends_in_bad_debt_and_leaves_no_trace(site: Site) -> None:
    before, head = site.player.now(), site.anvil.block()
    baseline = site.player.baseline(ignore)
    assert baseline.bad_debt_usd > 1_000
    assert len(baseline.records) == len(SCENARIO.steps)
    after = site.anvil.block()
    assert after["parentHash"] == head["hash"]
    assert int(after["timestamp"], 16) == int(head["timestamp"], 16) + BLOCK_S
    assert int(after["baseFeePerGas"], 16) == FIRST_BASE_FEE
    assert site.player.prices == before.prices


def test_full_blocks_raise_the_base_fee_as_eip_1559_has_it(site: Site) -> None:
    site.player.step(site.player.quiet(0.5))
    last = site.player.step(site.player.quiet(0.95))
    target = GAS_LIMIT // 2
    expected = last.base_fee + last.base_fee * (last.gas_used - target) // target // 8
    assert site.player.step(site.player.quiet(0.5)).base_fee == expected


def test_a_transaction_waits_while_the_crowd_takes_the_whole_block(site: Site) -> None:
    node, sender = site.node, site.anvil.accounts()[5]
    player = Player(node, EngineSimMarket(node, site.deployed), SCENARIO, bytes.fromhex(sender[2:]))
    player.time = site.player.timestamp()
    request = {"from": sender, "to": sender, "gas": hex(300_000), "maxFeePerGas": hex(20 * GWEI)}
    node.rpc("eth_sendTransaction", request | {"maxPriorityFeePerGas": hex(GWEI)})
    assert player.waiting() == 1
    assert player.step(player.quiet(1.0)).mined == 0
    assert player.waiting() == 1
    assert player.step(player.quiet(0.88)).mined == 1
    assert player.waiting() == 0


def test_a_liquidation_is_read_back_from_its_logs(site: Site) -> None:
    step = ScenarioStep({label: price * 0.55 for label, price in site.player.prices.items()}, 0.0, "crash")
    record = site.player.step(step)
    row = next(
        row
        for row, state in enumerate(record.states)
        if state.equity * 2 < state.requirement and len(SCENARIO.openings[row].trades) == 1
    )
    symbol, size = SCENARIO.openings[row].trades[0]
    sender = site.anvil.accounts()[5]
    player = Player(site.node, EngineSimMarket(site.node, site.deployed), SCENARIO, bytes.fromhex(sender[2:]))
    player.time, player.prices = site.player.timestamp(), step.prices
    data = site.deployed.call("liquidate", record.accounts[row], site.deployed.markets[symbol], abs(size), 0, NEVER)
    fees = {"gas": hex(1_000_000), "maxFeePerGas": hex(20 * GWEI)}
    site.node.rpc(
        "eth_sendTransaction", {"from": sender, "to": hexed(site.deployed.engine), "data": hexed(data), **fees}
    )
    after = player.step(player.quiet(0.0))
    [liquidation] = after.liquidations
    assert (liquidation.account, liquidation.kind, liquidation.subject, liquidation.full) == (
        record.accounts[row],
        "liquidate",
        symbol,
        True,
    )
    assert liquidation.notional_usd == pytest.approx(abs(size) / 1e18 * step.prices[symbol], rel=1e-6)
    assert liquidation.reward_usd == pytest.approx(liquidation.notional_usd * 0.005, rel=1e-3)
    assert after.gas_usd > 0
