"""The chain is the referee: every account of real Aave v3, and every liquidation before it is sent, to the wei."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies as st

from keeper.errors import Refused
from keeper.model.health import WAD
from keeper.model.plan import Opportunity, token_key
from keeper.protocols.aave_v3.calldata import FLASH
from keeper.protocols.aave_v3.health import AaveMarket, health_of
from keeper.protocols.aave_v3.simulate import PairOutcome, pairs
from keeper.protocols.aave_v3.state import DEBTS, SUPPLIES, AaveHoldings, holdings_of
from keeper.protocols.base import Snapshot
from keeper.risk.screening import assess
from keeper.sim.markets.aave_v3 import STABLE, V3_0_2, V3_6, VARIABLE
from keeper.sim.node.anvil import Anvil
from keeper.sim.node.artifacts import log_of
from keeper.sim.node.client import Tx
from tests.support.aave import KEEPER, AaveBench
from tests.support.engine import account
from tests.support.parity import note_parity

STATES = 4 * int(os.environ.get("PARITY_STATES", "500")) // 2  # of each version; a state is cheap here
ACCOUNTS = 8
STEPS = 12
GAS = 6_000_000

KINDS = {
    "supply": 2,
    "withdraw": 2,
    "borrow": 5,
    "repay": 2,
    "emode": 1,
    "flag": 1,
    "transfer": 1,
    "rate": 1,
    "price": 4,
    "crash": 16,
    "depeg": 4,
    "pools": 1,
    "rules": 2,
    "guard": 2,
}  # how often each is drawn
STEP = st.tuples(
    st.integers(0, 2**64 - 1),  # what happens, together with how far the run is: no two steps are alike
    st.integers(1, 30) | st.integers(1, 200_000),  # seconds to the block
    st.integers(1, 60) | st.integers(1, 365 * 86_400),  # seconds ahead that health is predicted for
)
Action = tuple[str, int, int, int]


@pytest.fixture(scope="module", params=[V3_0_2, V3_6])
def bench(request: pytest.FixtureRequest) -> Iterator[AaveBench]:
    with Anvil(mining=False) as anvil:
        made = AaveBench.on(anvil, request.param, ACCOUNTS)
        furnish(made)
        yield made


def furnish(bench: AaveBench) -> None:
    """Accounts of every kind near their limits: eModes, isolation, siloed debt, several collaterals, stable rates."""
    deployed = bench.deployed
    for spec in deployed.listing.reserves:
        units = int(5_000_000 / spec.dollars) * 10**spec.decimals
        bench.node.send(*deployed.fund(spec.symbol, [KEEPER], units))
    who = [account(index) for index in range(ACCOUNTS)]
    mode = STABLE if deployed.version == V3_0_2 else VARIABLE
    bench.node.try_send(
        [
            deployed.supply(who[0], "WETH", 10 * 10**18),
            deployed.borrow(who[0], "USDC", 23_900 * 10**6),
            deployed.supply(who[1], "wstETH", 10 * 10**18),
            deployed.set_emode(who[1], 1),
            deployed.borrow(who[1], "WETH", 11 * 10**18),
            deployed.supply(who[2], "USDC", 50_000 * 10**6),
            deployed.set_emode(who[2], 2),
            deployed.supply(who[2], "WETH", 5 * 10**18),
            deployed.borrow(who[2], "DAI", 57_500 * 10**18),
            deployed.supply(who[3], "LINK", 1_000 * 10**18),
            deployed.use_as_collateral(who[3], "LINK"),
            deployed.borrow(who[3], "USDC", 9_800 * 10**6),
            deployed.supply(who[4], "WBTC", 10**8),
            deployed.supply(who[4], "WETH", 10**18),
            deployed.borrow(who[4], "USDC", 20_000 * 10**6, mode),
            deployed.borrow(who[4], "USDC", 12_000 * 10**6),
            deployed.borrow(who[4], "DAI", 13_000 * 10**18),
            deployed.supply(who[5], "WETH", 10**18),
            deployed.borrow(who[5], "sUSD", 2_390 * 10**18),
            deployed.supply(who[6], "USDC", 3_000 * 10**6),
            deployed.supply(who[6], "WETH", 10**17),
            deployed.borrow(who[6], "USDC", 1_500 * 10**6),
            deployed.borrow(who[6], "WETH", 3 * 10**17),
            deployed.supply(who[7], "USDC", 100_000 * 10**6),
            deployed.supply(who[7], "WETH", 10 * 10**18),
            deployed.supply(who[7], "WBTC", 10**8),
            deployed.borrow(who[7], "USDC", 10_000 * 10**6, mode),
        ]
    )


class Run:
    """What a whole run has seen."""

    def __init__(self, bench: AaveBench) -> None:
        self.bench = bench
        self.states = self.liquidatable = self.unpriced = self.liquidations = self.mispredicted = 0
        self.mismatches: list[str] = []
        self.done: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()
        self.foreseen: Counter[str] = Counter()

    def example(self, steps: list[Any]) -> None:
        """Drive the chain, compare after each block and at a predicted time, liquidate, and go back."""
        start = self.bench.anvil.snapshot()
        try:
            for seed, wait, ahead in steps:
                chance = Random(seed)
                actions = [self.action(chance) for _ in range(chance.randint(1, 3))]
                snapshot = self.bench.snapshot()
                txs = [tx for action in actions for tx in self.txs(snapshot, *action)]
                kinds = [action[0] for action in actions for _ in self.txs(snapshot, *action)]
                receipts = self.bench.mine_at(snapshot.block.timestamp + wait, *txs)
                for kind, receipt in zip(kinds, receipts, strict=True):
                    (self.done if int(receipt["status"], 16) else self.refused)[kind] += 1
                self.compare(self.bench.snapshot())
                for _ in range(chance.randint(2, 8)):
                    if not self.liquidate(*self.action(chance)[1:]):
                        break
                snapshot = self.bench.snapshot()
                self.compare(snapshot)
                past = self.bench.anvil.snapshot()
                self.bench.mine_at(snapshot.block.timestamp + ahead)
                self.compare_views(snapshot, self.bench.head())
                self.bench.anvil.revert(past)
            assert not self.mismatches, "\n".join(self.mismatches)
        finally:
            self.bench.anvil.revert(start)

    @staticmethod
    def action(chance: Random) -> Action:
        [kind] = chance.choices(list(KINDS), list(KINDS.values()))
        return kind, chance.randrange(2**16), chance.randrange(2**16), chance.randrange(2**40)

    # ---- comparing

    def compare(self, snapshot: Snapshot) -> None:
        """Views and the screen at the head."""
        self.compare_views(snapshot, snapshot.block)
        self.compare_screen(snapshot)

    def compare_views(self, snapshot: Snapshot, block: Any) -> None:
        """Local health of every account at a block's time against `getUserAccountData` in that block."""
        protocol = self.bench.protocol
        rows = range(len(snapshot.columns))
        there = replace(snapshot, block=block)
        answers = self.bench.read([call for row in rows for call in protocol.audit(snapshot, row)], block)
        for row, answer in zip(rows, answers, strict=True):
            if difference := protocol.audit_matches(there, row, [answer]):
                self.mismatches.append(f"{snapshot.columns.accounts.address(row).hex()}: {difference}")
            self.unpriced += not answer.ok
            self.states += 1

    def compare_screen(self, snapshot: Snapshot) -> None:
        """Slack within its bound, and nobody missed."""
        protocol, when = self.bench.protocol, snapshot.block.timestamp
        screen = protocol.screen(snapshot, when)
        unsafe = set()
        for row in range(len(snapshot.columns)):
            try:
                health = protocol.health(snapshot, row, when)
            except Refused:
                assert screen.unpriced[row]
                continue
            assert not screen.unpriced[row]
            if health.liquidatable:
                unsafe.add(row)
            if np.isfinite(screen.slack[row]):
                exact = Fraction(health.equity - health.requirement, WAD)
                assert abs(Fraction(float(screen.slack[row])) - exact) <= Fraction(float(screen.bound[row]))
        assert {account.row for account in assess(protocol, snapshot, when).unsafe} == unsafe
        self.liquidatable += len(unsafe)

    def wrong(self, what: str) -> None:
        self.mispredicted += 1
        self.mismatches.append(what)

    # ---- liquidations

    def liquidate(self, a: int, b: int, c: int) -> bool:
        """The keeper's own call for an unsafe account, or a liquidation of any size of anybody by somebody else.

        Whether anybody was unsafe.
        """
        snapshot = self.bench.snapshot()
        when = snapshot.block.timestamp + 1 + c % 600
        market = AaveMarket(snapshot.state, snapshot.readings, when)
        unsafe = [row for row in range(len(snapshot.columns)) if self.unsafe(market, snapshot, row)]
        if unsafe and b % 3:
            row = unsafe[a % len(unsafe)]
            for item in self.opportunities(snapshot, row, when, c)[: 1 + c % 4 : 1 + b % 2]:
                self.carry_out(snapshot, row, item, when)
                return True
        row = unsafe[a % len(unsafe)] if unsafe and b % 4 else a % len(snapshot.columns)
        self.by_hand(snapshot, market, row, b, c)
        return bool(unsafe)

    def unsafe(self, market: AaveMarket, snapshot: Snapshot, row: int) -> bool:
        try:
            return health_of(market, holdings_of(snapshot.columns, row)).liquidatable
        except Refused:
            return False

    def opportunities(self, snapshot: Snapshot, row: int, when: int, c: int) -> list[Opportunity]:
        limits = {token_key(item.asset): self.units(item.asset) for item in snapshot.state.reserves}
        if c % 5 == 0:
            limits = {key: units // (1 + c % 10_000) for key, units in limits.items()}
        target = WAD + (c % 30) * WAD // 100
        try:
            found = self.bench.protocol.opportunities(snapshot, row, when, target, limits)
        except Refused as refusal:
            self.foreseen[refusal.code] += 1
            return []
        wanted = [item for item in found if (item.kind == FLASH) == bool(c % 2)] or found
        return wanted[c % len(wanted) :] if wanted else []

    def units(self, token: bytes) -> int:
        return self.bench.deployed.balance(token, self.bench.executor)

    def carry_out(self, snapshot: Snapshot, row: int, item: Opportunity, when: int) -> None:
        """Profit, amounts, and the account's six figures after it."""
        bench = self.bench
        [(token, profit)] = item.rewards.items()
        call = bench.protocol.encode(snapshot, item, max(item.reward_wad, 0))
        held = self.units(token)
        [receipt] = bench.mine_at(when, Tx(KEEPER, call.to, call.data, gas=GAS))
        self.liquidations += 1
        label = f"{item.kind} {item.subject} of {item.account.hex()}"
        if profit < 0:
            self.foreseen["loss"] += 1
            if int(receipt["status"], 16):
                self.wrong(f"{label}: a loss of {profit} was let through")
            return
        self.foreseen[item.kind] += 1
        logs = [log_of(log) for log in receipt["logs"]]
        done = bench.protocol.achieved(snapshot.state, item.account, KEEPER, logs)
        if done is None:
            self.wrong(f"{label}: {item.details} reverted")
            return
        if int(receipt["gasUsed"], 16) > item.gas_limit:
            self.wrong(f"{label}: gas {int(receipt['gasUsed'], 16)}, the limit is {item.gas_limit}")
        if done.rewards != item.rewards or self.units(token) - held != profit:
            self.wrong(f"{label}: profit {profit}, achieved {done.rewards}, held {held}, now {self.units(token)}")
        if (done.size, done.details["seized"]) != (item.size, item.details["seized"]):
            self.wrong(f"{label}: {item.size}, {item.details}; done {done}")
        holdings = holdings_of(snapshot.columns, row)
        premium_pays_him = item.kind == FLASH and item.details["debt"] in holdings.supplies
        if bench.deployed.version == V3_0_2 and premium_pays_him:
            return  # part of the premium is spread over the suppliers of the debt token: him among them
        if bench.deployed.user_data(item.account) != tuple(item.after.views.values()):
            self.wrong(f"{label}: after it {bench.deployed.user_data(item.account)}, predicted {item.after.views}")

    def by_hand(self, snapshot: Snapshot, market: AaveMarket, row: int, b: int, c: int) -> None:
        """Any pair, any size: whether the pool takes it, and what is left, row by row."""
        bench = self.bench
        listed = snapshot.state.reserves
        holdings = holdings_of(snapshot.columns, row)
        collateral = self.pick(listed, list(holdings.supplies), b)
        debt = self.pick(listed, list(holdings.debts), b // 16)
        offer = self.offer(market, holdings, collateral, debt, c)
        expected = self.expected(market, holdings, collateral.index, debt.index, offer)
        address = snapshot.columns.accounts.address(row)
        tx = bench.deployed.liquidate(KEEPER, address, collateral.symbol, debt.symbol, offer)
        [receipt] = bench.mine_at(market.timestamp, replace(tx, gas=GAS))
        label = f"{collateral.symbol}/{debt.symbol} {offer} of {address.hex()}"
        done = int(receipt["status"], 16) == 1
        if done != (expected is not None):
            self.wrong(f"{label}: taken {done}, predicted {expected}")
        if expected is None or not done:
            self.foreseen["no"] += 1
            return
        self.foreseen["by others"] += 1
        self.liquidations += 1
        after = bench.snapshot()
        if trimmed(holdings_of(after.columns, row)) != trimmed(expected.after):
            self.wrong(f"{label}: {trimmed(holdings_of(after.columns, row))}, predicted {trimmed(expected.after)}")
        [words] = [
            log.data
            for log in map(log_of, receipt["logs"])
            if log.address == bench.deployed.pool and len(log.topics) == 4 and len(log.data) == 128
        ]
        amounts = int.from_bytes(words[:32], "big"), int.from_bytes(words[32:64], "big")
        if amounts != (expected.covered, expected.seized):
            self.wrong(f"{label}: {amounts}, predicted {expected.covered, expected.seized}")

    @staticmethod
    def pick(listed: Any, held: list[int], at: int) -> Any:
        """Mostly something that is held."""
        return listed[held[at % len(held)]] if held and at % 8 else listed[at % len(listed)]

    @staticmethod
    def offer(market: AaveMarket, holdings: AaveHoldings, collateral: Any, debt: Any, c: int) -> int:
        owed = market.owed(debt.index, holdings.debts[debt.index]) if debt.index in holdings.debts else 10**9
        if c % 7 == 0:
            return 1 + c % 5
        if c % 7 == 1:
            return 2 * owed + 1
        return 1 + owed * (c % 10_007) // 10_007

    def expected(
        self, market: AaveMarket, holdings: AaveHoldings, collateral: int, debt: int, offer: int
    ) -> PairOutcome | None:
        try:
            before = health_of(market, holdings)
            if before.health_wad >= WAD:
                return None
            for pair in pairs(market, holdings, before):
                if (pair.collateral.index, pair.debt.index) == (collateral, debt):
                    made = None if pair.refusal() else pair.outcome(offer)
                    return made if made and made.seized <= market.data(collateral).liquidity else None
        except Refused:
            pass
        return None

    # ---- what happens

    def txs(self, snapshot: Snapshot, kind: str, a: int, b: int, c: int) -> list[Tx]:
        made: Tx | list[Tx] | None = getattr(self, f"tx_{kind}")(snapshot, a, b, c)
        return [replace(tx, gas=GAS) for tx in (made if isinstance(made, list) else [made] if made else [])]

    def symbol(self, b: int) -> str:
        reserves = self.bench.deployed.listing.reserves
        return reserves[b % len(reserves)].symbol

    def held(self, snapshot: Snapshot, who: bytes, table: str, b: int) -> str:
        """Mostly a symbol of what an account has or owes."""
        row = snapshot.columns.accounts.row(who)
        found = [index for index, _ in snapshot.columns[table].holdings(row)] if row is not None else []
        return self.pick(snapshot.state.reserves, found, b).symbol

    @staticmethod
    def saver(a: int) -> bytes:
        """Often the one who can afford it."""
        return account(7 if a % 3 else a % ACCOUNTS)

    def worth(self, snapshot: Snapshot, symbol: str, dollars: float) -> int:
        """Units of an asset for dollars."""
        spec = self.bench.deployed.listing.reserve(symbol)
        price = snapshot.readings.prices.get(self.bench.deployed.reserves[symbol].token) or 10**8
        return int(dollars * 1e8 / price * 10**spec.decimals) + 1

    def tx_supply(self, snapshot: Snapshot, a: int, b: int, c: int) -> Tx:
        symbol = self.symbol(b)
        return self.bench.deployed.supply(
            account(a % ACCOUNTS), symbol, self.worth(snapshot, symbol, 20_000 * c / 2**40)
        )

    def tx_withdraw(self, snapshot: Snapshot, a: int, b: int, c: int) -> Tx:
        symbol = self.held(snapshot, self.saver(a), SUPPLIES, b)
        units = {"units": self.worth(snapshot, symbol, 20_000 * c / 2**40)} if c % 3 else {}
        return self.bench.deployed.withdraw(self.saver(a), symbol, **units)

    def tx_borrow(self, snapshot: Snapshot, a: int, b: int, c: int) -> Tx:
        """Often as much as there is room for."""
        who = account(a % ACCOUNTS)
        symbol = self.symbol(b)
        row = snapshot.columns.accounts.row(who)
        try:
            room = self.bench.protocol.health(snapshot, row, snapshot.block.timestamp).views if row is not None else {}
        except Refused:
            room = {}
        dollars = room.get("availableBorrowsBase", 0) / 1e8 * (0.99 if c % 3 else c / 2**40)
        mode = STABLE if self.bench.deployed.version == V3_0_2 and symbol == "USDC" and c % 2 else VARIABLE
        return self.bench.deployed.borrow(who, symbol, self.worth(snapshot, symbol, dollars), mode)

    def tx_repay(self, snapshot: Snapshot, a: int, b: int, c: int) -> Tx:
        symbol = self.held(snapshot, account(a % ACCOUNTS), DEBTS, b)
        units = {"units": self.worth(snapshot, symbol, 10_000 * c / 2**40)} if c % 3 else {}
        mode = STABLE if self.bench.deployed.version == V3_0_2 and symbol == "USDC" and c % 2 else VARIABLE
        return self.bench.deployed.repay(account(a % ACCOUNTS), symbol, mode=mode, **units)

    def tx_emode(self, snapshot: Snapshot, a: int, b: int, c: int) -> Tx:
        return self.bench.deployed.set_emode(account(a % ACCOUNTS), b % 3)

    def tx_flag(self, snapshot: Snapshot, a: int, b: int, c: int) -> Tx:
        return self.bench.deployed.use_as_collateral(
            self.saver(a), self.held(snapshot, self.saver(a), SUPPLIES, b), bool(c % 2)
        )

    def tx_transfer(self, snapshot: Snapshot, a: int, b: int, c: int) -> Tx:
        symbol = self.held(snapshot, self.saver(a), SUPPLIES, b)
        units = self.worth(snapshot, symbol, 5_000 * c / 2**40)
        return self.bench.deployed.transfer(self.saver(a), symbol, account((a // 8) % ACCOUNTS), units)

    def tx_rate(self, snapshot: Snapshot, a: int, b: int, c: int) -> Tx | None:
        if self.bench.deployed.version == V3_6:
            return self.bench.deployed.mint_to_treasury(self.symbol(b))
        who = account((4, 7, a % ACCOUNTS)[b % 3])
        return self.bench.deployed.swap_rate_mode(who, "USDC", STABLE if c % 2 else VARIABLE)

    def tx_price(self, snapshot: Snapshot, a: int, b: int, c: int) -> Tx:
        spec = self.bench.deployed.listing.reserves[b % 7]
        return self.bench.deployed.set_price(spec.symbol, spec.dollars * (0.93 + 0.14 * c / 2**40))

    def tx_crash(self, snapshot: Snapshot, a: int, b: int, c: int) -> Tx | list[Tx]:
        """One price, or all coins together."""
        deployed = self.bench.deployed
        if a % 2:
            falling = [spec for spec in deployed.listing.reserves if spec.dollars > 2]
            return [deployed.set_price(spec.symbol, spec.dollars * (0.97 - 0.25 * c / 2**40)) for spec in falling]
        if b % 9 == 8 and deployed.emode_feeds:
            return deployed.set_emode_price(2, (0.0, 0.5 + c / 2**40)[min(c % 6, 1)])
        # What somebody has falls, or what he owes rises.
        falls = c % 5 != 0
        spec = deployed.listing.reserve(self.held(snapshot, account(a % ACCOUNTS), SUPPLIES if falls else DEBTS, b))
        factor = 1.0 - 0.3 * c / 2**40 if falls else 1.0 + 0.3 * c / 2**40
        now = snapshot.readings.prices.get(deployed.reserves[spec.symbol].token, 0) / 1e8 or spec.dollars
        return deployed.set_price(spec.symbol, now * factor if c % 30 else 0.0)

    def tx_depeg(self, snapshot: Snapshot, a: int, b: int, c: int) -> Tx:
        """What should stand at par does not: trouble for accounts in eModes."""
        deployed, share = self.bench.deployed, c / 2**40
        if b % 3 == 0:
            return deployed.set_price("wstETH", deployed.listing.reserve("wstETH").dollars * (1 - 0.1 * share))
        if b % 3 == 1 and deployed.emode_feeds:
            return deployed.set_emode_price(2, 1 + 0.15 * share)
        return deployed.set_price("DAI", 1 + 0.1 * share)

    def tx_pools(self, snapshot: Snapshot, a: int, b: int, c: int) -> list[Tx]:
        """A few pools follow the oracle."""
        deployed = self.bench.deployed
        prices = {spec.symbol: spec.dollars for spec in deployed.listing.reserves}
        for reserve in snapshot.state.reserves:
            if price := snapshot.readings.prices.get(reserve.asset):
                prices[reserve.symbol] = price / 1e8
        chosen = [pool for place, pool in enumerate(deployed.exits.pools) if place % 5 == a % 5]
        return deployed.move_pools(prices, chosen)

    def tx_rules(self, snapshot: Snapshot, a: int, b: int, c: int) -> Tx:
        """Parameters of a reserve or an eMode."""
        deployed, share = self.bench.deployed, c / 2**40
        spec = deployed.listing.reserves[a % 6]
        token = deployed.reserves[spec.symbol].token
        old = deployed.version == V3_0_2
        choices = [
            ("setLiquidationProtocolFee(address,uint256)", token, (0, int(10_000 * share))[c % 2]),
            ("configureReserveAsCollateral(address,uint256,uint256,uint256)", token, 0, spec.threshold, spec.bonus),
            (
                "configureReserveAsCollateral(address,uint256,uint256,uint256)",
                token, spec.ltv - 500, spec.threshold - int(300 * share), spec.bonus + int(400 * share),
            ),
            ("setReserveFlashLoaning(address,bool)", token, bool(c % 2)),
            ("setReserveFactor(address,uint256)", token, int(9_000 * share)),
            ("setReserveFreeze(address,bool)", token, bool(c % 2)),
        ]  # fmt: skip
        if old:
            choices += [
                ("setAssetEModeCategory(address,uint8)", token, c % 3),
                ("updateFlashloanPremiumTotal(uint128)", int(50 * share)),
                (
                    "setEModeCategory(uint8,uint16,uint16,uint16,address,string)",
                    1, 9_300, 9_500, 10_100 + int(300 * share), deployed.emode_feeds[2] and bytes(20), "ETH",
                ),
            ]  # fmt: skip
        else:
            mode = 1 + c % 2
            choices += [
                ("setAssetCollateralInEMode(address,uint8,bool)", token, mode, bool(b % 2)),
                ("setAssetLtvzeroInEMode(address,uint8,bool)", token, mode, bool(b % 2)),
                (
                    "setEModeCategory(uint8,uint16,uint16,uint16,string)",
                    mode,
                    9_000,
                    9_400 + int(100 * share),
                    10_100 + int(300 * share),
                    "x",
                ),
                ("updateFlashloanPremium(uint128)", int(50 * share)),
            ]
        return deployed.configure(*choices[b % len(choices)])

    def tx_guard(self, snapshot: Snapshot, a: int, b: int, c: int) -> Tx | list[Tx]:
        """Pauses, with a grace period in 3.6; the sentinel, mostly up."""
        deployed = self.bench.deployed
        symbol = self.symbol(b)
        if a % 3 == 0:
            bed_sentinel = self.sentinel
            since = snapshot.block.timestamp - c % 5_000
            return deployed.set_sequencer(bed_sentinel, c % 4 == 0, since)
        if deployed.version == V3_6 and a % 3 == 1:
            return [deployed.pause(symbol), deployed.pause(symbol, False, grace=1 + c % 3_000)]
        return deployed.pause(symbol, c % 3 == 0)

    sentinel = b""


def trimmed(holdings: AaveHoldings) -> tuple[Any, ...]:
    """Without what says nothing."""
    supplies = {key: item for key, item in holdings.supplies.items() if item.scaled or item.collateral}
    debts = {key: item for key, item in holdings.debts.items() if item.scaled or item.principal or item.borrowing}
    return holdings.category, supplies, debts


def test_every_account_and_every_liquidation_is_the_contracts_own_after_random_steps(
    bench: AaveBench, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(bench)
    _, run.sentinel = bench.deployed.install_sentinel(600)
    bench.discover()

    @settings(
        max_examples=-(-STATES // (3 * STEPS * ACCOUNTS)) + 1,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(STEP, min_size=STEPS, max_size=STEPS))
    def drive(steps: list[Any]) -> None:
        if run.states < STATES:
            run.example(steps)

    drive()
    with capsys.disabled():
        print(
            f"\naave {bench.deployed.version} parity: {run.states} account states, {len(run.mismatches)} mismatches, "
            f"{run.liquidatable} liquidatable, {run.unpriced} unpriced; {run.liquidations} liquidations, "
            f"{run.mispredicted} mispredicted; {dict(run.foreseen)}; done {dict(run.done)}, "
            f"refused by the pool {dict(run.refused)}"
        )
    note_parity(
        "aave_v3",
        states=run.states,
        views=6 * run.states,
        mismatches=len(run.mismatches) - run.mispredicted,
        liquidations=run.liquidations,
        mispredicted=run.mispredicted,
    )
    assert run.states >= STATES
    assert run.liquidatable
    assert run.liquidations
    if STATES < 5_000:
        return  # too short for the rare things
    assert run.unpriced
    for kind in ("by others", "liquidate", "liquidate_flash", "no"):
        assert run.foreseen[kind], f"no {kind}: the run says little"
