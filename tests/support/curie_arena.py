"""A seeded market of real Perpetual Protocol v2 on a node of its own, and the daemon itself, block by block."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from eth_abi.abi import decode

from keeper.abi import load_abi
from keeper.execute.journal.journal import open_history
from keeper.model.health import WAD
from keeper.model.intent import Intent, IntentState
from keeper.observe.pnl import NATIVE, summarise
from keeper.protocols import executor
from keeper.settings import Settings
from keeper.sim.keeper import DemoFiles, demo_settings, make_signer, prepare
from keeper.sim.markets.curie import ARBITRAGEUR, balance
from keeper.sim.markets.curie.market import MARKET_FACTORY, SETTINGS, CurieSimMarket
from keeper.sim.node.anvil import Anvil
from keeper.sim.node.client import Node, impersonate
from keeper.sim.player import Player
from keeper.sim.records import BlockRecord
from keeper.sim.scenario import Scenario, ScenarioStep
from tests.support.aave_arena import plans_left
from tests.support.arena import Running
from tests.support.market import log_of

_EXECUTOR = load_abi("KeeperExecutor").functions
_ORDERS = {_EXECUTOR[name].selector: _EXECUTOR[name] for name in ("liquidateCurie", "liquidateCurieCollateral")}


@dataclass
class CurieArena:
    """Blocks are mined by `step`; nothing happens in between. `given`: dollars of the executor at first, in units."""

    anvil: Anvil
    market: CurieSimMarket
    scenario: Scenario
    player: Player
    files: DemoFiles
    keeper: bytes
    given: int = 0

    @classmethod
    def on(cls, anvil: Anvil, directory: Path, accounts: int, seed: int = 1) -> "CurieArena":
        """Deploy, and open the accounts. There is no executor yet: see `fund_keeper`."""
        files, node = prepare(directory), Node.at(anvil.url)
        scenario = MARKET_FACTORY.scenario(seed, accounts, 20)
        made = MARKET_FACTORY.deploy(node, 1.0)
        assert isinstance(made, CurieSimMarket)
        keeper = make_signer(files)
        anvil.set_balance(keeper, 1_000 * WAD)
        player = Player(node, made, scenario, keeper)
        player.open(lambda done, total: None)
        made.deployed.write_deployment(files.deployment)
        return cls(anvil, made, scenario, player, files, keeper)

    def fund_keeper(self, dollars: int) -> None:
        """An executor with so many dollars."""
        self.market.capital = dollars
        self.market.fund_keeper(self.keeper, 1.0, self.files.deployment)
        self.player.time = self.player.timestamp()
        self.given = self.held()

    def forked(self, anvil: Anvil) -> "CurieArena":
        """The same market on a fork of the node."""
        node = Node.at(anvil.url)
        market = replace(self.market, deployed=replace(self.market.deployed, node=node))
        impersonate(node, [market.deployed.owner, ARBITRAGEUR, market.deployed.exits.uniswap.owner])
        anvil.set_balance(self.keeper, 1_000 * WAD)
        player = Player(node, market, self.scenario, self.keeper)
        player.time = player.timestamp()
        return replace(self, anvil=anvil, market=market, player=player)

    def held(self) -> int:
        """Units of the settlement token that the executor has."""
        return balance(self.market.deployed, "USDC", self.market.executor)

    def settings(self, **changes: Any) -> Settings:
        """A keeper of this market, live, that works for profit."""
        more = {**SETTINGS, "min_profit_usd": 0, "bad_debt_weight": 0, "poll_interval_s": 0.05, **changes}
        return demo_settings(self.files, self.anvil.url, more=more)

    async def step(self, prices: Mapping[str, float] | None = None) -> BlockRecord:
        """A block; prices stand still where none are given."""
        step = ScenarioStep(prices, 0.0, "crash") if prices else self.player.quiet(0.0)
        return await asyncio.to_thread(self.player.step, step, False)

    def fallen(self, share: float) -> dict[str, float]:
        """The first prices less a share."""
        return {label: price * (1 - share) for label, price in self.market.prices.items()}

    async def settle(self, keeper: Running, most: int) -> int:
        """Mine blocks until nothing is on the keeper's way and nothing is left that pays; how many it took."""
        for count in range(most):
            await keeper.handled(self.anvil.block_number())
            await asyncio.sleep(0.2)  # what was planned is on its way
            if not self.player.waiting() and not await plans_left(keeper.daemon.settings, self.keeper):
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

    def check_books(self) -> None:
        """Every mined transaction earned what its call demanded, and all together what the executor has more."""
        for intent in self.mined():
            assert intent.outcome is not None
            [order] = decode(_ORDERS[intent.data[:4]].inputs, intent.data[4:])
            receipt = self.anvil.rpc("eth_getTransactionReceipt", "0x" + intent.outcome.tx_hash.hex())
            [earned] = executor.liquidated(self.market.executor, [log_of(log) for log in receipt["logs"]])
            assert earned.profit >= order[-1] > 0  # at least the gas at its bid
            assert intent.outcome.profit[earned.token] == earned.profit
        booked = {token: units for token, units in summarise(self.intents()).profit.items() if token != NATIVE}
        assert sum(booked.values()) == self.held() - self.given
        assert set(booked) <= {self.market.deployed.tokens["USDC"]}
