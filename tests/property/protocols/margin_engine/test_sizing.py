"""Sizes on a real node: the smallest that restore the target, predicted to the wei, clipped where the engine clips."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from keeper.errors import Refused
from keeper.model.chain import Call
from keeper.model.health import WAD
from keeper.model.plan import Opportunity
from keeper.protocols.base import NEVER, Snapshot
from keeper.protocols.margin_engine.health import equity_requirement, health_of
from keeper.protocols.margin_engine.simulate import Closing, simulate_seizure
from keeper.protocols.margin_engine.sizing import choose
from keeper.protocols.margin_engine.state import EngineState, holdings_of
from keeper.sim.markets.margin_engine.deploy import artifact
from keeper.sim.node.anvil import Anvil
from keeper.sim.node.artifacts import log_of
from keeper.sim.node.client import Tx
from tests.property.protocols.margin_engine.scenes import SCENE, WHO, Scenes
from tests.support.engine import EngineBench
from tests.support.parity import check_permits, note_parity

EXAMPLES = int(os.environ.get("SIZING_EXAMPLES", "40"))
ENGINE = artifact("MarginEngine")[0].functions
REFUSALS = {
    "close_factor": "CloseFactorExceeded",
    "dust": "DustLeft",
    "block_cap": "BlockCapReached",
    "post_health": "OverLiquidation",
}


@pytest.fixture(scope="module")
def bench() -> Iterator[EngineBench]:
    with Anvil(mining=False) as anvil:
        bench = EngineBench.on(anvil, accounts=2)
        market = bench.deployed
        bench.node.send(
            market.mint("USDC", market.owner, 10**12),
            market.mint("WBTC", market.owner, 10**12),
            market.mint("WETH", market.owner, 10**24),
            *(market.approve(symbol, market.owner) for symbol in market.tokens),
        )
        yield bench


class Run(Scenes):
    """What a whole run has seen."""

    def __init__(self, bench: EngineBench) -> None:
        super().__init__(bench)
        self.seen: Counter[str] = Counter()
        self.gas: dict[str, list[float]] = {}  # used, as a share of what was expected

    def example(self, scene: dict[str, Any]) -> None:
        start = self.bench.anvil.snapshot()
        try:
            if not self.open(scene) or not self.crash(scene):
                self.seen["not unsafe"] += 1
                return
            for _ in range(5):  # what one liquidation leaves may ask for another, and for seizures
                if not self.round(scene):
                    break
        finally:
            self.bench.anvil.revert(start)

    def round(self, scene: dict[str, Any]) -> bool:
        """Check every opportunity, then take the first. False when there is none."""
        snapshot = self.bench.snapshot()
        timestamp = snapshot.block.timestamp + scene["wait"]
        target = scene["target_pct"] * WAD // 100
        try:
            found = self.bench.protocol.opportunities(snapshot, 0, timestamp, target, {})
        except Refused:
            return False
        for opportunity in found:
            self.seen[opportunity.kind] += 1
            if opportunity.kind == "liquidate":
                self.check_liquidation(snapshot, opportunity, timestamp, target)
            else:
                self.check_seizure(snapshot, opportunity, timestamp)
        if found:
            self.execute(snapshot, found[0], timestamp, keep=True)
        return bool(found)

    def execute(
        self, snapshot: Snapshot, opportunity: Opportunity, timestamp: int, keep: bool = False
    ) -> tuple[Snapshot, dict[str, Any]]:
        """Send exactly what the keeper would, under its gas limit and with the predicted reward as its floor."""
        before = self.bench.anvil.snapshot()
        call = self.bench.protocol.encode(snapshot, opportunity, opportunity.reward_wad)
        check_permits(self.bench.protocol, snapshot, call)
        [receipt] = self.bench.mine_at(timestamp, Tx(self.bench.keeper, call.to, call.data, opportunity.gas_limit))
        after = self.bench.snapshot()
        assert after.block.timestamp == timestamp
        assert int(receipt["status"], 16) == 1, f"{opportunity} reverted"
        self.check_result(after, opportunity, receipt)
        if not keep:
            self.bench.anvil.revert(before)
        return after, dict(receipt)

    def check_result(self, after: Snapshot, opportunity: Opportunity, receipt: dict[str, Any]) -> None:
        """Rewards, size, bad debt and health after are what was predicted."""
        logs = [log_of(found) for found in receipt["logs"]]
        done = self.bench.protocol.achieved(after.state, WHO, self.bench.keeper, logs)
        assert done is not None
        assert done.rewards == opportunity.rewards
        assert done.size == opportunity.size
        assert done.bad_debt_wad == opportunity.details["bad_debt"]
        assert done.details["penalty"] == opportunity.details.get("penalty", 0)
        self.seen["bad debt"] += done.bad_debt_wad > 0
        health = self.bench.protocol.health(after, 0, after.block.timestamp)
        assert health == opportunity.after
        [answer] = self.bench.read(self.bench.protocol.audit(after, 0), after.block)
        assert not self.bench.protocol.audit_matches(after, 0, [answer])
        used = int(receipt["gasUsed"], 16)
        self.gas.setdefault(opportunity.kind, []).append(used / opportunity.gas)

    def check_liquidation(self, snapshot: Snapshot, opportunity: Opportunity, timestamp: int, target: int) -> None:
        state: EngineState = snapshot.state
        holdings = holdings_of(snapshot.columns, 0)
        market = opportunity.details["market"]
        sized = choose(Closing.of(state, snapshot.readings, holdings, market, timestamp), target)
        assert sized is not None
        assert sized.outcome.size == opportunity.size
        after, _ = self.execute(snapshot, opportunity, timestamp)
        assert holdings_of(after.columns, 0) == sized.outcome.holdings
        assert after.state == sized.outcome.state
        equity, requirement = equity_requirement(state, snapshot.readings, holdings, timestamp)
        self.seen["deep" if equity * 2 < requirement else "shallow"] += 1
        self.seen["full" if not opportunity.partial else "partial"] += 1
        self.seen["off step"] += abs(holdings.position(market).size) % state.markets[market].rules.step != 0
        self.seen[f"limit {sized.limit}"] += 1
        if sized.limit == "target":
            assert opportunity.after.health_wad >= target
            self.check_one_step_less(snapshot, opportunity, timestamp, target)
        else:
            self.check_the_clip(snapshot, opportunity, timestamp, target, sized.limit)

    def check_one_step_less(self, snapshot: Snapshot, opportunity: Opportunity, timestamp: int, target: int) -> None:
        """On chain, one step less leaves the account below the target, or is not allowed."""
        step = snapshot.state.markets[opportunity.details["market"]].rules.step
        size = (opportunity.size - 1) // step * step
        if size == 0:
            self.seen["one step"] += 1
            return
        before = self.bench.anvil.snapshot()
        data = ENGINE["liquidate"].encode(WHO, opportunity.details["market"], size, 0, NEVER)
        [receipt] = self.bench.mine_at(timestamp, Tx(self.bench.keeper, self.bench.deployed.engine, data))
        if int(receipt["status"], 16):
            after = self.bench.snapshot()
            [answer] = self.bench.read(self.bench.protocol.audit(after, 0), after.block)
            equity, requirement = ENGINE["health"].decode(answer.data)
            assert health_of(equity, requirement).health_wad < target
            self.seen["less falls short"] += 1
        else:
            self.seen["less is not allowed"] += 1
        self.bench.anvil.revert(before)

    def check_the_clip(
        self, snapshot: Snapshot, opportunity: Opportunity, timestamp: int, target: int, limit: str
    ) -> None:
        """On chain, one step more is refused, as a rule for the very reason that was given: two may bind at once."""
        market = snapshot.state.markets[opportunity.details["market"]]
        held = abs(holdings_of(snapshot.columns, 0).position(market.id).size)
        if limit == "full":
            assert opportunity.size == held
            return
        if limit != "post_health":
            assert opportunity.after.health_wad < target
        size = opportunity.size + market.rules.step
        if size >= held:
            return
        before = self.bench.anvil.snapshot()
        self.bench.mine_at(timestamp)
        call = Call(self.bench.deployed.engine, ENGINE["liquidate"].encode(WHO, market.id, size, 0, NEVER))
        reason = self.bench.revert_reason(self.bench.keeper, call)
        assert reason in REFUSALS.values()
        self.seen["more is refused, as said" if reason == REFUSALS[limit] else "more is refused, otherwise"] += 1
        self.bench.anvil.revert(before)

    def check_seizure(self, snapshot: Snapshot, opportunity: Opportunity, timestamp: int) -> None:
        holdings = holdings_of(snapshot.columns, 0)
        id_ = opportunity.details["collateral"]
        predicted = simulate_seizure(snapshot.state, snapshot.readings, holdings, id_, opportunity.size, timestamp)
        after, _ = self.execute(snapshot, opportunity, timestamp)
        assert holdings_of(after.columns, 0) == predicted.holdings
        assert after.state == predicted.state
        self.seen["seize all" if not opportunity.partial else "seize part"] += 1
        smaller = replace(opportunity, size=opportunity.size * 2 // 3, details=opportunity.details)
        half = simulate_seizure(snapshot.state, snapshot.readings, holdings, id_, smaller.size, timestamp)
        if half.amount:
            before = self.bench.anvil.snapshot()
            token = snapshot.state.collaterals[id_].token
            data = ENGINE["seizeCollateral"].encode(WHO, token, smaller.size, half.amount, NEVER)
            [receipt] = self.bench.mine_at(timestamp, Tx(self.bench.keeper, self.bench.deployed.engine, data))
            assert int(receipt["status"], 16) == 1
            assert holdings_of(self.bench.snapshot().columns, 0) == half.holdings
            self.seen["seize less"] += 1
            self.bench.anvil.revert(before)


def test_sizes_restore_the_target_on_chain_and_outcomes_are_predicted_to_the_wei(
    bench: EngineBench, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(bench)

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(SCENE)
    def drive(scene: dict[str, Any]) -> None:
        run.example(scene)

    drive()
    with capsys.disabled():
        spread = {kind: f"{min(shares):.2f} to {max(shares):.2f}" for kind, shares in run.gas.items()}
        print(f"\nsizing on chain: {dict(sorted(run.seen.items()))}; gas used of expected: {spread}")
    note_parity(
        "margin_engine", liquidations=run.seen["liquidate"] + run.seen["seize"]
    )  # a wrong one would have raised
    wanted = (
        "partial",
        "full",
        "deep",
        "shallow",
        "limit target",
        "less falls short",
        "more is refused, as said",
        "bad debt",
    )
    for what in (*wanted, "limit close_factor", "limit block_cap", "seize all", "seize part", "seize less", "off step"):
        assert run.seen[what], f"no case of {what}: the run says little"


def test_a_debt_below_the_price_of_one_token_unit_buys_that_unit(bench: EngineBench) -> None:
    market, run = bench.deployed, Run(bench)
    start = bench.anvil.snapshot()
    deposit = Tx(market.owner, market.engine, market.call("depositFor", WHO, market.tokens["WBTC"], 10**8))
    timestamp = bench.head().timestamp
    bench.mine_at(timestamp + 1, deposit, market.set_price("BTC", 61_234.567891))
    bench.mine_at(timestamp + 2, market.trade(WHO, "BTC", WAD // 10))
    bench.mine_at(timestamp + 50, market.trade(WHO, "BTC", -WAD // 10))
    debt = -holdings_of(bench.snapshot().columns, 0).settlement
    rest = Tx(market.owner, market.engine, market.call("depositFor", WHO, market.tokens["USDC"], debt // 10**12))
    bench.mine_at(timestamp + 60, rest)
    snapshot = bench.snapshot()
    assert 0 < -holdings_of(snapshot.columns, 0).settlement < 10**12
    [opportunity] = bench.protocol.opportunities(snapshot, 0, timestamp + 70, WAD, {})
    assert opportunity.rewards[market.tokens["WBTC"]] == 1
    run.check_seizure(snapshot, opportunity, timestamp + 70)
    bench.anvil.revert(start)
