"""The chain is the referee: a book folded from logs equals the contract, account by account, to the wei."""

import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies as st

from keeper.book.audit import audit_calls
from keeper.errors import Refused
from keeper.model.chain import BlockRef, Call
from keeper.model.health import WAD
from keeper.protocols.base import NEVER, Snapshot
from keeper.protocols.margin_engine.state import BALANCES, POSITIONS, EngineState
from keeper.sim.markets.margin_engine.deploy import artifact, collateral_params, market_params
from keeper.sim.node.anvil import Anvil
from keeper.sim.node.client import Tx
from tests.support.engine import EngineBench, account
from tests.support.parity import check_permits, note_parity

STATES = int(os.environ.get("PARITY_STATES", "1600"))
ACCOUNTS = 8
STEPS = 10
ENGINE = artifact("MarginEngine")[0].functions

KINDS = {
    "deposit": 2,
    "withdraw": 2,
    "trade": 5,
    "price": 4,
    "crash": 2,
    "liquidate": 4,
    "seize": 3,
    "rules": 1,
    "feed": 2,
    "pause": 1,
}  # how often each is drawn
STEP = st.tuples(
    st.lists(
        st.tuples(
            st.sampled_from([kind for kind, share in KINDS.items() for _ in range(share)]),
            st.integers(0, 2**16),
            st.integers(0, 2**16),
            st.integers(0, 2**40),
        ),
        min_size=1,
        max_size=3,
    ),
    st.integers(1, 30) | st.integers(1, 3_000),  # seconds to the block
    st.integers(1, 30) | st.integers(1, 9_000),  # seconds ahead that health is predicted for
)


@pytest.fixture(scope="module")
def bench() -> Iterator[EngineBench]:
    with Anvil(mining=False) as anvil:
        bench = EngineBench.on(anvil, accounts=ACCOUNTS)
        furnish(bench)
        yield bench


