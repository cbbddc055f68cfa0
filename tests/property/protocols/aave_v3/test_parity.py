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
from keeper.protocols.aave_v3.state import AaveHoldings, holdings_of
from keeper.protocols.base import Snapshot
from keeper.risk.screening import assess
from keeper.sim.markets.aave_v3 import V3_0_2, V3_6
from keeper.sim.node.anvil import Anvil
from keeper.sim.node.artifacts import log_of
from keeper.sim.node.client import Tx
from tests.property.protocols.aave_v3.steps import ACCOUNTS, GAS, Steps, furnish
from tests.support.aave import KEEPER, AaveBench
from tests.support.parity import check_permits, note_parity

STATES = 4 * int(os.environ.get("PARITY_STATES", "500")) // 2  # of each version; a state is cheap here
STEPS = 12
STEP = st.tuples(
    st.integers(0, 2**64 - 1),  # what happens, together with how far the run is: no two steps are alike
    st.integers(1, 30) | st.integers(1, 200_000),  # seconds to the block
    st.integers(1, 60) | st.integers(1, 365 * 86_400),  # seconds ahead that health is predicted for
)


@pytest.fixture(scope="module", params=[V3_0_2, V3_6])
def bench(request: pytest.FixtureRequest) -> Iterator[AaveBench]:
    with Anvil(mining=False) as anvil:
        made = AaveBench.on(anvil, request.param, ACCOUNTS)
        furnish(made)
        yield made


class Run(Steps):
    """What a whole run has seen."""

    def __init__(self, bench: AaveBench) -> None:
        super().__init__(bench)
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
        check_permits(bench.protocol, snapshot, call)
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
