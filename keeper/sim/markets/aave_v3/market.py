"""Aave v3 as a market of the test bed: 3.6 by default, or 3.0.2."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from eth_abi.abi import decode
from eth_utils.crypto import keccak

from keeper.abi import checksum
from keeper.errors import InvariantBroken, OperatorError
from keeper.model.chain import Log, hexed
from keeper.model.health import WAD
from keeper.sim.market import TREASURY, MarketFactory, Prices, Receipt, ViewCall
from keeper.sim.markets.aave_v3.accounts import AaveOpening, build_openings, open_accounts
from keeper.sim.markets.aave_v3.actions import DeployedAave
from keeper.sim.markets.aave_v3.contracts import V3_6, VERSIONS
from keeper.sim.markets.aave_v3.deploy import deploy
from keeper.sim.markets.aave_v3.listing import DEMO
from keeper.sim.markets.aave_v3.price_path import LABELS, build_path, by_label, by_symbol
from keeper.sim.node.artifacts import TxBatch, ask, calldata, forged, log_of
from keeper.sim.node.client import Node, Tx, impersonate
from keeper.sim.records import AccountState, LiquidationRecord
from keeper.sim.scenario import Scenario

CAPITAL_DOLLARS = 50_000  # of each token that is borrowed, for 300 accounts; the rest is flash loans
MOVE_GAS = 400_000  # of a pool from one report of the feeds to the next: twice the most that was measured
SETTINGS = {"protocol": "aave_v3", "native_symbol": "WETH", "flash_loans": True}
ABOUT = (
    "This keeper earns for itself: it repays with its executor's own tokens or a flash loan, and sells what it seizes."
)

_LIQUIDATION = keccak(text="LiquidationCall(address,address,address,uint256,uint256,address,bool)")
_DEFICIT = keccak(text="DeficitCreated(address,address,uint256)")
_LIQUIDATED = keccak(text="Liquidated(address,address,int256)")
_COLLATERAL_GONE = keccak(text="ReserveUsedAsCollateralDisabled(address,address)")


@dataclass(slots=True)
class AaveSimMarket:
    """A deployed market, and the keeper's executor once it is funded. `capital`: dollars of each token at scale 1."""

    deployed: DeployedAave
    capital: int = CAPITAL_DOLLARS
    settings: Mapping[str, Any] = field(default_factory=lambda: SETTINGS)
    executor: bytes = b""

    @property
    def node(self) -> Node:
        return self.deployed.node

    @property
    def holder(self) -> bytes:
        return self.executor

    @property
    def tokens(self) -> Mapping[str, bytes]:
        return {symbol: reserve.token for symbol, reserve in self.deployed.reserves.items()}

    @property
    def prices(self) -> Prices:
        return by_label({spec.symbol: spec.dollars for spec in self.deployed.listing.reserves})

    @property
    def title(self) -> str:
        return f"Aave v{self.deployed.version} {checksum(self.deployed.pool)}"

    def accounts(self, openings: Sequence[AaveOpening]) -> list[bytes]:
        return [opening.account for opening in openings]

    def open(self, openings: Sequence[AaveOpening]) -> None:
        open_accounts(self.deployed, openings)

    def price_transactions(self, prices: Prices) -> list[Tx]:
        dollars = by_symbol(prices)
        feeds = [self.deployed.set_price(symbol, price) for symbol, price in dollars.items()]
        return [*feeds, *(replace(tx, gas=MOVE_GAS) for tx in self.deployed.move_pools(dollars))]

    def views(self, account: bytes) -> list[ViewCall]:
        return [(self.deployed.pool, calldata("getUserAccountData(address)", account))]

    def state(self, account: bytes, answers: Sequence[bytes | None]) -> AccountState:
        """Health by the pool's own factor. A debt without collateral cannot be liquidated."""
        if answers[0] is None:
            raise InvariantBroken(f"getUserAccountData of {hexed(account)} reverts")
        collateral, debt, _, _, _, health = decode(["uint256"] * 6, answers[0])
        scale = WAD // 10**8
        return AccountState(
            equity=health * debt * scale // WAD if debt else collateral * scale,
            requirement=debt * scale,
            worth=(collateral - debt) * scale,
            liquidatable=health < WAD and collateral > 0,
        )

    def fund_keeper(self, keeper: bytes, scale: float, deployment: Path) -> None:
        """Deploys the executor and gives it some of each token."""
        batch = TxBatch(self.deployed.node, self.deployed.owner)
        self.executor = batch.create(
            forged("KeeperExecutor"), TREASURY, keeper, self.deployed.exits.uniswap.factory, bytes(20)
        )
        for spec in self.deployed.listing.reserves:
            units = int(self.capital * scale / spec.dollars * 10**spec.decimals)
            batch.call(self.deployed.reserves[spec.symbol].token, "mint(address,uint256)", self.executor, units)
        batch.send()
        self.deployed.write_deployment(deployment, self.executor)

    def forked(self, node: Node) -> Self:
        impersonate(node, [self.deployed.owner, self.deployed.exits.uniswap.owner])
        return replace(self, deployed=replace(self.deployed, node=node))

    def liquidations(
        self, receipt: Receipt, prices: Prices, gas_usd: float
    ) -> tuple[list[LiquidationRecord], list[tuple[bytes, float]]]:
        """The pool logs a liquidation first, then the executor logs what it earned; a batch has several of both."""
        liquidations: list[LiquidationRecord] = []
        debts: list[tuple[bytes, float]] = []
        gone: set[bytes] = set()
        call: Log | None = None
        for log in map(log_of, receipt["logs"]):
            if log.address == self.deployed.pool and log.topics[0] == _COLLATERAL_GONE:
                gone.add(log.topics[2][12:])
            elif log.address == self.deployed.pool and log.topics[0] == _DEFICIT:
                debts.append((log.topics[1][12:], self._dollars(log.topics[2][12:], _number(log.data), prices)))
            elif log.address == self.deployed.pool and log.topics[0] == _LIQUIDATION:
                call = log
            elif log.address == self.executor and log.topics[0] == _LIQUIDATED and call is not None:
                liquidations.append(self._record(call, log, receipt["transactionHash"], prices, gone))
        return [replace(found, gas_usd=gas_usd / len(liquidations)) for found in liquidations], debts

    def _record(self, call: Log, earned: Log, tx_hash: str, prices: Prices, gone: set[bytes]) -> LiquidationRecord:
        collateral, debt, account = (topic[12:] for topic in call.topics[1:4])
        [profit] = decode(["int256"], earned.data)
        repaid = _number(call.data)
        subject = LABELS.get(self._symbol(collateral), self._symbol(collateral))
        return LiquidationRecord(
            block=call.block_number,
            account=account,
            kind="liquidate",
            subject=subject,
            notional_usd=self._dollars(debt, repaid, prices),
            reward_usd=self._dollars(debt, profit, prices),
            gas_usd=0.0,
            full=account in gone or self._repaid(debt, account, call.block_number),
            tx_hash=tx_hash,
        )

    def _repaid(self, debt: bytes, account: bytes, block: int) -> bool:
        """Whether a debt is zero after a block."""
        reserve = self.deployed.reserves[self._symbol(debt)]
        tokens = [token for token in (reserve.variable_debt, reserve.stable_debt) if any(token)]
        return not any(ask(self.deployed.node, token, "balanceOf(address)", account, block=block) for token in tokens)

    def _symbol(self, token: bytes) -> str:
        return next(symbol for symbol, reserve in self.deployed.reserves.items() if reserve.token == token)

    def _dollars(self, token: bytes, units: int, prices: Prices) -> float:
        symbol = self._symbol(token)
        return float(units / 10 ** self.deployed.listing.reserve(symbol).decimals * by_symbol(prices)[symbol])


