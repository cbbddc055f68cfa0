"""Perpetual Protocol v2 on the demo's stage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

from eth_abi.abi import decode
from eth_utils.crypto import keccak

from keeper.abi import checksum
from keeper.errors import InvariantBroken
from keeper.model.chain import Log, hexed
from keeper.model.health import WAD
from keeper.sim.market import MarketSpec, Prices, Receipt, View
from keeper.sim.markets.curie.accounts import Opening, build_openings, open_accounts
from keeper.sim.markets.curie.actions import Deployed
from keeper.sim.markets.curie.deploy import deploy
from keeper.sim.markets.curie.listing import DEMO, Listing
from keeper.sim.node.artifacts import Batch, ask, calldata, forged, log_of
from keeper.sim.node.client import Node, Tx
from keeper.sim.records import Liquidation, State
from keeper.sim.scenario import Scenario, Weather, price_path

CAPITAL_DOLLARS = 5_000_000  # of the executor, for 300 accounts
SETUP_S = 3_600  # 30 minutes of them are the pools' first half hour
SETTINGS = {
    "protocol": "curie",
    "native_symbol": "WETH",
    "min_profit_usd": Decimal(-10),
    "bad_debt_weight": Decimal(1),
}
ABOUT = (
    "Each liquidation is one transaction: a position is taken over and closed in the pool, collateral bought and sold. "
    "This keeper is the protocol's own: it ranks bad debt prevented like profit (KEEPER_BAD_DEBT_WEIGHT=1) and pays up "
    "to $10 for a liquidation that earns nothing (KEEPER_MIN_PROFIT_USD=-10)."
)
# Mark prices follow the pools within 15 s: whoever is liquidated between two reports is closed at about his mark.
WEATHER = Weather(slope=-0.007, jump=-0.016, every=3)
_FEED_GAS = 100_000

_LIQUIDATED = keccak(text="PositionLiquidated(address,address,uint256,uint256,uint256,address)")
_BOUGHT = keccak(text="CollateralLiquidated(address,address,address,uint256,uint256,uint256,uint24)")
_SETTLED = keccak(text="BadDebtSettled(address,uint256)")
_EARNED = keccak(text="Liquidated(address,address,int256)")


@dataclass(slots=True)
class CurieMarket:
    """A deployed market, and the keeper's executor once it is equipped."""

    bed: Deployed
    settings: Mapping[str, Any] = field(default_factory=lambda: SETTINGS)
    capital: int = CAPITAL_DOLLARS  # what the executor is given, times the scale
    executor: bytes = b""
    _plain: set[bytes] = field(default_factory=set)  # who has no collateral that anyone could buy: nothing to ask

    @property
    def prices(self) -> Prices:
        return {label: float(dollars) for label, (_, dollars) in self.bed.listing.feeds.items()}

    @property
    def title(self) -> str:
        return f"Perpetual Protocol v2 {checksum(self.bed.contracts['ClearingHouse'])}"

    def accounts(self, openings: Sequence[Opening]) -> list[bytes]:
        usd = self.bed.listing.settlement
        self._plain = {one.account for one in openings if all(symbol == usd for symbol, _ in one.deposits)}
        return [opening.account for opening in openings]

    def open(self, openings: Sequence[Opening]) -> None:
        open_accounts(self.bed, openings)

    def moves(self, prices: Prices) -> list[Tx]:
        """Feeds first, for the pools may not leave them behind."""
        feeds = [self.bed.set_oracle(label, dollars) for label, dollars in prices.items()]
        txs = [Tx(tx.sender, tx.to, tx.data, _FEED_GAS) for tx in feeds]
        for spec in self.bed.listing.markets:
            txs += self.bed.move_pool(spec.symbol, prices[spec.feed])
        return txs + self.bed.move_exits(prices)

    def views(self, account: bytes) -> list[View]:
        at = self.bed.contracts
        views = [
            (at["ClearingHouse"], calldata("getAccountValue(address)", account)),
            (at["AccountBalance"], calldata("getMarginRequirementForLiquidation(address)", account)),
        ]
        return (
            views if account in self._plain else [*views, (at["Vault"], calldata("isLiquidatable(address)", account))]
        )

    def state(self, account: bytes, answers: Sequence[bytes | None]) -> State:
        """Liquidatable is who holds too little for his positions, or owes too much for his collateral."""
        given = [answer for answer in answers if answer is not None]
        if len(given) < len(answers):
            raise InvariantBroken(f"a margin view of {hexed(account)} reverts")
        value, requirement = (int.from_bytes(answer, "big", signed=True) for answer in given[:2])
        seizable = any(b"".join(given[2:]))
        return State(value, requirement, liquidatable=seizable or (requirement > 0 and value < requirement))

    def equip(self, keeper: bytes, scale: float, deployment: Path) -> None:
        """The executor with dollars, and nothing else."""
        batch, listing = Batch(self.bed.node, self.bed.owner), self.bed.listing
        self.executor = batch.create(forged("KeeperExecutor"), keeper, self.bed.exits.uniswap.factory)
        units = int(self.capital * scale) * 10**listing.settlement_decimals
        batch.call(self.bed.tokens[listing.settlement], "mint(address,uint256)", self.executor, units)
        batch.send()
        self.bed.write_deployment(deployment, self.executor)

    def acts(
        self, receipt: Receipt, block: int, prices: Prices, gas_usd: float
    ) -> tuple[list[Liquidation], list[tuple[bytes, float]]]:
        """The protocol tells of the liquidation, and then the executor of what it earned."""
        acts: list[Liquidation] = []
        debts: list[tuple[bytes, float]] = []
        told: Log | None = None
        for log in map(log_of, receipt["logs"]):
            topic = log.topics[0]
            if topic in (_LIQUIDATED, _BOUGHT):
                told = log
            elif topic == _SETTLED:
                debts.append((log.topics[1][12:], self._dollars(log.data)))
            elif log.address == self.executor and topic == _EARNED and told is not None:
                acts.append(self._act(told, self._dollars(log.data), receipt, block, prices, gas_usd))
                told = None
        return acts, debts

    def _act(
        self, told: Log, profit: float, receipt: Receipt, block: int, prices: Prices, gas_usd: float
    ) -> Liquidation:
        account, subject = told.topics[1][12:], told.topics[2][12:]
        tx_hash = receipt["transactionHash"]
        if told.topics[0] == _LIQUIDATED:
            notional = int.from_bytes(told.data[:32], "big") / WAD
            [label] = [spec.feed for spec in self.bed.listing.markets if self.bed.places[spec.symbol].base == subject]
            full = not self._held(self.bed.contracts["AccountBalance"], "getTakerPositionSize", account, subject, block)
            return Liquidation(block, account, "liquidate", label, notional, profit, gas_usd, full, tx_hash)
        [spec] = [spec for spec in self.bed.listing.collaterals if self.bed.tokens[spec.symbol] == subject]
        units = int.from_bytes(told.data[:32], "big")
        worth = units / 10**spec.decimals * prices[spec.feed]
        full = not self._held(self.bed.contracts["Vault"], "getBalanceByToken", account, subject, block)
        return Liquidation(block, account, "seize", spec.symbol, worth, profit, gas_usd, full, tx_hash)

    def _held(self, contract: bytes, view: str, account: bytes, token: bytes, block: int) -> int:
        """What is left after a block."""
        found = ask(
            self.bed.node, contract, f"{view}(address,address)", account, token, returns=["int256"], block=block
        )
        return int(found)

    def _dollars(self, data: bytes) -> float:
        """The first word, in units of the settlement token."""
        [units] = decode(["int256"], data[:32])
        return float(units / 10**self.bed.listing.settlement_decimals)


def scenario(seed: int, accounts: int, blocks: int, listing: Listing = DEMO, weather: Weather = WEATHER) -> Scenario:
    """Who has which accounts, and the crash: the same for the same arguments."""
    sky = Random(f"curie path {seed}")  # noqa: S311
    prices = {label: float(dollars) for label, (_, dollars) in listing.feeds.items()}
    steps, aftermath = price_path(sky, blocks, prices, weather)
    return Scenario(seed, build_openings(seed, accounts, listing), steps, aftermath)


def show_with(capital: int = CAPITAL_DOLLARS) -> MarketSpec:
    """The demo of a keeper with so many dollars."""

    def staged(node: Node, scale: float) -> CurieMarket:
        return CurieMarket(deploy(node, DEMO.scaled(scale)), capital=capital)

    return MarketSpec(scenario=scenario, deploy=staged, setup_s=SETUP_S, about=ABOUT)


SHOW = show_with()
