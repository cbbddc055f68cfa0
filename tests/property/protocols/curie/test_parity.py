"""Perpetual Protocol's own contracts as the referee: every view of every account, now and later, and each liquidation.

PARITY_STATES says how many account states are compared, PARITY_LIQUIDATIONS how many liquidations of each kind are
carried out; both are small by default.
"""

import os
from collections import Counter
from collections.abc import Iterator
from math import log
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from keeper.errors import Refused
from keeper.model.health import WAD
from keeper.model.plan import Opportunity, token_key
from keeper.protocols.base import Snapshot
from keeper.protocols.curie.opportunities.collateral import SEIZE
from keeper.protocols.curie.opportunities.position import LIQUIDATE
from keeper.protocols.curie.simulate import cancelled, liquidate, seize
from keeper.protocols.curie.state import CurieHoldings, holdings_of
from keeper.sim.markets.curie import balance
from keeper.sim.node.artifacts import calldata
from keeper.sim.node.client import Tx
from tests.support.curie import OPERATOR, CurieBench, account, curie_bench
from tests.support.parity import check_permits, note_parity

STATES = int(os.environ.get("PARITY_STATES", "400"))
LIQUIDATIONS = int(os.environ.get("PARITY_LIQUIDATIONS", "200" if STATES >= 5_000 else "10"))
TRADERS, MAKERS = range(8), range(8, 11)
OTHER = account(50)  # another liquidator
EVERYBODY = [account(index) for index in (*TRADERS, *MAKERS)]
STATES_AN_EXAMPLE = 2 * 8 * len(EVERYBODY)
_BIG = {"vETH": 10**18, "vBTC": 5 * 10**16}
_LABEL = {"vETH": "ETH", "vBTC": "BTC"}
_START = {"ETH": 3_000.0, "BTC": 60_000.0}

markets = st.sampled_from(["vETH", "vBTC"])
who = st.sampled_from(EVERYBODY)
actions = st.one_of(
    st.tuples(st.just("deposit"), who, st.sampled_from(["USDC", "WETH", "WBTC"]), st.integers(1, 5_000)),
    st.tuples(st.just("withdraw"), who, st.sampled_from(["USDC", "WETH"])),
    st.tuples(st.just("trade"), who, markets, st.integers(-3_000, 3_000)),
    st.tuples(st.just("close"), who, markets),
    st.tuples(st.just("provide"), who, markets, st.integers(50, 2_000), st.integers(-12, 12), st.integers(1, 12)),
    st.tuples(st.just("remove"), who, st.integers(0, 5), st.integers(1, 4)),
    st.tuples(st.just("oracle"), st.sampled_from(["ETH", "BTC"]), st.integers(-120, 120)),
    st.tuples(st.just("pool"), markets, st.integers(-90, 90)),
    st.tuples(st.just("both"), markets, st.integers(-90, 90)),
    st.tuples(st.just("warp"), st.sampled_from([1, 7, 14, 15, 16, 61, 700, 901, 1_799, 5_000, 86_400, 31_536_000])),
    st.tuples(st.just("liquidate"), who, markets, st.integers(0, 4)),
    st.tuples(st.just("seize"), who, st.sampled_from(["WETH", "WBTC"]), st.integers(1, 2_000)),
    st.tuples(st.just("cancel"), who, markets),
    st.tuples(st.just("settle"), who),
    st.tuples(st.just("govern"), st.integers(0, 5), st.integers(0, 1_000)),
)