def _number(data: bytes) -> int:
    """The first word."""
    return int.from_bytes(data[:32], "big")


def scenario(seed: int, accounts: int, blocks: int, version: str = V3_6) -> Scenario:
    """Accounts and price path: the same for the same arguments."""
    steps, aftermath = build_path(seed, blocks)
    return Scenario(seed, build_openings(seed, accounts, version), steps, aftermath)


def market_factory(
    version: str, capital: int = CAPITAL_DOLLARS, flash_loans: bool = True
) -> MarketFactory[AaveSimMarket]:
    """The market of a release, with `capital` dollars of each token for the keeper.

    Raises OperatorError when there is no such release.
    """
    if version not in VERSIONS:
        raise OperatorError(f"--protocol aave_v3@{version}: there are {' and '.join(VERSIONS)}")

    def deploy_market(node: Node, scale: float) -> AaveSimMarket:
        deployed = deploy(node, version, DEMO.scaled(scale))
        return AaveSimMarket(deployed, capital, {**SETTINGS, "flash_loans": flash_loans})

    def scripted(seed: int, accounts: int, blocks: int) -> Scenario:
        return scenario(seed, accounts, blocks, version)

    return MarketFactory(scenario=scripted, deploy=deploy_market, about=ABOUT)


MARKET_FACTORY = market_factory(V3_6)