def furnish(bench: EngineBench) -> None:
    """Accounts of every kind: rich and poor, with one collateral or several, long and short, near their margin."""
    market = bench.deployed
    bench.node.send(
        market.mint("USDC", market.owner, 10**8 * 10**6),
        market.mint("WBTC", market.owner, 10**4 * 10**8),
        market.mint("WETH", market.owner, 10**6 * 10**18),
        market.mint("ODD", market.owner, 10**8 * 10**12),
        *(market.approve(symbol, market.owner) for symbol in market.tokens),
    )
    for index in range(ACCOUNTS):
        who = account(index)
        own = [market.mint(symbol, who, 10**24) for symbol in market.tokens]
        bench.node.send(*own, *(market.approve(symbol, who) for symbol in market.tokens))
        if index % 2 == 0:
            bench.node.send(deposit(bench, who, "USDC", (index + 1) * 4_000 * 10**6))
        if index % 3 != 0:
            bench.node.send(deposit(bench, who, "WBTC", (index + 1) * 7_654_321))
        if index in (1, 2, 5, 6):
            units = (10**11, 10**11 + 7, 10**14, 10**13)[index // 2]  # a dollar, as it counts: 0.7; and more
            bench.node.send(deposit(bench, who, "ODD", units))
        if index >= 3:
            bench.node.send(deposit(bench, who, "WETH", (index + 1) * 987_654_321 * 10**9))
        if index in (2, 6):
            continue  # depositors who have not traded
        sign = 1 if index % 4 < 2 else -1
        bench.node.try_send(
            [
                market.trade(who, "BTC", sign * (index + 1) * 500 * WAD // 1_000),
                market.trade(who, "ETH", -sign * (index + 1) * 700 * WAD // 100),
                market.trade(who, "SOL", sign * (index + 1) * 100 * WAD),
            ]
        )


def deposit(bench: EngineBench, who: bytes, symbol: str, units: int) -> Tx:
    market = bench.deployed
    return Tx(market.owner, market.engine, market.call("depositFor", who, market.tokens[symbol], units))


class Run:
    """What a whole run has seen."""

    def __init__(self, bench: EngineBench) -> None:
        self.bench = bench
        self.states = 0
        self.predicted = 0
        self.liquidatable = 0
        self.unpriced = 0
        self.mismatches: list[str] = []
        self.done: Counter[str] = Counter()
        self.refused: Counter[str] = Counter()

    def example(self, steps: list[tuple[list[tuple[str, int, int, int]], int, int]]) -> None:
        """Drive the chain, compare after each block and at a predicted timestamp, and go back."""
        start = self.bench.anvil.snapshot()
        try:
            for actions, wait, ahead in steps:
                snapshot = self.bench.snapshot()
                txs = [self.tx(snapshot, *action) for action in actions]
                receipts = self.bench.mine_at(snapshot.block.timestamp + wait, *txs)
                for (kind, *_), receipt in zip(actions, receipts, strict=True):
                    (self.done if int(receipt["status"], 16) else self.refused)[kind] += 1
                self.compare(ahead)
            assert not self.mismatches, "\n".join(self.mismatches)
        finally:
            self.bench.anvil.revert(start)

    # ---- comparing

    def compare(self, ahead: int) -> None:
        """The fold of all logs against getters and `health`, now and at a block that comes `ahead` seconds later."""
        bench = self.bench
        snapshot = bench.snapshot()
        self.compare_state(snapshot.state, snapshot.block)
        self.compare_holdings(snapshot, snapshot.block)
        self.compare_health(snapshot, snapshot.block)
        bench.mine_at(snapshot.block.timestamp + ahead)
        self.compare_health(snapshot, bench.head())

    def ask(self, block: BlockRef, *calls: tuple[str, Any]) -> list[tuple[Any, ...]]:
        answers = self.bench.read(
            [Call(self.bench.deployed.engine, ENGINE[name].encode(*of)) for name, *of in calls], block
        )
        return [ENGINE[name].decode(found.data) for (name, *_), found in zip(calls, answers, strict=True)]

    def compare_state(self, state: EngineState, block: BlockRef) -> None:
        whole = self.ask(block, ("pool",), ("insuranceFund",), ("maxPostHealth",), ("debtLimit",), ("paused",))
        mine = (state.pool, state.insurance_fund, state.max_post_health, state.debt_limit, state.paused)
        self.equal("engine", mine, tuple(found for (found,) in whole))
        for market in state.markets:
            ((found,), (tiers,)) = self.ask(block, ("getMarket", market.id), ("getBrackets", market.id))
            mine_market = (market.long_size, market.short_size, market.funding_index, market.funding_time)
            self.equal(f"market {market.id}", mine_market, tuple(found[1:5]))
            self.equal("brackets", tuple((k.floor, k.rate, k.offset) for k in market.brackets), tuple(tiers))

    def compare_holdings(self, snapshot: Snapshot, block: BlockRef) -> None:
        """Every account's balances and positions."""
        for row in range(len(snapshot.columns)):
            who = snapshot.columns.accounts.address(row)
            calls: list[tuple[Any, ...]] = [("settlementBalance", who)]
            calls += [("collateralBalance", who, item.id) for item in snapshot.state.collaterals[1:]]
            calls += [("getPosition", who, market.id) for market in snapshot.state.markets]
            theirs = [found for (found,) in self.ask(block, *calls)]
            balances = [snapshot.columns[BALANCES].get(row, item.id)[0] for item in snapshot.state.collaterals]
            positions = [snapshot.columns[POSITIONS].get(row, market.id) for market in snapshot.state.markets]
            self.equal(f"holdings of {who.hex()}", [*balances, *positions], theirs)

    def compare_health(self, snapshot: Snapshot, block: BlockRef) -> None:
        """Exact health and the screen's, at a block's timestamp, against the contract's view there."""
        protocol = self.bench.protocol
        rows = range(len(snapshot.columns))
        answers = self.bench.read(audit_calls(protocol, snapshot, rows), block)
        screen = protocol.screen(snapshot, block.timestamp)
        there = Snapshot(block, snapshot.state, snapshot.columns, snapshot.readings)
        for row, answer in zip(rows, answers, strict=True):
            self.states += 1
            self.predicted += block != snapshot.block
            if difference := protocol.audit_matches(there, row, [answer]):
                self.mismatches.append(difference)
            self.equal("unpriced", bool(screen.unpriced[row]), not answer.ok)
            try:
                health = protocol.health(snapshot, row, block.timestamp)
            except Refused:
                self.unpriced += 1
                continue
            self.liquidatable += health.liquidatable
            error = abs(screen.slack[row] - (health.equity - health.requirement) / WAD)
            if error > screen.bound[row] * 1.001 + 1e-15:
                self.mismatches.append(f"the screen is off by {error}, its bound is {screen.bound[row]}")

    def equal(self, what: str, mine: object, theirs: object) -> None:
        if mine != theirs:
            self.mismatches.append(f"{what}: {mine} here, {theirs} on chain")

    # ---- acting

    def tx(self, snapshot: Snapshot, kind: str, a: int, b: int, c: int) -> Tx:
        made: Tx = getattr(self, f"tx_{kind}")(snapshot, a, b, c)
        return made

    def tx_deposit(self, snapshot: Snapshot, a: int, b: int, c: int) -> Tx:
        symbol = ("USDC", "WBTC", "WETH", "ODD")[b % 4]
        most = {"USDC": 50_000 * 10**6, "WBTC": 10**8, "WETH": 10 * 10**18, "ODD": 10**14}[symbol]
        market, who = self.bench.deployed, account(a % ACCOUNTS)
        return Tx(who, market.engine, market.call("deposit", market.tokens[symbol], 1 + c * most // 2**40))

    def tx_withdraw(self, snapshot: Snapshot, a: int, b: int, c: int) -> Tx:
        """Up to a quarter of what the account holds of a token."""
        market, who = self.bench.deployed, account(a % ACCOUNTS)
        item = snapshot.state.collaterals[b % 4]
        row = snapshot.columns.accounts.row(who)
        held = snapshot.columns[BALANCES].get(row, item.id)[0] if row is not None else 0
        units = max(0, held) // (item.scale if item.id == 0 else 1)
        data = market.call("withdraw", item.token, 1 + units // 4 * c // 2**40)
        return Tx(who, market.engine, data)

    def tx_trade(self, snapshot: Snapshot, a: int, b: int, c: int) -> Tx:
        market = snapshot.state.markets[b % 3]
        who = account(a % ACCOUNTS)
        step = market.rules.step
        row = snapshot.columns.accounts.row(who)
        held = snapshot.columns[POSITIONS].get(row, market.id)[0] if row is not None else 0
        if c % 4 == 0 and held:
            size = -held  # close
        elif c % 4 == 1 and held:
            size = -2 * (held // step) * step  # turn round
        else:
            size = (1 + c // 8 % (400, 400, 20)[market.id]) * step * (1 if c % 8 < 4 else -1)
        return self.bench.deployed.trade(who, market.name, size)

    def tx_price(self, snapshot: Snapshot, a: int, b: int, c: int) -> Tx:
        label = ("BTC", "ETH", "SOL")[a % 3]
        _, dollars = self.bench.deployed.listing.feeds[label]
        return self.bench.deployed.set_price(label, dollars * (0.9 + 0.2 * c / 2**40))

    def tx_crash(self, snapshot: Snapshot, a: int, b: int, c: int) -> Tx:
        label = ("BTC", "ETH", "SOL")[a % 3]
        _, dollars = self.bench.deployed.listing.feeds[label]
        return self.bench.deployed.set_price(label, dollars * (0.4 + 1.4 * c / 2**40))

    def tx_liquidate(self, snapshot: Snapshot, a: int, b: int, c: int) -> Tx:
        """What the adapter would do for the most unsafe account, or a random size for a random one."""
        timestamp = snapshot.block.timestamp + 1
        if c % 4 and (found := self.best(snapshot, timestamp, "liquidate", a)):
            call = self.bench.protocol.encode(snapshot, found, 0)
            check_permits(self.bench.protocol, snapshot, call)
            return Tx(self.bench.keeper, call.to, call.data)
        market = snapshot.state.markets[b % 3]
        data = self.bench.deployed.call(
            "liquidate", account(a % ACCOUNTS), market.id, (1 + c % 500) * market.rules.step, 0, NEVER
        )
        return Tx(self.bench.keeper, self.bench.deployed.engine, data)

    def tx_seize(self, snapshot: Snapshot, a: int, b: int, c: int) -> Tx:
        market = self.bench.deployed
        if c % 4 and (found := self.best(snapshot, snapshot.block.timestamp + 1, "seize", a)):
            call = self.bench.protocol.encode(snapshot, found, 0)
            check_permits(self.bench.protocol, snapshot, call)
            return Tx(self.bench.keeper, call.to, call.data)
        token = market.tokens[("WBTC", "WETH", "ODD")[b % 3]]
        data = market.call("seizeCollateral", account(a % ACCOUNTS), token, 1 + c % 10**10, 0, NEVER)
        return Tx(self.bench.keeper, market.engine, data)

    def best(self, snapshot: Snapshot, timestamp: int, kind: str, pick: int) -> Any:
        found = []
        for row in range(len(snapshot.columns)):
            try:
                found += self.bench.protocol.opportunities(snapshot, row, timestamp, 11 * WAD // 10, {})
            except Refused:
                continue
        found = [opportunity for opportunity in found if opportunity.kind == kind]
        return found[pick % len(found)] if found else None

    def tx_rules(self, snapshot: Snapshot, a: int, b: int, c: int) -> Tx:
        """New parameters of a market, a collateral or the limits."""
        market, share = self.bench.deployed, c / 2**40
        if b % 3 == 0:
            data = market.call("setLimits", WAD + int(share * WAD), int(share * 20_000) * WAD)
        elif b % 3 == 1:
            spec = market.listing.collaterals[a % 3]
            params = list(collateral_params(market, spec))
            params[2] = int((0.5 + 0.4 * share) * WAD)
            data = market.call("configureCollateral", a % 3 + 1, tuple(params))
        else:
            spec = market.listing.markets[a % 3]
            params = list(market_params(market, spec))
            params[6] = int(share * WAD / 4)  # funding rate
            params[11] *= 1 + c % 3  # step
            tiers = [(floor, rate * (3 + b % 5) // 4, 0) for floor, rate, _ in spec.brackets()]
            made: list[tuple[int, int, int]] = []
            for floor, rate, _ in tiers:
                offset = made[-1][2] + floor * (rate - made[-1][1]) // WAD if made else 0
                made.append((floor, rate, offset))
            params[4] = min(params[4], made[0][1] // 2)
            data = market.call("configureMarket", a % 3, tuple(params), made)
        return Tx(market.owner, market.engine, data)

    def tx_feed(self, snapshot: Snapshot, a: int, b: int, c: int) -> Tx:
        """A feed that goes bad: zero, negative, or old."""
        market = self.bench.deployed
        feed = artifact("SettableFeed")[0].functions
        label = ("BTC", "ETH", "SOL", "ODD", "ODD", "ODD")[a % 6]
        if label == "ODD" and b % 3 == 1 and c % 2:
            return Tx(market.owner, market.feeds[label], feed["set"].encode(2**128 // 10**12 + c % 3 - 1))
        if b % 3 == 2:
            age = 86_000 + c % 1_000  # around the heartbeat: stale now, or soon
            data = feed["setAt"].encode(10**7 if label == "ODD" else 3 * 10**11, snapshot.block.timestamp - age)
        else:
            data = feed["set"].encode((0, -(1 + c))[b % 3])
        return Tx(market.owner, market.feeds[label], data)

    def tx_pause(self, snapshot: Snapshot, a: int, b: int, c: int) -> Tx:
        name = "unpause" if snapshot.state.paused or c % 4 else "pause"
        return Tx(self.bench.deployed.owner, self.bench.deployed.engine, self.bench.deployed.call(name))


def test_every_account_state_equals_the_contracts_after_random_steps(
    bench: EngineBench, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(bench)
    examples = -(-STATES // (2 * STEPS * ACCOUNTS)) + 1

    @settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=(Phase.generate,),
        suppress_health_check=list(HealthCheck),
    )
    @given(st.lists(STEP, min_size=STEPS, max_size=STEPS))
    def drive(steps: list[tuple[list[tuple[str, int, int, int]], int, int]]) -> None:
        run.example(steps)

    drive()
    with capsys.disabled():
        print(
            f"\nmargin_engine parity: {run.states} account states ({run.predicted} at a predicted timestamp), "
            f"{len(run.mismatches)} mismatches, {run.liquidatable} liquidatable, {run.unpriced} unpriced; "
            f"done {dict(run.done)}, "
            f"refused by the engine {dict(run.refused)}"
        )
    note_parity("margin_engine", states=run.states, views=2 * run.states, mismatches=len(run.mismatches))
    assert run.states >= STATES
    assert run.liquidatable
    assert run.unpriced
    for kind in KINDS:
        assert run.done[kind], f"no {kind} succeeded: the run says little"
