"""MarginEngine, the reference protocol, as a market of the test bed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

from keeper.abi import checksum
from keeper.errors import InvariantBroken
from keeper.model.chain import hexed, unhexed
from keeper.model.health import WAD
from keeper.sim.market import MarketFactory, Prices, Receipt, ViewCall
from keeper.sim.markets.margin_engine.deploy import DeployedEngine, EngineOpening, artifact, deploy, open_accounts
from keeper.sim.markets.margin_engine.listing import DEMO
from keeper.sim.node.artifacts import log_of
from keeper.sim.node.client import Node, Tx
from keeper.sim.records import AccountState, LiquidationRecord
from keeper.sim.scenario import build_scenario

KEEPER_DOLLARS = 10_000_000
FEED_GAS = 100_000
# The reference protocol's keeper is its own: it pays a little for solvency, and ranks by bad debt prevented, too.
SETTINGS = {"protocol": "margin_engine", "min_profit_usd": Decimal(-5), "bad_debt_weight": Decimal(1)}
ABOUT = (
    "This keeper is the protocol's own: it ranks bad debt prevented like profit (KEEPER_BAD_DEBT_WEIGHT=1) and pays up "
    "to $5 for a liquidation that earns nothing (KEEPER_MIN_PROFIT_USD=-5)."
)


@dataclass(slots=True)
class EngineSimMarket:
    """A deployed market. Liquidations are the keeper's own transactions: no executor."""

    node: Node
    deployed: DeployedEngine
    settings: Mapping[str, Any] = field(default_factory=lambda: SETTINGS)
    capital: int = KEEPER_DOLLARS
    holder: bytes = b""

    @property
    def tokens(self) -> Mapping[str, bytes]:
        return self.deployed.tokens

    @property
    def prices(self) -> Prices:
        return {label: float(dollars) for label, (_, dollars) in self.deployed.listing.feeds.items()}

    @property
    def title(self) -> str:
        return f"MarginEngine {checksum(self.deployed.engine)}"

    def accounts(self, openings: Sequence[EngineOpening]) -> list[bytes]:
        return [opening.account for opening in openings]

    def open(self, openings: Sequence[EngineOpening]) -> None:
        refused = open_accounts(self.node, self.deployed, openings)
        if refused:
            account, symbol = refused[0]
            raise InvariantBroken(f"the engine refused the {symbol} position of {hexed(account)} at opening")

    def price_transactions(self, prices: Prices) -> list[Tx]:
        moved = (self.deployed.set_price(label, dollars) for label, dollars in prices.items())
        return [Tx(tx.sender, tx.to, tx.data, FEED_GAS) for tx in moved]

    def views(self, account: bytes) -> list[ViewCall]:
        return [(self.deployed.engine, self.deployed.call("health", account))]

    def state(self, account: bytes, answers: Sequence[bytes | None]) -> AccountState:
        if answers[0] is None:
            raise InvariantBroken(f"the contract's health view of {hexed(account)} reverts")
        return AccountState(*artifact("MarginEngine")[0].functions["health"].decode(answers[0]))

    def fund_keeper(self, keeper: bytes, scale: float, deployment: Path) -> None:
        listing = self.deployed.listing
        units = int(self.capital * scale) * 10**listing.settlement_decimals
        self.node.send(self.deployed.mint(listing.settlement, keeper, units))
        self.holder = keeper
        self.deployed.write_deployment(deployment)

    def forked(self, node: Node) -> Self:
        return replace(self, node=node)

    def liquidations(
        self, receipt: Receipt, prices: Prices, gas_usd: float
    ) -> tuple[list[LiquidationRecord], list[tuple[bytes, float]]]:
        liquidations: list[LiquidationRecord] = []
        debts: list[tuple[bytes, float]] = []
        events = artifact("MarginEngine")[0].events
        left = 0
        for log in map(log_of, receipt["logs"]):
            if log.address != self.deployed.engine:
                continue
            name = next((event.name for event in events.values() if event.topic == log.topics[0]), "")
            if name not in ("PositionChanged", "CollateralChanged", "Liquidated", "CollateralSeized", "BadDebt"):
                continue
            indexed, values = events[name].decode(log)
            if name in ("PositionChanged", "CollateralChanged"):
                left = values[0]
            elif name == "BadDebt":
                debts.append((unhexed(indexed[0]), values[0] / WAD))
            else:
                account = unhexed(indexed[0])
                make = self._liquidation if name == "Liquidated" else self._seizure
                subject, notional, reward = make(indexed[1], values, prices)
                kind = "liquidate" if name == "Liquidated" else "seize"
                tx_hash = receipt["transactionHash"]
                liquidations.append(
                    LiquidationRecord(
                        log.block_number, account, kind, subject, notional, reward, gas_usd, left == 0, tx_hash
                    )
                )
        return liquidations, debts

    def _liquidation(self, id_: int, values: Sequence[int], _: Prices) -> tuple[str, float, float]:
        size, price, _penalty, reward = values
        return (
            _named(self.deployed.markets, id_),
            size * price / WAD**2,
            reward / 10**self.deployed.listing.settlement_decimals,
        )

    def _seizure(self, id_: int, values: Sequence[int], prices: Prices) -> tuple[str, float, float]:
        amount, repaid = values
        spec = self.deployed.listing.collaterals[id_ - 1]
        worth = amount / 10**spec.decimals * prices[spec.feed]
        return (
            _named(self.deployed.collaterals, id_),
            worth,
            worth - repaid / 10**self.deployed.listing.settlement_decimals,
        )


def _named(ids: Mapping[str, int], id_: int) -> str:
    return next(name for name, found in ids.items() if found == id_)


MARKET_FACTORY = MarketFactory(
    scenario=build_scenario,
    deploy=lambda node, scale: EngineSimMarket(node, deploy(node, DEMO.scaled(scale))),
    about=ABOUT,
)
