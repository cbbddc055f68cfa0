"""Perpetual Protocol v2 as a market of the test bed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any, Self

from eth_abi.abi import decode
from eth_utils.crypto import keccak

from keeper.abi import checksum
from keeper.errors import InvariantBroken
from keeper.model.chain import Log, hexed
from keeper.model.health import WAD
from keeper.sim.market import TREASURY, MarketFactory, Prices, Receipt, ViewCall
from keeper.sim.markets.curie.accounts import CurieOpening, build_openings, open_accounts
from keeper.sim.markets.curie.actions import ARBITRAGEUR, DeployedCurie
from keeper.sim.markets.curie.deploy import deploy
from keeper.sim.markets.curie.listing import DEMO, CurieListing
from keeper.sim.node.artifacts import TxBatch, ask, calldata, forged, log_of
from keeper.sim.node.client import Node, Tx, impersonate
from keeper.sim.records import AccountState, LiquidationRecord
from keeper.sim.scenario import CrashSpec, Scenario, price_path

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
# Mark prices follow the pools within 15 s: a liquidation between two reports closes at about the mark price.
CRASH = CrashSpec(slope=-0.007, jump=-0.016, every=3)
_FEED_GAS = 100_000

_LIQUIDATED = keccak(text="PositionLiquidated(address,address,uint256,uint256,uint256,address)")
_BOUGHT = keccak(text="CollateralLiquidated(address,address,address,uint256,uint256,uint256,uint24)")
_SETTLED = keccak(text="BadDebtSettled(address,uint256)")
_EARNED = keccak(text="Liquidated(address,address,int256)")


@dataclass(slots=True)
class CurieSimMarket:
    """A deployed market, and the keeper's executor once it is funded."""

    deployed: DeployedCurie
    settings: Mapping[str, Any] = field(default_factory=lambda: SETTINGS)
    capital: int = CAPITAL_DOLLARS  # what the executor is given, times the scale
    executor: bytes = b""
    _plain: set[bytes] = field(default_factory=set)  # accounts without collateral that could be liquidated

    @property
    def node(self) -> Node:
        return self.deployed.node

    @property
    def holder(self) -> bytes:
        return self.executor

    @property
    def tokens(self) -> Mapping[str, bytes]:
        return self.deployed.tokens

    @property
    def prices(self) -> Prices:
        return {label: float(dollars) for label, (_, dollars) in self.deployed.listing.feeds.items()}

    @property
    def title(self) -> str:
        return f"Perpetual Protocol v2 {checksum(self.deployed.contracts['ClearingHouse'])}"

    def accounts(self, openings: Sequence[CurieOpening]) -> list[bytes]:
        usd = self.deployed.listing.settlement
        self._plain = {one.account for one in openings if all(symbol == usd for symbol, _ in one.deposits)}
        return [opening.account for opening in openings]

    def open(self, openings: Sequence[CurieOpening]) -> None:
        open_accounts(self.deployed, openings)

    def price_transactions(self, prices: Prices) -> list[Tx]:
        """Feeds first: the protocol limits how far a pool may be from its feed."""
        feeds = [self.deployed.set_oracle(label, dollars) for label, dollars in prices.items()]
        txs = [Tx(tx.sender, tx.to, tx.data, _FEED_GAS) for tx in feeds]
        for spec in self.deployed.listing.markets:
            txs += self.deployed.move_pool(spec.symbol, prices[spec.feed])
        return txs + self.deployed.move_exits(prices)

    def views(self, account: bytes) -> list[ViewCall]:
        at = self.deployed.contracts
        views = [
            (at["ClearingHouse"], calldata("getAccountValue(address)", account)),
            (at["AccountBalance"], calldata("getMarginRequirementForLiquidation(address)", account)),
        ]
        return (
            views if account in self._plain else [*views, (at["Vault"], calldata("isLiquidatable(address)", account))]
        )

    def state(self, account: bytes, answers: Sequence[bytes | None]) -> AccountState:
        """Liquidatable: too little margin for the positions, or too much debt for the collateral."""
        given = [answer for answer in answers if answer is not None]
        if len(given) < len(answers):
            raise InvariantBroken(f"a margin view of {hexed(account)} reverts")
        value, requirement = (int.from_bytes(answer, "big", signed=True) for answer in given[:2])
        seizable = any(b"".join(given[2:]))
        return AccountState(value, requirement, liquidatable=seizable or (requirement > 0 and value < requirement))

    def fund_keeper(self, keeper: bytes, scale: float, deployment: Path) -> None:
        """Deploys the executor and gives it dollars."""
        batch, listing = TxBatch(self.deployed.node, self.deployed.owner), self.deployed.listing
        self.executor = batch.create(
            forged("KeeperExecutor"), TREASURY, keeper, self.deployed.exits.uniswap.factory, bytes(20)
        )
        units = int(self.capital * scale) * 10**listing.settlement_decimals
        batch.call(self.deployed.tokens[listing.settlement], "mint(address,uint256)", self.executor, units)
        batch.send()
        self.deployed.write_deployment(deployment, self.executor)

    def forked(self, node: Node) -> Self:
        impersonate(node, [self.deployed.owner, self.deployed.exits.uniswap.owner, ARBITRAGEUR])
        return replace(self, deployed=replace(self.deployed, node=node))

    def liquidations(
        self, receipt: Receipt, prices: Prices, gas_usd: float
    ) -> tuple[list[LiquidationRecord], list[tuple[bytes, float]]]:
        """The protocol logs the liquidation first, then the executor logs what it earned."""
        liquidations: list[LiquidationRecord] = []
        debts: list[tuple[bytes, float]] = []
        call: Log | None = None
        for log in map(log_of, receipt["logs"]):
            topic = log.topics[0]
            if topic in (_LIQUIDATED, _BOUGHT):
                call = log
            elif topic == _SETTLED:
                debts.append((log.topics[1][12:], self._dollars(log.data)))
            elif log.address == self.executor and topic == _EARNED and call is not None:
                kind, subject, notional, full = self._described(call, prices)
                liquidations.append(
                    LiquidationRecord(
                        block=call.block_number,
                        account=call.topics[1][12:],
                        kind=kind,
                        subject=subject,
                        notional_usd=notional,
                        reward_usd=self._dollars(log.data),
                        gas_usd=gas_usd,
                        full=full,
                        tx_hash=receipt["transactionHash"],
                    )
                )
                call = None
        return liquidations, debts

    def _described(self, call: Log, prices: Prices) -> tuple[str, str, float, bool]:
        """(kind, subject, dollars, whether it was full) of a liquidation, from the protocol's own log."""
        account, token, amount = call.topics[1][12:], call.topics[2][12:], int.from_bytes(call.data[:32], "big")
        at, block, listing = self.deployed.contracts, call.block_number, self.deployed.listing
        if call.topics[0] == _LIQUIDATED:
            [label] = [spec.feed for spec in listing.markets if self.deployed.markets[spec.symbol].base == token]
            full = not self._held(at["AccountBalance"], "getTakerPositionSize", account, token, block)
            return "liquidate", label, amount / WAD, full
        [spec] = [spec for spec in listing.collaterals if self.deployed.tokens[spec.symbol] == token]
        full = not self._held(at["Vault"], "getBalanceByToken", account, token, block)
        return "seize", spec.symbol, amount / 10**spec.decimals * prices[spec.feed], full

    def _held(self, contract: bytes, view: str, account: bytes, token: bytes, block: int) -> int:
        """What an account still holds after a block."""
        found = ask(
            self.deployed.node, contract, f"{view}(address,address)", account, token, returns=["int256"], block=block
        )
        return int(found)

    def _dollars(self, data: bytes) -> float:
        """The first word, in units of the settlement token."""
        [units] = decode(["int256"], data[:32])
        return float(units / 10**self.deployed.listing.settlement_decimals)


def scenario(
    seed: int, accounts: int, blocks: int, listing: CurieListing = DEMO, weather: CrashSpec = CRASH
) -> Scenario:
    """Accounts and price path: the same for the same arguments."""
    sky = Random(f"curie path {seed}")  # noqa: S311
    prices = {label: float(dollars) for label, (_, dollars) in listing.feeds.items()}
    steps, aftermath = price_path(sky, blocks, prices, weather)
    return Scenario(seed, build_openings(seed, accounts, listing), steps, aftermath)


def market_factory(capital: int = CAPITAL_DOLLARS) -> MarketFactory[CurieSimMarket]:
    """The market of a keeper whose executor has `capital` dollars."""

    def deploy_market(node: Node, scale: float) -> CurieSimMarket:
        return CurieSimMarket(deploy(node, DEMO.scaled(scale)), capital=capital)

    return MarketFactory(scenario=scenario, deploy=deploy_market, setup_s=SETUP_S, about=ABOUT)


MARKET_FACTORY = market_factory()
