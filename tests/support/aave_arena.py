"""A seeded market of real Aave v3 on a node of its own, and the very daemon that operators run, block by block."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eth_abi.abi import decode

from keeper.abi import load_abi
from keeper.app.policies import native_price_of, policy_of
from keeper.app.session import open_session
from keeper.book.sync import load_snapshot
from keeper.chain.balances import token_balances
from keeper.execute.journal.journal import open_history
from keeper.model.health import WAD
from keeper.model.intent import Intent, IntentState
from keeper.model.plan import Funds, InFlight, Plan
from keeper.observe.pnl import NATIVE, summarise
from keeper.plan.planner import choose
from keeper.protocols import executor
from keeper.risk.screening import assess
from keeper.settings import Settings
from keeper.sim.keeper import DemoFiles, demo_settings, make_signer, prepare
from keeper.sim.markets.aave_v3.market import AaveSimMarket, market_factory
from keeper.sim.node.anvil import Anvil
from keeper.sim.node.client import Node, impersonate
from keeper.sim.player import BLOCK_S, Player
from keeper.sim.records import BlockRecord
from keeper.sim.scenario import Scenario, ScenarioStep
from tests.support.arena import Running
from tests.support.market import log_of

_CALL = load_abi("IAavePool").events["LiquidationCall"].topic
_LIQUIDATE = load_abi("KeeperExecutor").functions["liquidateAave"]
FALLEN = {"ETH": 0.82, "WBTC": 0.84, "wstETH": 0.80, "DAI": 0.975, "LINK": 0.80, "USDC": 1.0, "sUSD": 1.0}


@dataclass
class AaveArena:
    """Blocks are mined by `step`; nothing happens in between. `given`: token -> units of the executor at first."""

    anvil: Anvil
    market: AaveSimMarket
    scenario: Scenario
    player: Player
    files: DemoFiles
    keeper: bytes
    given: Mapping[bytes, int]

    @classmethod
    def on(cls, anvil: Anvil, directory: Path, version: str, accounts: int, seed: int = 1) -> "AaveArena":
        """Deploy, and open the accounts. The executor has nothing yet: see `fund_keeper`."""
        factory = market_factory(version)
        files, node = prepare(directory), Node.at(anvil.url)
        scenario = factory.scenario(seed, accounts, 20)
        made = factory.deploy(node, 1.0)
        assert isinstance(made, AaveSimMarket)
        keeper = make_signer(files)
        anvil.set_balance(keeper, 1_000 * WAD)
        player = Player(node, made, scenario, keeper)
        player.open(lambda done, total: None)
        return cls(anvil, made, scenario, player, files, keeper, {})

    def fund_keeper(self, capital: float) -> None:
        """An executor with so many dollars of each token."""
        market = self.market
        market.capital = int(capital)
        market.fund_keeper(self.keeper, 1.0, self.files.deployment)
        self.player.time = self.player.timestamp()
        self.given = self.held()

    def forked(self, anvil: Anvil) -> "AaveArena":
        """The same market on a fork of the node."""
        node = Node.at(anvil.url)
        market = replace(self.market, deployed=replace(self.market.deployed, node=node))
        impersonate(node, [market.deployed.owner, market.deployed.exits.uniswap.owner])
        anvil.set_balance(self.keeper, 1_000 * WAD)
        player = Player(node, market, self.scenario, self.keeper)
        player.time = player.timestamp()
        return replace(self, anvil=anvil, market=market, player=player)

    def held(self) -> dict[bytes, int]:
        """What the executor has."""
        reserves = self.market.deployed.reserves.values()
        return {item.token: self.market.deployed.balance(item.token, self.market.executor) for item in reserves}

    def settings(self, url: str = "", **changes: Any) -> Settings:
        """A keeper of this market, live."""
        more = {**self.market.settings, "poll_interval_s": 0.05, **changes}
        return demo_settings(self.files, url or self.anvil.url, more=more)

    async def step(self, prices: Mapping[str, float] | None = None) -> BlockRecord:
        """A block; prices stand still where none are given."""
        step = ScenarioStep(prices, 0.0, "crash") if prices else self.player.quiet(0.0)
        return await asyncio.to_thread(self.player.step, step, False)

    def fallen(self, part: float = 1.0) -> dict[str, float]:
        """The first prices, a part of the way down to what the crash makes of them."""
        return {label: price * (1 - part * (1 - FALLEN[label])) for label, price in self.market.prices.items()}

    async def settle(self, keeper: Running, most: int) -> int:
        """Mine blocks until nothing is on the keeper's way and nothing is left that pays; how many it took."""
        for count in range(most):
            await keeper.handled(self.anvil.block_number())
            await asyncio.sleep(0.1)  # what was planned is on its way
            if not self.player.waiting() and not (await plans_left(keeper.daemon.settings, self.keeper)):
                return count
            await self.step()
        raise AssertionError(f"not settled after {most} blocks")

    def mined(self) -> list[Intent]:
        """Liquidations of the journal that were mined and did not revert."""
        found = [intent for intent in self.intents() if intent.state is IntentState.MINED]
        return [intent for intent in found if intent.outcome and intent.outcome.status == 1]

    def intents(self) -> list[Intent]:
        settings = self.settings()
        history = open_history(settings.database_url.get_secret_value(), settings.data_dir)
        try:
            return history.intents()
        finally:
            history.close()

    def covered_dollars(self) -> float:
        """What all liquidations of the chain repaid, at the first prices."""
        deployed = self.market.deployed
        wanted = {"address": "0x" + deployed.pool.hex(), "topics": ["0x" + _CALL.hex()], "fromBlock": "0x0"}
        symbols = {item.token: symbol for symbol, item in deployed.reserves.items()}
        total = 0.0
        for log in map(log_of, deployed.node.rpc("eth_getLogs", wanted)):
            spec = deployed.listing.reserve(symbols[log.topics[2][12:]])
            total += int.from_bytes(log.data[:32], "big") / 10**spec.decimals * spec.dollars
        return total

    def check_books(self) -> None:
        """Every mined transaction earned what its call demanded, and all together what the executor has more."""
        for intent in self.mined():
            assert intent.outcome is not None
            [order] = decode(_LIQUIDATE.inputs, intent.data[4:])
            receipt = self.anvil.rpc("eth_getTransactionReceipt", "0x" + intent.outcome.tx_hash.hex())
            [earned] = executor.liquidated(self.market.executor, [log_of(log) for log in receipt["logs"]])
            assert earned.profit >= order[-1] >= 0
            assert intent.outcome.profit[earned.token] == earned.profit
        booked = {
            token: units for token, units in summarise(self.intents()).profit.items() if units and token != NATIVE
        }
        now = self.held()
        assert booked == {token: now[token] - units for token, units in self.given.items() if now[token] != units}


async def plans_left(settings: Settings, keeper: bytes) -> tuple[Plan, ...]:
    """What a keeper with its means and nothing on the way would send now, from a look of its own at the chain."""
    wiring = await open_session(settings, lambda _: None, keeper=keeper)
    try:
        snapshot = await load_snapshot(wiring.chain.reader, wiring.protocol, wiring.deployment.start_block)
        tokens = wiring.protocol.purse(snapshot.state)
        held = await token_balances(wiring.chain.reader, snapshot.block, wiring.deployment.holder, tokens)
    finally:
        await wiring.chain.close()
    when = snapshot.block.timestamp + BLOCK_S
    price = native_price_of(settings).at(wiring.protocol, snapshot, when)
    funds = Funds(1_000 * WAD, price, held)
    found = assess(wiring.protocol, snapshot, when)
    return choose(wiring.protocol, snapshot, found, when, policy_of(settings), funds, InFlight()).plans