@pytest.fixture(scope="module")
def bench() -> Iterator[CurieBench]:
    """A market that people have positions in; tests leave it as they found it."""
    with curie_bench() as made:
        deployed = made.deployed
        deployed.admit(*EVERYBODY, OTHER)
        txs = [
            deployed.mint("USDC", made.executor, 10**13),
            deployed.mint("USDC", OTHER, 10**13),
            deployed.approve(OTHER, "USDC"),
        ]
        txs += deployed.fund(OTHER, "USDC", 10**12)
        for index, who_ in enumerate(EVERYBODY):
            txs += deployed.fund(who_, "USDC", (300 + 400 * (index % 3)) * 10**6)
            if index % 3 == 0:
                txs += deployed.fund(who_, "WETH", 3 * 10**17)
            if index % 3 == 1:
                txs += deployed.fund(who_, "WBTC", 6 * 10**5)
        made.node.send(*txs)
        made.node.send(
            *(deployed.trade(account(i), "vETH", (-1) ** i * (10**18 + i * 10**17)) for i in TRADERS),
            *(deployed.trade(account(i), "vBTC", (-1) ** (i // 2) * 2 * 10**16) for i in (1, 2, 5)),
        )
        for i in MAKERS:
            low, high = deployed.ticks("vETH", 2_400 + 150 * i % 400, 3_400 + 100 * (i % 4))
            made.node.send(deployed.add_liquidity(account(i), "vETH", 10**18, 3_000 * 10**18, (low, high)))
            made.node.try_send([deployed.withdraw(account(i), "USDC")])  # all that is not needed
        yield made


class Play:
    """One example: what people do, on a copy of the market."""

    def __init__(self, bench: CurieBench) -> None:
        self.bench, self.deployed = bench, bench.deployed
        self.prices = dict(_START)

    def __call__(self, name: str, *args: Any) -> list[Tx]:
        """The transactions of an action; they may revert."""
        found: list[Tx] = getattr(self, name)(*args)
        return found

    def deposit(self, who_: bytes, symbol: str, amount: int) -> list[Tx]:
        unit = {"USDC": 10**6, "WETH": 10**15, "WBTC": 10**4}[symbol]
        return self.deployed.fund(who_, symbol, amount * unit)

    def withdraw(self, who_: bytes, symbol: str) -> list[Tx]:
        return [self.deployed.withdraw(who_, symbol)]

    def trade(self, who_: bytes, market: str, thousandths: int) -> list[Tx]:
        return [self.deployed.trade(who_, market, thousandths * _BIG[market] // 1_000)] if thousandths else []

    def close(self, who_: bytes, market: str) -> list[Tx]:
        return [self.deployed.close(who_, market)]

    def provide(self, who_: bytes, market: str, thousandths: int, offset: int, width: int) -> list[Tx]:
        spacing = self.deployed.spacing(market)
        middle = round(self.tick(market) / spacing) + offset
        lower, upper = (middle - width) * spacing, (middle + width) * spacing
        base = thousandths * _BIG[market] // 1_000
        return [self.deployed.add_liquidity(who_, market, base, 3 * thousandths * 10**18, (lower, upper))]

    def tick(self, market: str) -> int:
        return int(log(self.deployed.pool_price(market), 1.0001))

    def remove(self, who_: bytes, which: int, part: int) -> list[Tx]:
        state = self.bench.snapshot().state
        held = sorted(state.orders.get(who_, {}).items())
        if not held:
            return []
        id_, liquidity = held[which % len(held)]
        place = state.ranges[id_]
        symbol = state.markets[place.market].symbol
        return [self.deployed.remove_liquidity(who_, symbol, place.lower, place.upper, liquidity // part)]

    def oracle(self, label: str, thousandths: int) -> list[Tx]:
        self.prices[label] *= 1 + thousandths / 1_000
        return [self.deployed.set_oracle(label, self.prices[label])]

    def pool(self, market: str, thousandths: int) -> list[Tx]:
        return self.deployed.move_pool(market, self.deployed.pool_price(market) * (1 + thousandths / 1_000))

    def both(self, market: str, thousandths: int) -> list[Tx]:
        moved = self.oracle(_LABEL[market], thousandths)
        return [*moved, *self.deployed.move_pool(market, self.prices[_LABEL[market]])]

    def warp(self, seconds: int) -> list[Tx]:
        self.deployed.warp(seconds)
        return []

    def liquidate(self, who_: bytes, market: str, part: int) -> list[Tx]:
        return [self.deployed.liquidate(OTHER, who_, market, 0 if not part else _BIG[market] // 5 * (part - 2))]

    def seize(self, who_: bytes, symbol: str, dollars: int) -> list[Tx]:
        return [self.deployed.liquidate_collateral(OTHER, who_, symbol, dollars * 10**6)]

    def cancel(self, who_: bytes, market: str) -> list[Tx]:
        return [self.deployed.cancel_orders(OTHER, who_, market)]

    def settle(self, who_: bytes) -> list[Tx]:
        """Its own funding, which leaves no log where it comes to nothing."""
        return [Tx(who_, self.deployed.contracts["ClearingHouse"], calldata("settleAllFunding(address)", who_))]

    def govern(self, what: int, much: int) -> list[Tx]:
        config, manager = self.deployed.contracts["ClearingHouseConfig"], self.deployed.contracts["CollateralManager"]
        base = self.deployed.markets["vBTC"].base
        to, data = (
            (config, calldata("setMaxFundingRate(uint24)", much * 1_000)),
            (config, calldata("setTwapInterval(uint32)", 20 + much)),
            (config, calldata("setMarkPricePremiumInterval(uint32)", 5 + much)),
            (manager, calldata("setCollateralRatio(address,uint24)", self.deployed.tokens["WETH"], much * 900)),
            (manager, calldata("setWhitelistedDebtThreshold(address,uint256)", EVERYBODY[0], much * 10**6)),
            (base, calldata("pause()")),
        )[what]
        return [Tx(self.deployed.owner, to, data)]


def on_a_copy(bench: CurieBench, act: Any) -> None:
    """Whatever happens to the market is undone."""
    bench.snapshot()
    copy = bench.anvil.snapshot()
    try:
        act()
    finally:
        bench.anvil.revert(copy)
        bench.went_back()


SETTINGS = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
}


@given(st.lists(st.tuples(actions, st.integers(1, 2_000)), min_size=4, max_size=12))
@settings(max_examples=max(1, STATES // STATES_AN_EXAMPLE), **SETTINGS)
def test_every_view_of_every_account_is_the_contracts_now_and_later(
    bench: CurieBench, acts: list[tuple[tuple[Any, ...], int]]
) -> None:
    def act() -> None:
        play = Play(bench)
        for action, seconds in acts:
            txs = play(*action)
            if txs:
                bench.mine_at(bench.anvil.timestamp() + 1 + seconds % 40, *txs)
            snapshot = bench.snapshot()
            for timestamp in (snapshot.block.timestamp, snapshot.block.timestamp + seconds):
                found = bench.differences(snapshot, timestamp)
                count = len(snapshot.columns)
                note_parity("curie", states=count, views=4 * count, mismatches=len(found))
                assert not found, (action, [(item.account.hex(), item.difference) for item in found])

    on_a_copy(bench, act)


crashes = st.fixed_dictionaries(
    {
        "market": st.just("vETH"),
        "step": st.integers(-45, 45).filter(lambda step: abs(step) > 8),
        "steps": st.integers(2, 14),
        "target": st.sampled_from([WAD, 11 * WAD // 10, 15 * WAD // 10, 100 * WAD]),
        "balance": st.sampled_from([0, 3 * 10**6, 40 * 10**6, 10**9]),
        "seconds": st.integers(1, 60),
        "choice": st.integers(0, 10**6),
    }
)


def test_each_liquidation_comes_to_what_was_predicted(bench: CurieBench) -> None:
    done = {LIQUIDATE: 0, SEIZE: 0}
    kinds = Counter[str]()  # beside them: whose orders were cancelled first, shorts, and who was bankrupt

    @given(crashes)
    @settings(max_examples=2_000 if LIQUIDATIONS > 50 else 12, **SETTINGS)
    def crash(weather: dict[str, Any]) -> None:
        if min(done.values()) < LIQUIDATIONS:
            on_a_copy(bench, lambda: _crash(bench, weather, done, kinds))

    crash()
    print(f"\nliquidations predicted: {done}, among them {dict(kinds)}")
    if LIQUIDATIONS > 50:
        assert min(done.values()) >= LIQUIDATIONS, done
        assert min(kinds[kind] for kind in ("makers", "shorts", "bankrupt", "written off")) > 0, kinds


def _crash(bench: CurieBench, weather: dict[str, Any], done: dict[str, int], kinds: Counter[str]) -> None:
    play, deployed, node = Play(bench), bench.deployed, bench.node
    for i in TRADERS:  # as much as their margin carries
        bench.node.try_send([deployed.trade(account(i), "vETH", (-1) ** i * (7 - i % 3) * 10**17)])
    for _ in range(weather["steps"]):
        node.try_send(play.oracle("ETH", weather["step"]))
        deployed.warp(16)
        node.try_send(deployed.move_pool("vETH", play.prices["ETH"]))
        node.try_send([deployed.exits.move(("WETH", "USDC", 500), {"WETH": play.prices["ETH"], "USDC": 1.0})])
        deployed.warp(20)
        for turn in range(6):
            snapshot = bench.snapshot()
            now = snapshot.block.timestamp + weather["seconds"]
            found = _options(bench, snapshot, now, weather)
            if not found:
                break
            of_makers = [option for option in found if option[1].details.get("cancel")]
            found = of_makers or found if weather["choice"] % 2 else found
            row, opportunity = found[(weather["choice"] + turn) % len(found)]
            if opportunity.reward_wad < 0:
                continue  # the executor refuses a loss: it is never sent
            _carry_out(bench, snapshot, row, opportunity, now)
            done[opportunity.kind] += 1
            details = opportunity.details
            kinds["makers"] += details.get("cancel", 0)
            kinds["shorts"] += details.get("size", 0) < 0
            kinds["bankrupt"] += opportunity.before.equity < 0
            kinds["written off"] += details.get("bad_debt", 0) > 0


def _options(bench: CurieBench, snapshot: Snapshot, now: int, weather: dict[str, Any]) -> list[tuple[int, Opportunity]]:
    limits = {token_key(bench.deployed.tokens["USDC"]): weather["balance"]} if weather["balance"] else {}
    found = []
    for row in range(len(snapshot.columns)):
        if bench.protocol.health(snapshot, row, now).liquidatable:
            try:
                offers = bench.protocol.opportunities(snapshot, row, now, weather["target"], limits)
            except Refused:
                continue
            found += [(row, offer) for offer in offers]
    return found


def _carry_out(bench: CurieBench, snapshot: Snapshot, row: int, opportunity: Opportunity, now: int) -> None:
    """Mine it at the time that it was planned for, and compare what it came to."""
    usdc = bench.deployed.tokens["USDC"]
    expected = _holdings_after(bench, snapshot, row, opportunity, now)
    call = bench.protocol.encode(snapshot, opportunity, -(2**200))
    check_permits(bench.protocol, snapshot, call)
    before = balance(bench.deployed, "USDC", bench.executor)
    [receipt] = bench.mine_at(now, Tx(OPERATOR, call.to, call.data, 12_000_000))
    profit = balance(bench.deployed, "USDC", bench.executor) - before
    after = bench.snapshot()
    got = holdings_of(after.state, after.columns, row)
    health = bench.protocol.health(after, row, after.block.timestamp)
    right = int(receipt["status"], 16) == 1 and profit == opportunity.rewards[usdc]
    right = right and health == opportunity.after and got == expected
    note_parity("curie", liquidations=1, mispredicted=int(not right))
    assert right, (receipt["status"], profit, opportunity, health, got, expected)
    assert int(receipt["gasUsed"], 16) <= opportunity.gas_limit


def _holdings_after(
    bench: CurieBench, snapshot: Snapshot, row: int, opportunity: Opportunity, now: int
) -> CurieHoldings:
    query = bench.protocol.query(snapshot, row, now, WAD, {})
    details = opportunity.details
    if opportunity.kind == LIQUIDATE:
        return liquidate(cancelled(query.account), details["market"], details["size"]).after
    return seize(query.account, snapshot.state.tokens[details["token"]], details["paid"]).after


def test_a_book_that_was_followed_is_one_that_is_read_anew(bench: CurieBench) -> None:
    followed = bench.snapshot()
    rows = range(len(followed.columns))
    old = {followed.columns.accounts.address(row): holdings_of(followed.state, followed.columns, row) for row in rows}
    anew = bench.resync()
    rows = range(len(anew.columns))
    assert {anew.columns.accounts.address(row): holdings_of(anew.state, anew.columns, row) for row in rows} == old
    assert anew.state.ticks == followed.state.ticks
